/* Threads of a run and of one that is resumed, and what must be as it was. */
#include "trainer/bits.h"

#include "model/traits.h"

#include <criterion/criterion.h>
#include <string.h>

struct row {
    struct processors machine;
    int asked, recorded;
    bool other_bits;
    int threads;          /* 0: refused */
    const char *sentence; /* the error's or the notice's; NULL: neither */
};

static const struct row rows[] = {
    /* new runs */
    {{2, 0, 0, 0}, 0, 0, false, 2, NULL},
    {{2, 0, 1, 0}, 0, 0, false, 1, NULL},
    {{2, 0, 0, 0}, 8, 0, false, 2, "--threads=8 is cut to 2: there are no more processors here"},
    /* resumed: as before, whatever the default would be now */
    {{2, 0, 0, 0}, 0, 2, false, 2, NULL},
    {{8, 0, 0, 0}, 0, 2, false, 2, NULL},
    {{8, 0, 1, 0}, 0, 2, false, 2, NULL},
    {{2, 0, 0, 0}, 2, 2, false, 2, NULL},
    {{1, 0, 0, 0}, 0, 1, false, 1, NULL},
    /* the command that began the run, unchanged */
    {{2, 0, 0, 0}, 8, 2, false, 2, "--threads=8 is cut to 2: there are no more processors here"},
    /* fewer processors */
    {{1, 0, 0, 0},
     0,
     2,
     false,
     0,
     "--resume: the run was trained with 2 threads, and this process may use 1 processor: give it "
     "more; or --threads=2 to share (slow, the same bits); or --other-bits to resume with 1"},
    {{8, 2, 0, 0},
     0,
     4,
     false,
     0,
     "--resume: the run was trained with 4 threads, and this process may use 2 processors: give it "
     "more; or --threads=4 to share (slow, the same bits); or --other-bits to resume with 2"},
    {{1, 0, 0, 0}, 2, 2, false, 2, "2 threads share 1 processor: the same bits, many times slower"},
    {{1, 0, 0, 0}, 0, 2, true, 1, NULL},
    /* OpenMP would not start as many, however they are asked for */
    {{8, 0, 0, 2},
     0,
     4,
     false,
     0,
     "--resume: the run was trained with 4 threads, and OMP_THREAD_LIMIT=2 allows fewer, which may "
     "give other weights: raise it, or add --other-bits to resume with 2"},
    {{8, 0, 0, 2},
     4,
     4,
     false,
     0,
     "--resume: the run was trained with 4 threads, and OMP_THREAD_LIMIT=2 allows fewer, which may "
     "give other weights: raise it, or add --other-bits to resume with 2"},
    {{8, 0, 0, 2}, 4, 4, true, 2, NULL},
    /* another number */
    {{8, 0, 0, 0},
     1,
     2,
     false,
     0,
     "--resume: the run was trained with 2 threads, and --threads=1 may give other weights: leave "
     "it out, or add --other-bits to resume anyway"},
    {{8, 0, 0, 0}, 4, 2, true, 4, NULL},
    {{2, 0, 0, 0}, 4, 1, true, 2, "--threads=4 is cut to 2: there are no more processors here"},
    {{8, 0, 0, 0}, 0, 2, true, 2, NULL},
};

Test(bits, threads) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct notices notices = {0};
        struct error error = {0};
        int threads = 0;
        int status = bits_threads(&row->machine, row->asked, row->recorded, row->other_bits,
                                  &threads, &notices, &error);
        cr_expect_eq(status, row->threads > 0 ? 0 : -1, "row %zu: %s", i, error.text);
        const char *said = status ? error.text : notices.count ? notices.texts[0] : "";
        cr_expect_str_eq(said, row->sentence ? row->sentence : "", "row %zu", i);
        if (status == 0)
            cr_expect_eq(threads, row->threads, "row %zu: %d", i, threads);
        else
            cr_expect_eq(error.code, ERROR_INVALID);
        cr_expect_leq(notices.count, 1);
    }
}

static int recorded(const char *computed, const char *settings) {
    struct checkpoint checkpoint = {.computed = (char *)computed};
    json_t *values = json_loads(settings, 0, NULL);
    int threads = bits_recorded_threads(&checkpoint, values);
    json_decref(values);
    return threads;
}

Test(bits, threads_that_were_recorded) {
    cr_expect_eq(recorded("{\"threads\": 2}", "{\"threads\": 4}"), 2);
    cr_expect_eq(recorded("{\"threads\": 0}", "{\"threads\": 4}"), 0, "a GPU has none");
    cr_expect_eq(recorded(NULL, "{\"threads\": 4}"), 4);
    cr_expect_eq(recorded(NULL, "{\"threads\": 0}"), 0);
    cr_expect_eq(recorded(NULL, "{}"), 0);
    cr_expect_eq(recorded("{\"threads\": -1}", "{}"), 0);
    cr_expect_eq(recorded("{\"threads\": 1e9}", "{}"), 0);
    cr_expect_eq(recorded("{\"threads\": 1000000000}", "{}"), 0);
    cr_expect_eq(recorded("{\"threads\": \"2\"}", "{}"), 0);
}

