/* evaluations.jsonl: one line for each step, in order, whatever a run did and left. */
#include "evaluator/report_file.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[SCRATCH_PATH];
static struct report_file *file;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
}

static void teardown(void) {
    report_close(&file);
    cr_expect_eq(scratch_count(folder), 1, "nothing is left aside");
    scratch_end(folder);
}

TestSuite(report_file, .init = setup, .fini = teardown);

/* `run` goes into the SHA-256 of the checkpoint. */
static struct evaluation evaluation_of(uint64_t step, char run) {
    struct evaluation evaluation = {.step = step,
                                    .epoch = (double)step / 100,
                                    .samples = step * 128,
                                    .loss = 0.25,
                                    .digit_loss = 0.1,
                                    .sum_loss = 0.15,
                                    .count = 10000,
                                    .digit_hits = 9900,
                                    .sum_hits = 9890,
                                    .seconds = 3.1,
                                    .evaluator = "e1"};
    memset(evaluation.checkpoint_sha256, run, SHA256_HEX - 1);
    return evaluation;
}

static void append(uint64_t step, char run) {
    struct evaluation evaluation = evaluation_of(step, run);
    cr_assert_eq(report_append(file, &evaluation, &error), 0, "%s", error.text);
}

static size_t rewind_to(uint64_t step) {
    size_t dropped;
    cr_assert_eq(report_rewind(file, step, &dropped, &error), 0, "%s", error.text);
    return dropped;
}

/* That memory and the file have exactly these steps and runs: "100a 200b". */
static void expect_lines(const char *expected) {
    char text[4096] = "", line[1024];
    size_t count, i = 0, used = 0;
    const struct evaluation *list = report_list(file, &count);
    FILE *in = fopen(path, "re");
    cr_assert_not_null(in);
    for (; fgets(line, sizeof line, in); i++) {
        struct evaluation read;
        cr_assert_eq(evaluation_from_json(&read, line, strlen(line), "line", &error), 0, "%s",
                     error.text);
        cr_assert_lt(i, count);
        cr_expect_eq(read.step, list[i].step);
        cr_expect_eq(read.seconds, list[i].seconds, "what is written anew is as it was");
        cr_expect_eq(read.digit_loss, list[i].digit_loss);
        cr_expect_str_eq(read.checkpoint_sha256, list[i].checkpoint_sha256);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu%c", i ? " " : "",
                                 (unsigned long long)read.step, read.checkpoint_sha256[0]);
    }
    fclose(in);
    cr_expect_eq(i, count);
    cr_expect_str_eq(text, expected);
}

static void reopen(void) {
    report_close(&file);
    file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
}

Test(report_file, a_step_has_one_line) {
    append(100, 'a');
    struct evaluation again = evaluation_of(100, 'b');
    cr_expect_eq(report_append(file, &again, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    expect_lines("100a");
}

Test(report_file, a_run_that_went_back_replaces_what_it_makes_again) {
    for (uint64_t step = 100; step <= 500; step += 100)
        append(step, 'a');
    reopen(); /* of the run before: nothing is confirmed */
    report_confirm(file, 200);
    cr_expect_eq(rewind_to(300), 3);
    expect_lines("100a 200a");
    append(300, 'b');
    cr_expect_eq(rewind_to(400), 0);
    append(400, 'b');
    expect_lines("100a 200a 300b 400b");
}

Test(report_file, other_steps_than_before_replace_the_later_ones_too) {
    append(100, 'a');
    append(200, 'a');
    append(300, 'a');
    report_doubt(file, 100); /* another trainer */
    cr_expect_eq(rewind_to(150), 2, "it went back to 100");
    append(150, 'b');
    expect_lines("100a 150b");
}

Test(report_file, what_the_trainer_has_stays) {
    append(100, 'a');
    append(300, 'a');
    reopen();
    report_confirm(file, 300);
    cr_expect_eq(rewind_to(200), 0);
    append(200, 'a'); /* was missed */
    expect_lines("100a 200a 300a");
    append(400, 'a');
    expect_lines("100a 200a 300a 400a");
}

/* A step that nobody could read for a while is scored after later ones, whose files are gone. */
Test(report_file, what_was_made_before_stays_though_nobody_has_it) {
    for (uint64_t step = 100; step <= 500; step += 100)
        if (step != 200)
            append(step, 'a');
    reopen();
    report_doubt(file, 400);
    cr_expect_eq(rewind_to(200), 1, "only what comes after step 400 is made again");
    append(200, 'a');
    expect_lines("100a 200a 300a 400a");
}

Test(report_file, nothing_is_lost_that_this_process_wrote) {
    append(100, 'a');
    append(300, 'a');
    cr_expect_eq(rewind_to(200), 0);
    append(200, 'a');
    expect_lines("100a 200a 300a");
}

Test(report_file, an_old_file_with_a_step_twice_is_put_in_order) {
    char text[8192] = "";
    static const struct {
        uint64_t step;
        char run;
    } lines[] = {{100, 'a'}, {200, 'a'}, {300, 'a'}, {200, 'b'}, {300, 'b'}, {400, 'b'}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct evaluation evaluation = evaluation_of(lines[i].step, lines[i].run);
        char *line = evaluation_to_json(&evaluation, &error);
        strcat(text, line);
        free(line);
    }
    strcat(text, "{\"step\": 500, \"ep");
    report_close(&file);
    scratch_write(folder, "evaluations.jsonl", text, path);
    file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
    expect_lines("100a 200b 300b 400b");
    append(500, 'b');
    expect_lines("100a 200b 300b 400b 500b");
}

Test(report_file, a_power_cut_left_the_newline_alone) {
    append(100, 'a');
    FILE *torn = fopen(path, "ae");
    fwrite("{\"step\"\0\0\0\n", 1, 11, torn);
    fclose(torn);
    reopen();
    cr_expect_eq(report_cut(file), 11);
    append(200, 'a');
    expect_lines("100a 200a");
}

Test(report_file, what_a_crash_left_aside_goes) {
    char aside[SCRATCH_PATH];
    append(100, 'a');
    report_close(&file);
    scratch_write(folder, "evaluations.jsonl.part", "{\"st", aside);
    reopen();
    expect_lines("100a");
}

Test(report_file, stays_locked_when_it_was_replaced) {
    append(100, 'a');
    rewind_to(100);
    append(100, 'b');
    cr_expect_null(report_open(path, &error), "another evaluator");
    cr_expect_eq(error.code, ERROR_REFUSED);
    expect_lines("100b");
}
