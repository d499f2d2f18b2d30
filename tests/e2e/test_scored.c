/* Exit status 0 means: every checkpoint has exactly one line, and best.safetensors is the best. On
 * the real binaries: runs that go on after their end, evaluators that are away, files that cannot
 * be read.
 */
#include "common/file.h"
#include "common/sha256.h"
#include "model/checkpoint.h"
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

TestSuite(scored, .timeout = 600);

#define IMAGES "2000"
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define USUAL "--steps", "250", "--checkpoint-every", "50"

/* What a run of these settings has: 50, 100, … 250 and the ends of epochs. */
static const int steps[] = {32, 50, 63, 94, 100, 125, 150, 157, 188, 200, 219, 250};
enum { STEPS = sizeof steps / sizeof *steps };

/* Every checkpoint has one line, but that of `without`, which has none. */
static void expect_lines(const struct e2e *run, int without) {
    char path[400], line[2048];
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run->run);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    int seen[STEPS] = {0}, others = 0;
    while (fgets(line, sizeof line, file)) {
        json_t *values = json_loads(line, 0, NULL);
        cr_assert_not_null(values);
        int step = (int)json_integer_value(json_object_get(values, "step")), i = 0;
        while (i < STEPS && steps[i] != step)
            i++;
        (*(i < STEPS ? &seen[i] : &others))++;
        json_decref(values);
    }
    fclose(file);
    for (int i = 0; i < STEPS; i++)
        cr_expect_eq(seen[i], steps[i] != without, "step %d has %d lines", steps[i], seen[i]);
    cr_expect_eq(others, 0);
}

static void digest_of(const struct e2e *run, const char *name, char hex[static SHA256_HEX]) {
    char path[400];
    uint8_t *bytes, digest[SHA256_SIZE];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", run->run, name);
    cr_assert_eq(checkpoint_load(path, &bytes, &size, NULL), 0, "%s", path);
    sha256_bytes(bytes, size, digest);
    sha256_hex(digest, hex);
    free(bytes);
}

static void checkpoint_path(const struct e2e *run, int step, char path[static 400]) {
    snprintf(path, 400, "%s/checkpoints/step-%09d.safetensors", run->run, step);
}

static void wait_for_checkpoint(struct e2e *run, int step) {
    char name[64];
    snprintf(name, sizeof name, "checkpoints/step-%09d.safetensors", step);
    e2e_expect_file(run, name);
}

static void begin_workers(struct e2e *run) {
    e2e_loader(run, "loader-1", IMAGES);
    e2e_augment(run, "augment-1");
}

static int resume(struct e2e *run, const char *const *more) {
    const char *args[32] = {"--bind", "@ADDRESS", "--resume", "@RUN"};
    int count = 4;
    for (int i = 0; more[i]; i++)
        args[count++] = more[i];
    args[count] = NULL;
    return e2e_start(run, "trainer", "trainer-again", args);
}

/* A whole run with an evaluator. */
static void whole_run(struct e2e *run) {
    e2e_begin(run);
    begin_workers(run);
    int evaluator = e2e_evaluator(run, "evaluator-1");
    int trainer = e2e_trainer(run, ARGS(USUAL));
    cr_assert_eq(e2e_wait(run, trainer), 0);
    cr_assert_eq(e2e_wait(run, evaluator), 0);
    expect_lines(run, 0);
}

static void end_at_once(struct e2e *run, int process) {
    process_signal(&run->list[process].process, SIGKILL, false);
    cr_assert_eq(e2e_wait(run, process), 128 + SIGKILL);
}

/* With an evaluator, without one, and with one that has a new name. */
Test(scored, going_on_after_the_end_changes_nothing) {
    struct e2e run;
    char lines[SHA256_HEX], best[SHA256_HEX], last[SHA256_HEX], now[SHA256_HEX];
    whole_run(&run);
    digest_of(&run, "evaluations.jsonl", lines);
    digest_of(&run, "best.safetensors", best);
    digest_of(&run, "checkpoints/step-000000250.safetensors", last);
    double best_step = e2e_summary_number(&run, "best_step");
    double accuracy = e2e_summary_number(&run, "digit_accuracy");
    for (int i = 0; i < 3; i++) {
        begin_workers(&run);
        if (i != 1)
            e2e_evaluator(&run, i == 0 ? "evaluator-1" : "evaluator-2");
        cr_assert_eq(e2e_wait(&run, resume(&run, ARGS("--drain", "60"))), 0);
        digest_of(&run, "evaluations.jsonl", now);
        cr_expect_str_eq(now, lines, "resume %d changed the lines", i);
        digest_of(&run, "best.safetensors", now);
        cr_expect_str_eq(now, best, "resume %d changed the best", i);
        digest_of(&run, "checkpoints/step-000000250.safetensors", now);
        cr_expect_str_eq(now, last, "resume %d wrote the last checkpoint again", i);
        cr_expect_eq(e2e_summary_number(&run, "best_step"), best_step);
        cr_expect_eq(e2e_summary_number(&run, "digit_accuracy"), accuracy);
        cr_expect_eq(e2e_summary_number(&run, "checkpoints_unscored"), 0);
    }
    e2e_end(&run);
}

