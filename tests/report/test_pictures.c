/* The pictures: whole files whatever the evaluations are. */
#include "report/axis.h"
#include "report/pictures.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct evaluation evaluation_of(uint64_t step) {
    struct evaluation evaluation = {.step = step,
                                    .epoch = (double)step / 100,
                                    .loss = 1.0 / (double)step,
                                    .count = 10000,
                                    .digit_hits = (uint32_t)(10000 - 5000 / step),
                                    .sum_hits = (uint32_t)(10000 - 6000 / step)};
    memset(evaluation.checkpoint_sha256, 'a', 64);
    return evaluation;
}

static size_t read_file(const char *folder, const char *name, uint8_t *bytes, size_t size) {
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s is not there", path);
    size_t got = fread(bytes, 1, size, file);
    fclose(file);
    return got;
}

Test(pictures, draws_any_number_of_evaluations) {
    char folder[64], plots[80];
    static const size_t counts[] = {0, 1, 2, 1000};
    static uint8_t bytes[1 << 16];
    struct evaluation *list = calloc(1000, sizeof *list);
    struct error error;
    scratch_begin(folder);
    snprintf(plots, sizeof plots, "%s/plots", folder);
    for (uint64_t i = 0; i < 1000; i++)
        list[i] = evaluation_of(i + 1);
    list[1].loss = NAN;
    list[999].digit_hits = 10000; /* no error at all, on a logarithmic scale */
    struct results results = {
        .run = "a <run> & more", .dataset = "synthetic digits", .synthetic = true, .list = list};
    for (int i = 0; i < 4; i++) {
        results.count = counts[i];
        cr_assert_eq(pictures_draw(&results, plots, &error), 0, "%s", error.text);
        cr_expect_eq(scratch_count(plots), 4, "with %zu evaluations", counts[i]);
        read_file(plots, "accuracy.svg", bytes, sizeof bytes);
        cr_expect(memcmp(bytes, "<?xml", 5) == 0 || memcmp(bytes, "<svg", 4) == 0);
        cr_assert_geq(read_file(plots, "loss.png", bytes, sizeof bytes), 8);
        cr_expect_arr_eq(bytes, "\x89PNG\r\n\x1a\n", 8);
    }
    char path[SCRATCH_PATH];
    scratch_write(plots, "loss.png.part", "half", path); /* a crash */
    cr_expect_eq(pictures_draw(&results, plots, &error), 0, "%s", error.text);
    cr_expect_eq(scratch_count(plots), 4);
    cr_expect_eq(pictures_draw(&results, "/nowhere/at/all", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    free(list);
    scratch_end(folder);
}

Test(pictures, long_runs_are_thinned_out_but_for_their_end) {
    enum { MANY = 20000 };
    char folder[64], plots[80];
    static uint8_t one[1 << 20], other[1 << 20];
    struct evaluation *list = calloc(MANY, sizeof *list);
    struct error error;
    struct results results = {.run = "run", .dataset = "MNIST", .list = list, .count = MANY};
    scratch_begin(folder);
    snprintf(plots, sizeof plots, "%s/plots", folder);
    for (uint64_t i = 0; i < MANY; i++)
        list[i] = evaluation_of(i + 1);
    cr_assert_eq(pictures_draw(&results, plots, &error), 0, "%s", error.text);
    size_t size = read_file(plots, "accuracy.svg", one, sizeof one);
    cr_expect_lt(size, sizeof one / 2, "%zu bytes", size);
    list[MANY - 1].digit_hits = 1234;
    cr_assert_eq(pictures_draw(&results, plots, &error), 0, "%s", error.text);
    size_t again = read_file(plots, "accuracy.svg", other, sizeof other);
    cr_expect(size != again || memcmp(one, other, size) != 0, "the last one is not shown");
    free(list);
    scratch_end(folder);
}

/* The step between two ticks was rounded to 0, and no number of them reached the end. */
Test(pictures, axis_of_next_to_nothing_ends, .timeout = 20) {
    static const double ends[] = {5e-324, 1e-308, 1e-301, 1e-299, -1, NAN, INFINITY, 1e9};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct axis axis = axis_linear(ends[i]);
        cr_expect_lt(axis.low, axis.high, "up to %g", ends[i]);
        cr_expect_geq(axis.count, 2, "up to %g", ends[i]);
        cr_expect_leq(axis.count, 12, "up to %g", ends[i]);
    }
}

/* The next path filled at 15 %, which cairo 1.16 writes as a style and 1.18 as an attribute. */
static char *next_band(char *text) {
    static const char opacity[] = "fill-opacity";
    for (char *at = text; (at = strstr(at, opacity)); at += sizeof opacity - 1) {
        const char *value = at + sizeof opacity - 1;
        value += strspn(value, ":=\"");
        if (strncmp(value, "0.15", 4) == 0)
            return at;
    }
    return NULL;
}

/* A band goes along the upper ends of the intervals and back along the lower ones, and nowhere
 * else: not to where a text before it ended. */
Test(pictures, bands_have_two_points_for_each_evaluation) {
    char folder[64], plots[80];
    static char text[1 << 18];
    struct evaluation list[3] = {evaluation_of(10), evaluation_of(20), evaluation_of(30)};
    struct results results = {.run = "run", .dataset = "MNIST", .list = list, .count = 3};
    struct error error;
    int bands = 0;
    scratch_begin(folder);
    snprintf(plots, sizeof plots, "%s/plots", folder);
    cr_assert_eq(pictures_draw(&results, plots, &error), 0, "%s", error.text);
    text[read_file(plots, "accuracy.svg", (uint8_t *)text, sizeof text - 1)] = '\0';
    for (char *band = text; (band = next_band(band)); band++, bands++) {
        char *path = strstr(band, "d=\"M "), *end = path ? strstr(path, "/>") : NULL;
        int points = 1;
        cr_assert_not_null(end);
        for (char *at = path; at < end; at++)
            points += at[0] == ' ' && at[1] == 'L' && at[2] == ' ';
        cr_expect_eq(points, 6, "%d points", points);
    }
    cr_expect_eq(bands, 2, "%d bands", bands);
    scratch_end(folder);
}

/* Nobody may take figures on synthetic digits for MNIST's: not where the dataset is not known
 * either. The box is the only fill of its colour. */
Test(pictures, warn_of_data_that_is_not_known_to_be_MNIST) {
    static const struct {
        const char *dataset;
        bool synthetic, warns;
    } cases[] = {{"MNIST", false, false}, {"synthetic digits", true, true}, {"", false, true}};
    char folder[64];
    static char text[1 << 18];
    struct evaluation evaluation = evaluation_of(10);
    struct error error;
    scratch_begin(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct results results = {
            .run = "run", .synthetic = cases[i].synthetic, .list = &evaluation, .count = 1};
        strcpy(results.dataset, cases[i].dataset);
        cr_assert_eq(pictures_draw(&results, folder, &error), 0, "%s", error.text);
        text[read_file(folder, "loss.svg", (uint8_t *)text, sizeof text - 1)] = '\0';
        bool warns = strstr(text, "rgb(75%,11%,11%)") || strstr(text, "rgb(75%, 11%, 11%)");
        cr_expect_eq(warns, cases[i].warns, "'%s'", cases[i].dataset);
    }
    scratch_end(folder);
}
