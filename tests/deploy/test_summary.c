/* What a finished run left: good files, missing ones, and files that make no sense. */
#include "deploy/summary.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int read_text(const char *text, struct summary *summary, struct error *error) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    scratch_write(folder, "summary.json", text, path);
    int status = summary_read(path, summary, error);
    scratch_end(folder);
    return status;
}

Test(summary, reads_every_field) {
    struct summary summary;
    struct error error;
    cr_assert_eq(read_text(good, &summary, &error), 0, "%s", error.text);
    cr_expect_str_eq(summary.network, "quick");
    cr_expect_str_eq(summary.dataset, "MNIST");
    cr_expect_str_eq(summary.weights_sha256, "abcd");
    cr_expect_eq(summary.parameters, 20393);
    cr_expect_eq(summary.steps, 4688);
    cr_expect_eq(summary.best_step, 4221);
    cr_expect_eq(summary.digit_accuracy, 0.9941);
    cr_expect_eq(summary.seconds_to_target, 6.8);
    cr_expect_eq(summary.batches_released_again, 12);
    cr_assert_eq(read_text(with("\"seconds_to_target\": 6.8", "\"seconds_to_target\": null"),
                           &summary, &error),
                 0, "%s", error.text);
    cr_expect(isnan(summary.seconds_to_target));
}

static void expect_corrupt(const char *text, const char *words) {
    struct summary summary = {.steps = 7};
    struct error error = {0};
    cr_expect_eq(read_text(text, &summary, &error), -1, "%s", text);
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
    char *huge = malloc(SUMMARY_MAXIMUM + 2);
    cr_assert_not_null(huge);
    memset(huge, ' ', SUMMARY_MAXIMUM + 1);
    huge[SUMMARY_MAXIMUM + 1] = '\0';
    expect_corrupt(huge, "is larger than 1048576 bytes");
    free(huge);
}

Test(summary, missing_file_is_told) {
    struct summary summary;
    struct error error;
    cr_expect_eq(summary_read("/nonexistent/summary.json", &summary, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "/nonexistent/summary.json: No such file"), "%s", error.text);
}

struct seen {
    int count;
    struct form_scores last;
};

static void take(const struct form_scores *scores, void *context) {
    struct seen *seen = context;
    seen->count++;
    seen->last = *scores;
}

#define EVALUATION                                                                                 \
    "{\"step\": 469, \"epoch\": 1.0, \"samples\": 60032, \"loss\": 0.05, \"digit_accuracy\": "     \
    "0.9897, \"sum_accuracy\": 0.9872, \"digit_interval\": [0.9875, 0.9915], \"sum_interval\": "   \
    "[0.9848, 0.9892], \"checkpoint_sha256\": \"00\", \"seconds\": 3.9}"

Test(summary, evaluations_skip_what_is_none) {
    char folder[64], path[SCRATCH_PATH];
    struct seen seen = {0};
    scratch_begin(folder);
    scratch_write(folder, "evaluations.jsonl",
                  "\n{}\nnonsense\n" EVALUATION "\n{\"step\": -1}\n" EVALUATION, path);
    cr_expect_eq(summary_evaluations(path, take, &seen), 1, "the last line is torn");
    cr_expect_eq(seen.count, 1);
    cr_expect_eq(seen.last.step, 469);
    cr_expect_eq(seen.last.digit_low, 0.9875);
    cr_expect_eq(seen.last.sum_high, 0.9892);

    /* A line that is too long is skipped as a whole, and what follows is read. */
    char *text = malloc(3 * SUMMARY_LINE_MAXIMUM);
    cr_assert_not_null(text);
    memset(text, ' ', 2 * SUMMARY_LINE_MAXIMUM);
    strcpy(text + 2 * SUMMARY_LINE_MAXIMUM, EVALUATION "\n" EVALUATION "\n");
    scratch_write(folder, "evaluations.jsonl", text, path);
    free(text);
    cr_expect_eq(summary_evaluations(path, take, &seen), 1);
    scratch_end(folder);
    cr_expect_eq(summary_evaluations("/nonexistent", take, &seen), 0);
}