/* The best so far gets all right, so that nothing that comes later can be better. */
static void perfect(const struct e2e *run, int step) {
    char path[400], copy[420], line[2048], key[64];
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run->run);
    snprintf(copy, sizeof copy, "%s.new", path);
    snprintf(key, sizeof key, "{\"step\": %d,", step);
    FILE *from = fopen(path, "re"), *to = fopen(copy, "we");
    cr_assert(from && to);
    while (fgets(line, sizeof line, from)) {
        json_t *values = json_loads(line, 0, NULL);
        if (strncmp(line, key, strlen(key)) == 0) {
            json_int_t count = json_integer_value(json_object_get(values, "count"));
            json_object_set_new(values, "digit_hits", json_integer(count));
            json_object_set_new(values, "sum_hits", json_integer(count));
        }
        char *text = json_dumps(values, JSON_REAL_PRECISION(15));
        fprintf(to, "%s\n", text);
        free(text);
        json_decref(values);
    }
    fclose(from);
    fclose(to);
    cr_assert_eq(rename(copy, path), 0);
}

Test(scored, the_best_outlives_a_resume) {
    struct e2e run;
    char before[SHA256_HEX], after[SHA256_HEX];
    whole_run(&run);
    int best = (int)e2e_summary_number(&run, "best_step");
    perfect(&run, best);
    digest_of(&run, "best.safetensors", before);
    begin_workers(&run);
    e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, resume(&run, ARGS("--steps", "450", "--keep", "1"))), 0);
    digest_of(&run, "best.safetensors", after);
    cr_expect_str_eq(after, before);
    cr_expect_eq(e2e_summary_number(&run, "best_step"), best);
    cr_expect_eq(e2e_summary_number(&run, "best_digit_accuracy"), 1);
    e2e_end(&run);
}

/* Both die, and nobody said that an evaluator is to be expected: the lines say that there was one.
 */
Test(scored, trainer_and_evaluator_down_together) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--keep", "1"));
    e2e_expect(&run, trainer, "step 63 scored");
    process_signal(&run.list[evaluator].process, SIGKILL, false);
    end_at_once(&run, trainer);
    cr_assert_eq(e2e_wait(&run, evaluator), 128 + SIGKILL);
    int second = resume(&run, ARGS("--keep", "1"));
    wait_for_checkpoint(&run, 250);
    evaluator = e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, second), 0);
    expect_lines(&run, 0);
    e2e_end(&run);
}

Test(scored, one_that_joins_late_is_waited_for_at_the_limit) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int trainer =
        e2e_trainer(&run, ARGS(USUAL, "--keep", "1", "--unscored", "3", "--expect-evaluator"));
    e2e_expect(&run, trainer, "waiting for an evaluator: 3 checkpoints unscored");
    e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    expect_lines(&run, 0);
    e2e_end(&run);
}

/* The other one scores on, and writes nothing down. */
Test(scored, the_evaluator_that_records_is_away) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    e2e_start(&run, "evaluator", "evaluator-2",
              ARGS("--join", "@ADDRESS", "--name", "evaluator-2"));
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--keep", "1"));
    e2e_expect(&run, trainer, "step 32 scored by evaluator-1");
    process_signal(&run.list[evaluator].process, SIGTERM, false);
    cr_assert_eq(e2e_wait(&run, evaluator), 130);
    e2e_expect(&run, trainer, "step 250 scored by evaluator-2");
    e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    expect_lines(&run, 0);
    e2e_end(&run);
}

Test(scored, without_any_evaluator_a_run_works_and_says_what_is_unscored) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--keep", "1"));
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_expect(e2e_logged(&run, trainer, "no evaluator joined: 12 checkpoints are unscored"));
    cr_expect_eq(e2e_summary_number(&run, "checkpoints_unscored"), 12);
    /* They are all there, and somebody may come yet. */
    begin_workers(&run);
    e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, resume(&run, ARGS("--expect-evaluator"))), 0);
    expect_lines(&run, 0);
    e2e_end(&run);
}