static json_t *here(void) {
    struct engine_traits traits = {.threads = 2,
                                   .instructions = "AVX2",
                                   .built_on = "oneDNN 2.6.3",
                                   .processor = "a processor"};
    json_t *now = traits_to_json("cpu", "f32", &traits);
    cr_assert_not_null(now);
    return now;
}

/* `now` but for one member, at step 120. */
static struct checkpoint before(const char *key, json_t *value) {
    json_t *was = here();
    json_object_set_new(was, key, value);
    struct checkpoint checkpoint = {.step = 120, .computed = json_dumps(was, 0)};
    json_decref(was);
    return checkpoint;
}

Test(bits, the_same_is_taken_without_a_word) {
    struct checkpoint same = before("threads", json_integer(2));
    struct notices notices = {0};
    struct error error = {0};
    json_t *now = here();
    cr_expect_eq(bits_compare(&same, now, false, &notices, &error), 0);
    cr_expect_eq(notices.count, 0);
    cr_expect_null(json_object_get(now, "changed_at"));
    json_decref(now);
    free(same.computed);
}

Test(bits, a_checkpoint_that_says_nothing_is_taken_and_noted) {
    struct checkpoint silent = {.step = 3};
    struct notices notices = {0};
    struct error error = {0};
    json_t *now = here();
    cr_expect_eq(bits_compare(&silent, now, false, &notices, &error), 0);
    cr_assert_eq(notices.count, 1);
    cr_expect_str_eq(notices.texts[0], "the checkpoint does not say what it was computed with: "
                                       "from step 3 on the bits may differ");
    json_decref(now);
}

Test(bits, another_engine_number_set_or_library_is_refused_or_recorded) {
    struct {
        const char *key;
        json_t *value;
        const char *refused, *noted;
    } changes[] = {
        {"engine", json_string("cuda"), "engine cuda, and here it is cpu",
         "--other-bits: the engine was cuda and is cpu from here on"},
        {"precision", json_string("bf16"), "precision bf16, and here it is f32",
         "--other-bits: the precision was bf16 and is f32 from here on"},
        {"threads", json_integer(4), "number of threads 4, and here it is 2",
         "--other-bits: the number of threads was 4 and is 2 from here on"},
        {"instructions", json_string("AVX512_CORE"),
         "instruction set AVX512_CORE, and here it is AVX2",
         "--other-bits: the instruction set was AVX512_CORE and is AVX2 from here on"},
        {"library", json_null(), "library (unknown), and here it is oneDNN 2.6.3",
         "--other-bits: the library was (unknown) and is oneDNN 2.6.3 from here on"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct checkpoint checkpoint = before(changes[i].key, changes[i].value);
        struct notices notices = {0};
        struct error error = {0};
        json_t *now = here();
        cr_expect_eq(bits_compare(&checkpoint, now, false, &notices, &error), -1);
        cr_expect_eq(error.code, ERROR_INVALID);
        cr_expect(strstr(error.text, changes[i].refused), "%s", error.text);
        cr_expect(strstr(error.text, "--other-bits"), "%s", error.text);
        cr_expect_eq(notices.count, 0);
        error.code = ERROR_NONE;
        cr_expect_eq(bits_compare(&checkpoint, now, true, &notices, &error), 0);
        cr_expect_eq(error.code, ERROR_NONE);
        cr_assert_eq(notices.count, 2);
        cr_expect_str_eq(notices.texts[0], changes[i].noted);
        json_t *steps = json_object_get(now, "changed_at");
        cr_assert_eq(json_array_size(steps), 1);
        cr_expect_eq(json_integer_value(json_array_get(steps, 0)), 120);
        json_decref(now);
        free(checkpoint.computed);
    }
}

Test(bits, a_change_is_kept_for_good) {
    struct checkpoint checkpoint = before("changed_at", json_pack("[i]", 40));
    struct notices notices = {0};
    struct error error = {0};
    json_t *now = here();
    cr_assert_eq(bits_compare(&checkpoint, now, false, &notices, &error), 0);
    cr_expect_eq(json_array_size(json_object_get(now, "changed_at")), 1);
    cr_assert_eq(notices.count, 1);
    cr_expect(strstr(notices.texts[0], "from step 40 on this run was computed differently"), "%s",
              notices.texts[0]);
    json_decref(now);
    free(checkpoint.computed);
}

Test(bits, another_processor_or_build_is_noted) {
    struct checkpoint checkpoint = before("processor", json_string("an older one"));
    struct notices notices = {0};
    struct error error = {0};
    json_t *now = here();
    cr_assert_eq(bits_compare(&checkpoint, now, false, &notices, &error), 0);
    cr_assert_eq(notices.count, 1);
    cr_expect_str_eq(notices.texts[0], "resumed on another processor: was an older one, is a "
                                       "processor; the bits may differ");
    json_decref(now);
    free(checkpoint.computed);
}
