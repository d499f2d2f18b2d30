/* summary.json as others read it. */
#include "tests/support/scratch.h"
#include "trainer/summary.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[64];
static struct error error;

static void setup(void) {
    scratch_begin(folder);
}

static void teardown(void) {
    scratch_end(folder);
}

TestSuite(summary, .init = setup, .fini = teardown);

static struct summary usual(void) {
    return (struct summary){.network = "quick",
                            .parameters = 18474,
                            .dataset = "MNIST",
                            .engine = "cpu",
                            .precision = "bf16",
                            .threads = 2,
                            .seed = UINT64_C(9007199254740991),
                            .steps = 469,
                            .epochs = 1.5,
                            .scored = true,
                            .digit_accuracy = 0.9925,
                            .sum_accuracy = 0.99,
                            .best_step = 235,
                            .best_digit_accuracy = 0.9931,
                            .best_sum_accuracy = 0.9917,
                            .weights_sha256 = "aa",
                            .chain_sha256 = "bb",
                            .seconds = 12.5,
                            .seconds_to_target = 6.25,
                            .seconds_waiting = 0.75,
                            .longest_wait = 0.125,
                            .images_per_second = 30000,
                            .batches_consumed = 469,
                            .batches_duplicated = 1,
                            .batches_released_again = 2,
                            .messages_rejected = 3,
                            .checkpoints_unscored = 4,
                            .finished = true,
                            .warnings = {.count = 1, .texts = {"no 4 among the training labels"}}};
}

static json_t *written(const struct summary *summary) {
    char path[SCRATCH_PATH];
    json_error_t reason;
    cr_assert_eq(summary_write(summary, folder, &error), 0, "%s", error.text);
    cr_expect_eq(scratch_count(folder), 1, "nothing is left aside");
    snprintf(path, sizeof path, "%s/summary.json", folder);
    json_t *values = json_load_file(path, JSON_REJECT_DUPLICATES, &reason);
    cr_assert_not_null(values, "%s", reason.text);
    return values;
}

static double real(const json_t *values, const char *key) {
    const json_t *value = json_object_get(values, key);
    cr_assert(json_is_number(value), "%s", key);
    return json_number_value(value);
}

static void expect_text(const json_t *values, const char *key, const char *expected) {
    const char *text = json_string_value(json_object_get(values, key));
    cr_assert_not_null(text, "%s", key);
    cr_expect_str_eq(text, expected);
}

Test(summary, has_every_figure) {
    struct summary summary = usual();
    summary.computed_with = "{\"threads\": 2, \"library\": \"oneDNN 2.6.3\"}";
    json_t *values = written(&summary);
    expect_text(json_object_get(values, "computed_with"), "library", "oneDNN 2.6.3");
    expect_text(values, "network", "quick");
    expect_text(values, "dataset", "MNIST");
    expect_text(values, "engine", "cpu");
    expect_text(values, "precision", "bf16");
    expect_text(values, "weights_sha256", "aa");
    expect_text(values, "chain_sha256", "bb");
    cr_expect(json_is_false(json_object_get(values, "synthetic")));
    cr_expect(json_is_true(json_object_get(values, "finished")));
    static const struct {
        const char *key;
        double value;
    } figures[] = {{"parameters", 18474},
                   {"threads", 2},
                   {"seed", 9007199254740991.0},
                   {"steps", 469},
                   {"epochs", 1.5},
                   {"digit_accuracy", 0.9925},
                   {"sum_accuracy", 0.99},
                   {"best_step", 235},
                   {"best_digit_accuracy", 0.9931},
                   {"best_sum_accuracy", 0.9917},
                   {"seconds", 12.5},
                   {"seconds_to_target", 6.25},
                   {"seconds_waiting", 0.75},
                   {"longest_wait", 0.125},
                   {"images_per_second", 30000},
                   {"batches_consumed", 469},
                   {"batches_duplicated", 1},
                   {"batches_released_again", 2},
                   {"messages_rejected", 3},
                   {"checkpoints_unscored", 4}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        cr_expect_eq(real(values, figures[i].key), figures[i].value, "%s", figures[i].key);
    const json_t *warnings = json_object_get(values, "warnings");
    cr_expect_eq(json_array_size(warnings), 1);
    cr_expect_str_eq(json_string_value(json_array_get(warnings, 0)),
                     "no 4 among the training labels");
    cr_expect_eq(json_object_size(values), 10 + sizeof figures / sizeof *figures);
    json_decref(values);
}

Test(summary, what_was_not_measured_is_null) {
    struct summary summary = usual();
    static const char *const keys[] = {"digit_accuracy", "sum_accuracy", "best_digit_accuracy",
                                       "best_sum_accuracy", "seconds_to_target"};
    summary.scored = summary.finished = false;
    summary.best_step = 0;
    summary.seconds_to_target = -1;
    json_t *values = written(&summary);
    for (int i = 0; i < 5; i++)
        cr_expect(json_is_null(json_object_get(values, keys[i])), "%s", keys[i]);
    cr_expect_eq(real(values, "best_step"), 0);
    cr_expect(json_is_false(json_object_get(values, "finished")));
    json_decref(values);

    summary.scored = true;
    summary.digit_accuracy = NAN; /* JSON has no such number */
    values = written(&summary);   /* takes the place of the older one */
    cr_expect(json_is_null(json_object_get(values, "digit_accuracy")));
    json_decref(values);
}

Test(summary, figures_of_a_stopped_run_go_on) {
    struct summary summary = usual();
    double seconds = 5, target = 5;
    summary_earlier(folder, &seconds, &target);
    cr_expect_eq(seconds, 0);
    cr_expect_lt(target, 0);
    json_decref(written(&summary));
    summary_earlier(folder, &seconds, &target);
    cr_expect_eq(seconds, 12.5);
    cr_expect_eq(target, 6.25);
    summary.seconds_to_target = -1;
    json_decref(written(&summary));
    summary_earlier(folder, &seconds, &target);
    cr_expect_eq(seconds, 12.5);
    cr_expect_lt(target, 0);

    char path[SCRATCH_PATH];
    static const char *const broken[] = {"", "{", "[1]", "{\"seconds\": \"x\"}"};
    for (int i = 0; i < 4; i++) {
        scratch_write(folder, "summary.json", broken[i], path);
        summary_earlier(folder, &seconds, &target);
        cr_expect_eq(seconds, 0);
        cr_expect_lt(target, 0);
    }
}

Test(summary, a_folder_that_is_not_there) {
    struct summary summary = usual();
    cr_expect_eq(summary_write(&summary, "/nonexistent", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "/nonexistent"), "%s", error.text);
}
