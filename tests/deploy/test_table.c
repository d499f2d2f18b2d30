/* The table at a run's end, whatever is in its summary. */
#include "deploy/table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct summary usual(void) {
    return (struct summary){.network = "quick",
                            .parameters = 20393,
                            .dataset = "MNIST",
                            .engine = "cpu",
                            .precision = "bf16",
                            .seed = 1,
                            .steps = 4688,
                            .epochs = 10.001,
                            .digit_accuracy = 0.9941,
                            .sum_accuracy = 0.994,
                            .best_step = 4221,
                            .weights_sha256 = "abcd",
                            .seconds = 41.25,
                            .seconds_to_target = 6.8,
                            .seconds_waiting = 0.5,
                            .longest_wait = 0.125,
                            .images_per_second = 14562.2,
                            .batches_consumed = 4688,
                            .batches_duplicated = 3,
                            .batches_released_again = 12};
}

Test(table, of_a_usual_run) {
    struct summary summary = usual();
    struct evaluation last = {.count = 10000,
                              .digit_hits = 9941,
                              .sum_hits = 9940,
                              .loss = 0.0451,
                              .digit_loss = 0.02213,
                              .sum_loss = 0.02297};
    char *table = table_text(&summary, &last, "runs/first", false);
    cr_expect_str_eq(table, "  network          quick, 20,393 parameters\n"
                            "  dataset          MNIST\n"
                            "  engine           cpu, bf16\n"
                            "  loss             0.0451\n"
                            "  digit loss       0.0221\n"
                            "  sum loss         0.0230\n"
                            "  digit accuracy   99.41 % [99.24, 99.54]\n"
                            "  sum accuracy     99.40 % [99.23, 99.53]\n"
                            "  best step        4,221\n"
                            "  trained          4,688 steps, 10 epochs, seed 1\n"
                            "  time             41.2 s, 14,562 images/s\n"
                            "  waited for data  0.5 s in total, 0.1 s at most\n"
                            "  to the target    6.8 s\n"
                            "  batches          4,688 used once each, 3 duplicates, 12 re-leased\n"
                            "  weights SHA-256\n    abcd\n"
                            "  folder           runs/first\n");
    free(table);
}

Test(table, shows_what_the_bits_depend_on) {
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
        struct summary summary = usual();
        strcpy(summary.computed_with, rows[i].computed);
        char *table = table_text(&summary, NULL, "runs/first", false);
        cr_expect(strstr(table, rows[i].row), "%s", table);
        free(table);
    }
}

Test(table, ends_with_the_warnings) {
    struct summary summary = usual();
    notices_add(&summary.warnings, "the loss is not a number since step 12");
    notices_add(&summary.warnings, "all 600 training images are of one value (0): if they are "
                                   "transparent, their ink may be in the alpha channel");
    char *table = table_text(&summary, NULL, "runs/first", false);
    const char *expected =
        "  folder           runs/first\n"
        "  warning          the loss is not a number since step 12\n"
        "  warning          all 600 training images are of one value (0): if they are\n"
        "                   transparent, their ink may be in the alpha channel\n";
    cr_assert(strlen(table) > strlen(expected));
    cr_expect_str_eq(table + strlen(table) - strlen(expected), expected);
    free(table);
}

Test(table, shows_what_is_missing_and_what_is_not_mnist) {
    struct summary summary = usual();
    strcpy(summary.dataset, "synthetic digits");
    summary.digit_accuracy = summary.seconds_to_target = NAN;
    char *table = table_text(&summary, NULL, "runs/\033x", true);
    cr_expect(strstr(table, "synthetic digits  (these are NOT MNIST figures)"), "%s", table);
    cr_expect(strstr(table, "digit accuracy   -\n"), "%s", table);
    cr_expect(strstr(table, "to the target    not reached\n"), "%s", table);
    cr_expect(strstr(table, "folder           runs/?x\n"), "%s", table);
    free(table);
    cr_expect(table_is_synthetic("Synthetic digits"));
    cr_expect_not(table_is_synthetic("MNIST"));
}
