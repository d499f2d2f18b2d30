/* summary.json as it is written, and read again whatever is in it. */
#include "common/summary.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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
    strcpy(summary.computed_with, "{\"threads\": 2, \"library\": \"oneDNN 2.6.3\"}");
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
    summary = (struct summary)SUMMARY_INIT;
    json_t *values = written(&summary);
    for (int i = 0; i < 5; i++)
        cr_expect(json_is_null(json_object_get(values, keys[i])), "%s", keys[i]);
    cr_expect_eq(real(values, "best_step"), 0);
    cr_expect(json_is_false(json_object_get(values, "finished")));
    json_decref(values);

    summary = usual();
    summary.digit_accuracy = INFINITY; /* JSON has no such number */
    values = written(&summary);        /* takes the place of the older one */
    cr_expect(json_is_null(json_object_get(values, "digit_accuracy")));
    json_decref(values);
}

Test(summary, is_read_as_it_was_written) {
    struct summary summary = usual(), read = SUMMARY_INIT;
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/summary.json", folder);
    cr_expect_eq(summary_read(&read, path, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "summary.json: No such file"), "%s", error.text);
    cr_expect(isnan(read.seconds_to_target));
    strcpy(summary.computed_with, "{\"threads\":2}");
    summary.seed = UINT64_MAX - 1;
    json_t *first = written(&summary);
    cr_assert_eq(summary_read(&read, path, &error), 0, "%s", error.text);
    cr_expect_eq(read.seed, UINT64_MAX - 1);
    json_t *second = written(&read);
    cr_expect(json_equal(first, second), "nothing is lost");
    json_decref(first);
    json_decref(second);
    summary.seconds_to_target = NAN;
    summary.computed_with[0] = '\0';
    json_decref(written(&summary));
    cr_assert_eq(summary_read(&read, path, &error), 0, "%s", error.text);
    cr_expect_eq(read.seconds, 12.5);
    cr_expect(isnan(read.seconds_to_target));
    cr_expect_str_empty(read.computed_with);
}

Test(summary, a_folder_that_is_not_there) {
    struct summary summary = usual();
    cr_expect_eq(summary_write(&summary, "/nonexistent", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "/nonexistent"), "%s", error.text);
}

static const char good[] =
    "{\"network\": \"quick\", \"parameters\": 20393, \"dataset\": \"MNIST\", \"engine\": \"cpu\","
    " \"precision\": \"bf16\", \"seed\": 1, \"steps\": 4688, \"epochs\": 10.001,"
    " \"digit_accuracy\": 0.9941, \"sum_accuracy\": 0.994, \"best_step\": 4221,"
    " \"weights_sha256\": \"abcd\", \"seconds\": 41.25, \"seconds_to_target\": 6.8,"
    " \"seconds_waiting\": 0.5, \"longest_wait\": 0.125, \"images_per_second\": 14562.2, "
    "\"batches_consumed\": 4688, \"batches_duplicated\": 3,"
    " \"batches_released_again\": 12, \"another\": [1]}";

/* `good` with the first `old` replaced by `new`. */
static const char *with(const char *old, const char *new) {
    static char text[2048];
    const char *at = strstr(good, old);
    cr_assert_not_null(at, "%s", old);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, new, at + strlen(old));
    return text;
}

static int read_text(const char *text, struct summary *summary) {
    char path[SCRATCH_PATH];
    scratch_write(folder, "summary.json", text, path);
    return summary_read(summary, path, &error);
}

Test(summary, reads_every_field) {
    struct summary summary;
    cr_assert_eq(read_text(good, &summary), 0, "%s", error.text);
    cr_expect_str_eq(summary.network, "quick");
    cr_expect_str_eq(summary.dataset, "MNIST");
    cr_expect_str_eq(summary.weights_sha256, "abcd");
    cr_expect_eq(summary.parameters, 20393);
    cr_expect_eq(summary.steps, 4688);
    cr_expect_eq(summary.best_step, 4221);
    cr_expect_eq(summary.digit_accuracy, 0.9941);
    cr_expect_eq(summary.seconds_to_target, 6.8);
    cr_expect_eq(summary.batches_released_again, 12);
    cr_expect(isnan(summary.best_sum_accuracy), "older files have none");
    cr_assert_eq(
        read_text(with("\"seconds_to_target\": 6.8", "\"seconds_to_target\": null"), &summary), 0,
        "%s", error.text);
    cr_expect(isnan(summary.seconds_to_target));
}

static void expect_corrupt(const char *text, const char *words) {
    struct summary summary = {.steps = 7};
    cr_expect_eq(read_text(text, &summary), -1, "%s", text);
    cr_expect_eq(error.code, ERROR_CORRUPT, "%s", text);
    cr_expect(strstr(error.text, words), "'%s' lacks '%s'", error.text, words);
    cr_expect_eq(summary.steps, 7, "nothing may be filled in");
}

Test(summary, refuses_what_makes_no_sense) {
    expect_corrupt("", "not a JSON object");
    expect_corrupt("[1]", "it is something else");
    expect_corrupt("{}", "'network' is missing, expected a text");
    expect_corrupt(with("\"quick\"", "5"), "'network' is not usable, expected a text");
    expect_corrupt(with("4688", "-1"), "'steps' is not usable, expected a whole number");
    expect_corrupt(with("4688", "1.5"), "'steps' is not usable");
    expect_corrupt(with("0.9941", "1.01"), "'digit_accuracy' is not usable");
    expect_corrupt(with("41.25", "null"), "'seconds' is not usable, expected a number");
    expect_corrupt(with("\"seconds\": 41.25, ", ""), "'seconds' is missing");
    for (size_t cut = 0; cut < sizeof good - 1; cut += 7) {
        char torn[sizeof good];
        memcpy(torn, good, cut);
        torn[cut] = '\0';
        expect_corrupt(torn, "not a JSON object");
    }
    char *huge = malloc(SUMMARY_MAX + 2);
    cr_assert_not_null(huge);
    memset(huge, ' ', SUMMARY_MAX + 1);
    huge[SUMMARY_MAX + 1] = '\0';
    expect_corrupt(huge, "is larger than 1048576 bytes");
    free(huge);
}

Test(summary, texts_that_are_none_among_the_warnings) {
    struct summary summary;
    cr_assert_eq(
        read_text(with("\"another\": [1]", "\"warnings\": [\"one\", 7, \"two\"]"), &summary), 0,
        "%s", error.text);
    cr_expect_eq(summary.warnings.count, 2);
    cr_expect_str_eq(summary.warnings.texts[1], "two");
}
