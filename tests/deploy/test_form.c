/* The forms in which people see a run, at any width and with any text. */
#include "common/display.h"
#include "deploy/form.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct form_state half_way(void) {
    return (struct form_state){.step = 704,
                               .steps = 4688,
                               .epoch = 1.50187,
                               .loss = 0.1234,
                               .digit = 0.9897,
                               .sum = 0.9872,
                               .tested = true,
                               .images_per_second = 31204.4,
                               .seconds = 8.12,
                               .pace_steps = 600,
                               .pace_seconds = 7.5};
}

Test(form, bar_at_full_width) {
    struct form_state state = half_way();
    char line[FORM_LINE];
    form_bar(&state, 130, true, line);
    /* 3,984 steps at 80 a second. */
    cr_expect_str_eq(line,
                     "epoch 2/10  #####-------------------------   15 %  50 s left  "
                     "31,204 images/s  loss 0.1234  test digit 98.97 %  sum 98.72 %  8.1 s",
                     "%s", line);
}

Test(form, bar_fits_every_width_and_leaves_out_the_least_important) {
    struct form_state state = half_way();
    char line[FORM_LINE];
    for (int columns = 0; columns <= 200; columns++) {
        for (int ascii = 0; ascii <= 1; ascii++) {
            form_bar(&state, columns, ascii, line);
            cr_assert_leq(display_columns(line), columns, "%d: %s", columns, line);
            char again[FORM_LINE];
            display_fit(again, sizeof again, line, columns, ascii);
            cr_assert_str_eq(line, again, "%d columns: not clean", columns);
        }
    }
    static const struct {
        int columns;
        const char *line;
    } cases[] = {
        {79, "epoch 2/10  #-------   15 %  50 s left  loss 0.1234  test digit 98.97 sum 98.72"},
        {70, "epoch 2/10  ##----------   15 %  50 s left  test digit 98.97 sum 98.72"},
        {60, "epoch 2/10  #--------  50 s left  test digit 98.97 sum 98.72"},
        {50, "epoch 2/10  ##--------  test digit 98.97 sum 98.72"},
        {39, "epoch 2  test digit 98.97 sum 98.72"},
        {20, "epoch 2  ##---------"},
        {7, "epoch 2"},
        {4, "epoc"},
        {-1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(form_bar(&state, cases[i].columns, true, line), cases[i].line);
}

Test(form, bar_at_the_ends) {
    char line[FORM_LINE];
    struct form_state state = {.digit = -1, .sum = -1};
    form_bar(&state, 60, true, line);
    cr_expect_eq(strncmp(line, "epoch 1  -----", 14), 0, "%s", line);
    cr_expect(strstr(line, "  0 %"), "%s", line);
    state = half_way();
    state.step = state.steps;
    state.epoch = 10.00107; /* the last batch is full too */
    form_bar(&state, 120, true, line);
    cr_expect_eq(strncmp(line, "epoch 10/10  #####", 18), 0, "%s", line);
    cr_expect(strstr(line, "100 %"), "%s", line);
    cr_expect_null(strstr(line, "left"), "%s", line);
    /* A quarter of an epoch is all there is: its bar runs to the end too. */
    state = (struct form_state){.step = 58, .steps = 116, .epoch = 0.125, .digit = -1, .sum = -1};
    form_bar(&state, 60, true, line);
    cr_expect(strstr(line, "epoch 1/1"), "%s", line);
    cr_expect(strstr(line, " 50 %"), "%s", line);
}

Test(form, waiting_is_told_instead_of_rates) {
    struct form_state state = half_way();
    char line[FORM_LINE];
    strcpy(state.waiting, "a loader (12 s)");
    form_bar(&state, 100, true, line);
    cr_expect(strstr(line, "waiting for a loader (12 s)"), "%s", line);
    cr_expect_null(strstr(line, "images/s"), "%s", line);
}

Test(form, plain_line) {
    struct form_state state = half_way();
    char line[FORM_LINE];
    cr_expect_str_eq(form_plain(&state, 120, line),
                     "epoch 1.50/10  step 704/4,688  50 s left  31,204 images/s  loss 0.1234  "
                     "test digit 98.97 %  sum 98.72 %  8.1 s");
    cr_expect_str_eq(form_plain(&state, 79, line),
                     "epoch 1.50/10  step 704/4,688  50 s left  test digit 98.97 sum 98.72  8.1 s");
    state.tested = false;
    state.steps = 1000;
    cr_expect(strstr(form_plain(&state, 79, line), "epoch 1.50/2.13  step 704/1,000  "), "%s",
              line);
    cr_expect(strstr(line, "train digit"), "%s", line);
}

/* What comes from the network may be anything. */
Test(form, no_number_breaks_a_line) {
    static const double values[] = {0, -1, 1e300, -1e300, NAN, INFINITY, -INFINITY, 0.5, 5e-324};
    const size_t count = sizeof values / sizeof *values;
    char line[FORM_LINE];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            Digitsum__Progress progress = DIGITSUM__PROGRESS__INIT;
            progress.step = j % 2 ? UINT64_MAX : 1;
            progress.steps = j % 3 ? UINT64_MAX : 0;
            progress.samples = 1;
            progress.epoch = values[i];
            progress.loss = values[j];
            progress.digit_accuracy = values[i];
            progress.sum_accuracy = values[j];
            progress.images_per_second = values[i];
            progress.seconds = values[j];
            struct form_state state = {0};
            form_take_progress(&state, &progress);
            for (int columns = 0; columns <= 160; columns += 20) {
                cr_assert_leq(display_columns(form_bar(&state, columns, i % 2, line)), columns);
                cr_assert_leq(display_columns(form_plain(&state, columns, line)), columns);
                cr_assert(!strstr(line, "nan") && !strstr(line, "inf"), "%s", line);
            }
        }
}

static void report_progress(struct form_state *state, uint64_t step, double seconds,
                            const char *waiting) {
    Digitsum__Progress progress = DIGITSUM__PROGRESS__INIT;
    progress.step = step;
    progress.steps = 10000;
    progress.seconds = seconds;
    progress.waiting = (char *)waiting;
    form_take_progress(state, &progress);
}

static void expect_left(const struct form_state *state, const char *expected) {
    char line[FORM_LINE];
    form_bar(state, 79, true, line);
    if (expected)
        cr_expect(strstr(line, expected), "'%s' lacks '%s'", line, expected);
    else
        cr_expect_null(strstr(line, "left"), "%s", line);
}

/* Of a run that went on at step 9,000 after 500 s: what it did before does not count. */
Test(form, time_left_is_told_once_it_can_be_known) {
    struct form_state state = {.digit = -1, .sum = -1};
    report_progress(&state, 9000, 500, "a loader");
    expect_left(&state, NULL);
    report_progress(&state, 9000, 520, NULL);
    expect_left(&state, NULL);
    report_progress(&state, 9005, 520.5, NULL);
    expect_left(&state, NULL); /* half a second is too little */
    report_progress(&state, 9012, 521.2, NULL);
    expect_left(&state, "1:39 left");
    report_progress(&state, 9400, 560, NULL);
    expect_left(&state, "1:00 left");
    report_progress(&state, 9410, 561, NULL);
    expect_left(&state, "59 s left");
    /* While nothing comes the end moves away, little by little; and it is not told then. */
    report_progress(&state, 9410, 571, "an augmenter");
    expect_left(&state, NULL);
    report_progress(&state, 9420, 572, NULL);
    expect_left(&state, "1:1");
    report_progress(&state, 10000, 630, NULL);
    expect_left(&state, NULL);
    /* Another run at the same address, or a clock that makes no sense. */
    report_progress(&state, 5, 1, NULL);
    expect_left(&state, NULL);
    report_progress(&state, 6, 0, NULL);
    report_progress(&state, 7, NAN, NULL);
    report_progress(&state, 8, 1e300, NULL);
    expect_left(&state, NULL);
}

Test(form, waiting_text_is_made_safe) {
    Digitsum__Progress progress = DIGITSUM__PROGRESS__INIT;
    struct form_state state = {0};
    char line[FORM_LINE], waiting[1000];
    progress.waiting = "a \033[31mloader\n";
    form_take_progress(&state, &progress);
    cr_expect_str_eq(state.waiting, "a ?[31mloader?");
    memset(waiting, 'x', sizeof waiting - 1);
    waiting[sizeof waiting - 1] = '\0';
    progress.waiting = waiting;
    form_take_progress(&state, &progress);
    cr_expect_eq(strlen(state.waiting), sizeof state.waiting - 1);
    cr_expect_leq(display_columns(form_bar(&state, 60, false, line)), 60);
}

Test(form, an_evaluation_outranks_training_accuracies) {
    Digitsum__Progress progress = DIGITSUM__PROGRESS__INIT;
    struct form_state state = {.digit = -1, .sum = -1};
    progress.samples = 128;
    progress.digit_accuracy = 0.5;
    progress.sum_accuracy = 0.25;
    form_take_progress(&state, &progress);
    cr_expect_eq(state.digit, 0.5);
    struct evaluation good = {.count = 10, .digit_hits = 9, .sum_hits = 8};
    form_take_evaluation(&state, &good);
    form_take_progress(&state, &progress);
    cr_expect_eq(state.digit, 0.9);
    cr_expect_eq(state.sum, 0.8);
    struct evaluation failed = {.count = 10, .digit_hits = 1, .error = "torn"};
    form_take_evaluation(&state, &failed);
    cr_expect_eq(state.digit, 0.9);
}

Test(form, box) {
    static const char *const lines[] = {"NOT MNIST", "é"};
    char *box = form_box(lines, 2, 80, true);
    cr_expect_str_eq(box, "+===========+\n| NOT MNIST |\n| ?         |\n+===========+\n");
    free(box);
    box = form_box(lines, 2, 9, false);
    cr_expect_str_eq(box, "╔═══════╗\n║ NOT M ║\n║ é     ║\n╚═══════╝\n");
    free(box);
    box = form_box(lines, 2, 0, true);
    cr_expect_str_eq(box, "+===+\n| N |\n| ? |\n+===+\n");
    free(box);
}