Test(scored, what_had_to_go_unscored_shows_in_the_status) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--keep", "1", "--unscored", "8"));
    cr_assert_eq(e2e_wait(&run, trainer), 1);
    cr_expect(
        e2e_logged(&run, trainer, "4 checkpoints were removed unscored, the first of step 32"));
    e2e_end(&run);
}

Test(scored, an_evaluator_that_never_comes_shows_in_the_status) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--expect-evaluator", "--drain", "1"));
    cr_assert_eq(e2e_wait(&run, trainer), 5);
    cr_expect(e2e_logged(&run, trainer,
                         "12 checkpoints are not scored, the first of step 32: no "
                         "evaluator reported for 1 s"));
    e2e_end(&run);
}

/* Truncated, deleted, not to be opened: named, and all others are scored. */
Test(scored, a_file_that_cannot_be_read_holds_up_no_other) {
    static const char *const words[] = {"is shorter than it was", "No such file or directory",
                                        "Too many levels of symbolic links"};
    for (int i = 0; i < 3; i++) {
        struct e2e run;
        char path[400];
        e2e_begin(&run);
        begin_workers(&run);
        int trainer = e2e_trainer(&run, ARGS(USUAL, "--keep", "1", "--expect-evaluator"));
        wait_for_checkpoint(&run, 125);
        checkpoint_path(&run, 94, path);
        if (i == 0)
            cr_assert_eq(truncate(path, 5000), 0);
        else
            cr_assert_eq(unlink(path), 0);
        if (i == 2)
            cr_assert_eq(symlink(path, path), 0);
        int evaluator = e2e_evaluator(&run, "evaluator-1");
        cr_assert_eq(e2e_wait(&run, trainer), 1);
        cr_expect(e2e_logged(&run, evaluator, words[i]), "%s", words[i]);
        cr_expect(e2e_logged(&run, evaluator, "step 94 cannot be scored"));
        cr_expect(
            e2e_logged(&run, trainer, "1 checkpoints could not be scored, the first of step 94"));
        expect_lines(&run, 94);
        /* It stays so: what is not there cannot be scored by the next one either. */
        begin_workers(&run);
        e2e_evaluator(&run, "evaluator-1");
        int second = resume(&run, ARGS("--drain", "20"));
        cr_expect_eq(e2e_wait(&run, second), 1);
        cr_expect(e2e_logged(&run, second, "were not scored and are gone, the first of step 94"));
        expect_lines(&run, 94);
        e2e_end(&run);
    }
}

/* Time in which the trainer stood still is not silence of the evaluator. Here time is the matter.
 */
Test(scored, a_trainer_that_was_stopped_does_not_give_up) {
    struct e2e run;
    e2e_begin(&run);
    begin_workers(&run);
    int trainer = e2e_trainer(&run, ARGS(USUAL, "--expect-evaluator", "--drain", "4"));
    wait_for_checkpoint(&run, 250);
    process_signal(&run.list[trainer].process, SIGSTOP, false);
    e2e_evaluator(&run, "evaluator-1");
    nanosleep(&(struct timespec){.tv_sec = 6}, NULL);
    process_signal(&run.list[trainer].process, SIGCONT, false);
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    expect_lines(&run, 0);
    e2e_end(&run);
}

Test(scored, a_run_of_another_format_is_refused_in_one_line) {
    struct e2e run;
    char path[400];
    whole_run(&run);
    static const int kept[] = {157, 188, 200, 219, 250};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        uint8_t *bytes, digest[SHA256_SIZE];
        char hex[SHA256_HEX];
        size_t size;
        checkpoint_path(&run, kept[i], path);
        cr_assert_eq(checkpoint_load(path, &bytes, &size, NULL), 0, "%s", path);
        memcpy(memmem(bytes, size, "digitsum-3", 10), "digitsum-2", 10);
        char *key = memmem(bytes, size, "\"sha256\":\"", 10);
        memset(key + 10, '0', 64);
        sha256_bytes(bytes, size, digest);
        sha256_hex(digest, hex);
        memcpy(key + 10, hex, 64);
        cr_assert_eq(file_write(path, bytes, size, NULL), 0);
        free(bytes);
    }
    int trainer = resume(&run, (const char *const[]){NULL});
    cr_assert_eq(e2e_wait(&run, trainer), 2);
    cr_expect_eq(e2e_count(&run, trainer, "its format is 'digitsum-2'"), 1);
    cr_expect_eq(e2e_count(&run, trainer, "trying the previous one"), 0);
    e2e_end(&run);
}
