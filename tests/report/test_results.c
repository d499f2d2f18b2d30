/* What a run folder says about its results, whole or not. */
#include "report/results.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LINE(step, loss)                                                                           \
    "{\"step\": " step ", \"epoch\": 0.5, \"samples\": 640, \"loss\": " loss                       \
    ", \"digit_accuracy\": 0.5, \"sum_accuracy\": 0.25, \"digit_interval\": [0.4, 0.6], "          \
    "\"sum_interval\": [0.2, 0.3], \"checkpoint_sha256\": \"" SHA "\", \"seconds\": 1.5, "         \
    "\"count\": 100, \"digit_hits\": 50, \"sum_hits\": 25, \"epoch_end\": false, \"final\": "      \
    "false, "                                                                                      \
    "\"evaluator\": \"e\"}\n"

#define SUMMARY(dataset)                                                                           \
    "{\"network\": \"quick\", \"parameters\": 1, \"dataset\": " dataset                            \
    ", \"synthetic\": false, \"engine\": \"cpu\", \"precision\": \"f32\", \"seed\": 1, "           \
    "\"steps\": 1, "                                                                               \
    "\"epochs\": 1, \"digit_accuracy\": null, \"sum_accuracy\": null, \"best_step\": 0, "          \
    "\"weights_sha256\": \"\", \"seconds\": 1, \"seconds_to_target\": null, \"seconds_waiting\": " \
    "0, "                                                                                          \
    "\"longest_wait\": 0, \"images_per_second\": 0, \"batches_consumed\": 1, "                     \
    "\"batches_duplicated\": 0, \"batches_released_again\": 0}"

static char folder[64], path[SCRATCH_PATH];
static struct error error;
static struct results results;

static void setup(void) {
    scratch_begin(folder);
}

static void teardown(void) {
    results_free(&results);
    scratch_end(folder);
}

TestSuite(results, .init = setup, .fini = teardown);

static void expect_refused(enum error_code code, const char *words) {
    cr_expect_eq(results_read(folder, &results, &error), -1);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect_not_null(strstr(error.text, words), "expected '%s' in: %s", words, error.text);
}

Test(results, of_a_whole_run) {
    scratch_write(folder, "evaluations.jsonl", LINE("5", "1.25") LINE("10", "null"), path);
    scratch_write(folder, "summary.json", SUMMARY("\"MNIST\""), path);
    cr_assert_eq(results_read(folder, &results, &error), 0, "%s", error.text);
    cr_expect_str_eq(results.run, strrchr(folder, '/') + 1);
    cr_expect_str_eq(results.dataset, "MNIST");
    cr_expect_not(results.synthetic);
    cr_assert_eq(results.count, 2);
    cr_expect_eq(results.list[0].step, 5);
    cr_expect_eq(results.list[0].loss, 1.25);
    cr_expect_eq(results.list[0].digit_hits, 50);
    cr_expect_eq(results.list[1].step, 10);
    cr_expect(isnan(results.list[1].loss));
}

/* The run is going on: the last line is being written, and there is no summary. */
Test(results, of_a_run_that_goes_on) {
    cr_assert_eq(results_read(folder, &results, &error), 0, "%s", error.text);
    cr_expect_eq(results.count, 0);
    cr_expect_str_empty(results.dataset);
    scratch_write(folder, "evaluations.jsonl", LINE("5", "1") "{\"step\": 10, \"epo", path);
    cr_assert_eq(results_read(folder, &results, &error), 0, "%s", error.text);
    cr_expect_eq(results.count, 1);
}

Test(results, more_lines_than_the_list_begins_with) {
    char name[SCRATCH_PATH];
    scratch_write(folder, "evaluations.jsonl", "", name);
    FILE *file = fopen(name, "we");
    for (int i = 0; i < 1000; i++)
        fprintf(file, LINE("%d", "1"), i + 1);
    fclose(file);
    cr_assert_eq(results_read(folder, &results, &error), 0, "%s", error.text);
    cr_expect_eq(results.count, 1000);
    cr_expect_eq(results.list[999].step, 1000);
}

Test(results, are_named_after_the_folder_however_it_is_written) {
    char there[100], slash[104];
    snprintf(there, sizeof there, "%s/first", folder);
    cr_assert_eq(mkdir(there, 0777), 0);
    snprintf(slash, sizeof slash, "%s/", there);
    cr_assert_eq(results_read(slash, &results, &error), 0, "%s", error.text);
    cr_expect_str_eq(results.run, "first");
    cr_assert_eq(chdir(there), 0);
    cr_assert_eq(results_read(".", &results, &error), 0, "%s", error.text);
    cr_expect_str_eq(results.run, "first");
}

Test(results, that_are_none) {
    scratch_write(folder, "evaluations.jsonl", LINE("5", "1") "{}\n" LINE("10", "1"), path);
    expect_refused(ERROR_CORRUPT, "evaluations.jsonl:2: expected an evaluation");
    scratch_write(folder, "evaluations.jsonl", "", path);
    scratch_write(folder, "summary.json", SUMMARY("5"), path);
    expect_refused(ERROR_CORRUPT, "summary.json: 'dataset' is not usable, expected a text");
    scratch_write(folder, "summary.json", "{\"dataset\": ", path);
    expect_refused(ERROR_CORRUPT, "summary.json: not a JSON object");
    cr_expect_eq(results_read(path, &results, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID, "%s", error.text);
    cr_expect_eq(results_read("/nowhere", &results, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID, "%s", error.text);
}