Test(summary, table) {
    struct summary summary;
    struct error error;
    struct form_scores last = {
        .digit_low = 0.9924, .digit_high = 0.9954, .sum_low = 0.9923, .sum_high = 0.9953};
    cr_assert_eq(read_text(good, &summary, &error), 0);
    char *table = summary_table(&summary, &last, "runs/first", false);
    cr_expect_str_eq(table,
                     "  network          quick, 20,393 parameters\n"
                     "  dataset          MNIST\n"
                     "  engine           cpu, bf16\n"
                     "  digit accuracy   99.41 %  [99.24, 99.54]\n"
                     "  sum accuracy     99.40 %  [99.23, 99.53]\n"
                     "  best step        4,221\n"
                     "  trained          4,688 steps, 10 epochs, seed 1\n"
                     "  time             41.2 s, 14,562 images/s\n"
                     "  waited for data  0.5 s in all, 0.1 s at most\n"
                     "  to the target    6.8 s\n"
                     "  batches          4,688 used once each, 3 duplicates, 12 leased again\n"
                     "  weights SHA-256\n    abcd\n"
                     "  folder           runs/first\n");
    free(table);
}

Test(summary, table_shows_what_the_bits_depend_on) {
    static const struct {
        const char *computed, *row;
    } rows[] = {
        {"{\"threads\": 2, \"instructions\": \"AVX2\", \"library\": \"oneDNN 2.6.3 (52b5f1)\"}",
         "engine           cpu, bf16, 2 threads, AVX2, oneDNN 2.6.3\n"},
        {"{\"threads\": 1, \"instructions\": \"SSE41\", \"library\": \"oneDNN 3.1\"}",
         "engine           cpu, bf16, 1 thread, SSE41, oneDNN 3.1\n"},
        {"{\"threads\": 0, \"instructions\": \"compute capability 9.0\", \"library\": \"CUDA "
         "13.0\"}",
         "engine           cpu, bf16, compute capability 9.0, CUDA 13.0\n"},
        {"{\"threads\": \"many\", \"instructions\": 3}", "engine           cpu, bf16\n"},
        {"[1]", "engine           cpu, bf16\n"},
        {"{\"threads\": -1, \"library\": \"\\u001b[31m (\"}",
         "engine           cpu, bf16, ?[31m\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct summary summary;
        struct error error;
        char computed[300];
        snprintf(computed, sizeof computed, "\"computed_with\": %s", rows[i].computed);
        cr_assert_eq(read_text(with("\"another\": [1]", computed), &summary, &error), 0, "%s",
                     error.text);
        char *table = summary_table(&summary, NULL, "runs/first", false);
        cr_expect(strstr(table, rows[i].row), "%s", table);
        free(table);
    }
}

Test(summary, table_ends_with_the_warnings) {
    struct summary summary;
    struct error error;
    cr_assert_eq(read_text(with("\"another\": [1]",
                                "\"warnings\": [\"the loss is not a number since step 12\", 7, "
                                "\"all 600 training images are of one value (0): if they are "
                                "transparent, their ink may be in the alpha channel\"]"),
                           &summary, &error),
                 0, "%s", error.text);
    cr_expect_eq(summary.warnings.count, 2);
    char *table = summary_table(&summary, NULL, "runs/first", false);
    const char *expected =
        "  folder           runs/first\n"
        "  warning          the loss is not a number since step 12\n"
        "  warning          all 600 training images are of one value (0): if they are\n"
        "                   transparent, their ink may be in the alpha channel\n";
    cr_assert(strlen(table) > strlen(expected));
    cr_expect_str_eq(table + strlen(table) - strlen(expected), expected);
    free(table);
}

Test(summary, table_shows_what_is_missing_and_what_is_not_mnist) {
    struct summary summary;
    struct error error;
    cr_assert_eq(read_text(with("\"MNIST\"", "\"synthetic digits\""), &summary, &error), 0);
    summary.digit_accuracy = summary.seconds_to_target = NAN;
    char *table = summary_table(&summary, NULL, "runs/\033x", true);
    cr_expect(strstr(table, "synthetic digits  (these are NOT MNIST figures)"), "%s", table);
    cr_expect(strstr(table, "digit accuracy   -\n"), "%s", table);
    cr_expect(strstr(table, "to the target    not reached\n"), "%s", table);
    cr_expect(strstr(table, "folder           runs/?x\n"), "%s", table);
    free(table);
    cr_expect(summary_is_synthetic("Synthetic digits"));
    cr_expect_not(summary_is_synthetic("MNIST"));
}
