/* The forms of an evaluation, and what is refused of a message or a line. */
#include "common/display.h"
#include "common/evaluations.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error error;

static struct evaluation usual(void) {
    struct evaluation evaluation = {.step = 1469,
                                    .epoch = 1.00053,
                                    .samples = 60032,
                                    .loss = 0.0412,
                                    .digit_loss = 0.0201,
                                    .sum_loss = 0.00211,
                                    .count = 10000,
                                    .digit_hits = 9897,
                                    .sum_hits = 9872,
                                    .seconds = 3.91,
                                    .epoch_end = true,
                                    .evaluator = "evaluator-1"};
    memset(evaluation.checkpoint_sha256, 'a', 64);
    return evaluation;
}

/* Wilson's intervals, worked out by hand with z = 1.959964. */
Test(evaluation, line_of_any_width) {
    static const struct {
        int columns;
        bool ascii;
        const char *line;
    } cases[] = {
        {INT_MAX, true,
         "step  1,469  epoch  1.00  loss 0.0412  digit loss 0.0201  sum loss 0.00211  "
         "digit 98.97 % [98.75, 99.15]  sum 98.72 % [98.48, 98.92]  3.9 s"},
        {102, true,
         "step  1,469  epoch  1.00  loss 0.0412  digit 98.97 % [98.75, 99.15]  sum 98.72 % "
         "[98.48, 98.92]  3.9 s"},
        {79, false,
         "step  1,469 epoch  1.00  loss 0.041  digit 98.97 ±0.20  sum 98.72 ±0.22  3.9 s"},
        {78, true,
         "step  1,469 epoch  1.00  loss 0.041  digit 98.97+-0.20  sum 98.72+-0.22  3.9 s"},
        {71, true, "step  1,469 epoch  1.00  loss 0.041  digit 98.97+-0.20  sum 98.72+-0.22"},
        {60, true, "step  1,469 epoch  1.00  digit 98.97+-0.20  sum 98.72+-0.22"},
        {50, true, "epoch  1.00  digit 98.97+-0.20  sum 98.72+-0.22"},
        {40, true, "epoch  1.00  digit 98.97  sum 98.72"},
        {30, true, "digit 98.97  sum 98.72"},
        {20, true, "digit 98.97  sum 98."},
    };
    struct evaluation evaluation = usual();
    char line[EVALUATION_LINE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(evaluation_line(&evaluation, cases[i].columns, cases[i].ascii, line),
                         cases[i].line);
    evaluation.epoch = 12;
    evaluation.step = 5625;
    evaluation.loss = 0.0447;
    evaluation.seconds = 18.1;
    cr_expect_str_eq(
        evaluation_line(&evaluation, 79, false, line),
        "step  5,625 epoch 12.00  loss 0.045  digit 98.97 ±0.20  sum 98.72 ±0.22  18.1 s");
    strcpy(evaluation.error, "the checkpoint is torn");
    cr_expect_str_eq(evaluation_line(&evaluation, 20, false, line),
                     "step  5,625  epoch 12.00  not scored: the checkpoint is torn");
}

Test(evaluation, every_line_fits) {
    static const double epochs[] = {0.25, 12, 100, 12345};
    static const uint64_t steps[] = {1, 5625, 100000, 1000000000};
    static const double seconds[] = {1, 59.9, 754, 360000};
    char line[EVALUATION_LINE];
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            for (int columns = 20; columns < 200; columns++) {
                struct evaluation evaluation = usual();
                evaluation.epoch = epochs[i];
                evaluation.step = steps[j];
                evaluation.seconds = seconds[i];
                evaluation.loss = j == 3 ? NAN : 0.0447;
                evaluation.digit_hits = 10000;
                evaluation.sum_hits = 9951;
                evaluation_line(&evaluation, columns, columns % 2, line);
                cr_assert_leq(display_columns(line), columns, "%s", line);
                if (columns == 79)
                    cr_assert(strstr(line, "digit 100.00+-0.02  sum 99.51+-0.14"), "%s", line);
            }
}

Test(evaluation, no_number_breaks_a_line) {
    static const double values[] = {0, -1, 1e300, -1e300, NAN, INFINITY, -INFINITY, 0.5, 5e-324};
    const size_t count = sizeof values / sizeof *values;
    char line[EVALUATION_LINE];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            struct evaluation evaluation = {
                .epoch = values[i], .loss = values[j], .seconds = values[i], .step = UINT64_MAX};
            cr_assert_lt(strlen(evaluation_line(&evaluation, 79, false, line)),
                         EVALUATION_LINE - 1);
        }
}

/* "a: b" for every row. */
static const char *rows_of(const struct evaluation *evaluation) {
    static char rows[8 * EVALUATION_LINE];
    size_t used = 0;
    char text[EVALUATION_LINE];
    const char *title;
    rows[0] = '\0';
    for (int i = 0; evaluation_row(evaluation, i, &title, text); i++)
        used += (size_t)snprintf(rows + used, sizeof rows - used, "%s: %s\n", title, text);
    return rows;
}

Test(evaluation, rows_of_a_table) {
    struct evaluation evaluation = usual();
    cr_expect_str_eq(rows_of(&evaluation), "loss: 0.0412\ndigit loss: 0.0201\nsum loss: 0.00211\n"
                                           "digit accuracy: 98.97 % [98.75, 99.15]\n"
                                           "sum accuracy: 98.72 % [98.48, 98.92]\n");
    evaluation.count = 100000; /* three decimals, or one miss would round to 100 % */
    evaluation.digit_hits = 99999;
    evaluation.loss = evaluation.digit_loss = NAN;
    cr_expect_str_eq(rows_of(&evaluation), "loss: not finite\ndigit loss: \nsum loss: 0.00211\n"
                                           "digit accuracy: 99.999 % [99.994, 100.000]\n"
                                           "sum accuracy: 9.872 % [9.689, 10.058]\n");
}

Test(evaluation, curves) {
    static const struct {
        const char *tag;
        double value;
    } curves[] = {{"loss", 0.0412},
                  {"digit/loss", 0.0201},
                  {"sum/loss", 0.00211},
                  {"digit/accuracy", 0.9897},
                  {"sum/accuracy", 0.9872}};
    struct evaluation evaluation = usual();
    double value;
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(evaluation_scalar(&evaluation, i, &value), curves[i].tag);
        cr_expect_eq(value, curves[i].value, "%s", curves[i].tag);
    }
    cr_expect_null(evaluation_scalar(&evaluation, 5, &value));
}

Test(evaluation, a_line_of_json_has_every_figure_in_order) {
    struct evaluation evaluation = usual(), back;
    char *line = evaluation_to_json(&evaluation, &error);
    cr_assert_not_null(line, "%s", error.text);
    cr_expect_str_eq(
        line, "{\"step\": 1469, \"epoch\": 1.00053, \"samples\": 60032, \"loss\": 0.0412, "
              "\"digit_loss\": 0.0201, \"sum_loss\": 0.00211, \"digit_accuracy\": 0.9897, "
              "\"sum_accuracy\": 0.9872, \"digit_interval\": [0.987524544269637, "
              "0.991499367726123], \"sum_interval\": [0.984802199983781, 0.989223632003832], "
              "\"checkpoint_sha256\": "
              "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"seconds\": "
              "3.91, \"count\": 10000, \"digit_hits\": 9897, \"sum_hits\": 9872, \"epoch_end\": "
              "true, \"final\": false, \"evaluator\": \"evaluator-1\"}\n");
    cr_assert_eq(evaluation_from_json(&back, line, strlen(line), "x:1", &error), 0, "%s",
                 error.text);
    cr_expect_eq(back.samples, 60032);
    cr_expect_eq(back.digit_loss, 0.0201);
    cr_expect_eq(back.sum_loss, 0.00211);
    cr_expect(back.epoch_end && !back.final);
    free(line);
    strcpy(evaluation.error, "torn");
    cr_expect_null(evaluation_to_json(&evaluation, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
}

#define LINE(step, hits, rest)                                                                     \
    "{\"step\": " step ", \"epoch\": 0.5, \"samples\": 640, \"loss\": null, \"digit_accuracy\": "  \
    "0.5, \"sum_accuracy\": 0.25, \"digit_interval\": [0.4, 0.6], \"sum_interval\": [0.2, 0.3], "  \
    "\"checkpoint_sha256\": "                                                                      \
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", "                       \
    "\"seconds\": 1.5, \"count\": 100, \"digit_hits\": " hits                                      \
    ", \"sum_hits\": 25, \"epoch_end\": false, \"final\": false, \"evaluator\": \"e\"" rest "}"

Test(evaluation, lines_of_earlier_versions_and_lines_that_are_none) {
    static const struct {
        const char *line, *words;
    } cases[] = {{LINE("5", "50", ""), NULL},
                 {LINE("5", "50", ", \"weights_sha256\": 7, \"digit_loss\": \"x\""), NULL},
                 {"", "x:3: expected an evaluation"},
                 {"[1]", "'step' is missing, expected a whole number"},
                 {LINE("-1", "50", ""), "'step' is not usable"},
                 {LINE("\"5\"", "50", ""), "'step' is not usable"},
                 {LINE("5", "101", ""), "more hits than pairs"},
                 {LINE("5", "4294967297", ""), "'digit_hits' is not usable"},
                 {LINE("5", "50", ", \"final\": true"), "duplicate"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct evaluation read = {.step = 77};
        int status =
            evaluation_from_json(&read, cases[i].line, strlen(cases[i].line), "x:3", &error);
        cr_expect_eq(status, cases[i].words ? -1 : 0, "%s", cases[i].line);
        cr_expect_eq(read.step, cases[i].words ? 77 : 5);
        if (cases[i].words)
            cr_expect(strstr(error.text, cases[i].words), "'%s' lacks '%s'", error.text,
                      cases[i].words);
        else
            cr_expect(isnan(read.loss) && isnan(read.digit_loss) && isnan(read.sum_loss));
    }
}

Test(evaluation, message_round_trip_and_lies) {
    struct evaluation evaluation = usual(), back;
    struct evaluation_message message;
    memset(evaluation.weights_sha256, 'e', 64);
    evaluation_to_message(&evaluation, &message);
    cr_assert_eq(evaluation_from_message(&back, &message.report, 1469, "peer", &error), 0, "%s",
                 error.text);
    char *sent = evaluation_to_json(&evaluation, &error), *came = evaluation_to_json(&back, &error);
    cr_assert(sent && came, "%s", error.text);
    cr_expect_str_eq(sent, came, "nothing is lost");
    free(sent);
    free(came);
    message.report.digit_hits = 10001;
    cr_expect_eq(evaluation_from_message(&back, &message.report, 1469, "peer", &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "peer"), "%s", error.text);
    message.report.digit_hits = 9000;
    message.report.weights.len = 5;
    cr_expect_eq(evaluation_from_message(&back, &message.report, 1469, "peer", &error), -1);
    cr_expect(strstr(error.text, "SHA-256"), "%s", error.text);
    message.report.weights.len = 0;
    message.report.failed = true;
    message.report.error = "checkpoint \033 torn";
    cr_assert_eq(evaluation_from_message(&back, &message.report, 1469, "peer", &error), 0);
    cr_expect_str_eq(back.error, "checkpoint ? torn");
}

Test(evaluations, skip_what_is_none) {
    char folder[64], path[SCRATCH_PATH];
    struct evaluations list;
    scratch_begin(folder);
    scratch_write(folder, "evaluations.jsonl",
                  "\n{}\nnonsense\n" LINE("469", "50", "") "\n{\"step\": -1}\n" LINE(
                      "500", "5", "") "\n" LINE("469", "60", "") "\n{\"step\": 1",
                  path);
    cr_assert_eq(evaluations_read(&list, path, true, &error), 1, "%s", error.text);
    cr_assert_eq(list.count, 2);
    cr_expect_eq(list.list[0].step, 469);
    cr_expect_eq(list.list[0].digit_hits, 60, "the last line of a step counts");
    cr_expect_eq(evaluations_find(&list, 500)->digit_hits, 5);
    cr_expect_null(evaluations_find(&list, 470));
    evaluations_free(&list);
    cr_expect_eq(evaluations_read(&list, path, false, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_eq(list.count, 0);
    cr_expect_eq(evaluations_read(&list, folder, true, &error), -1, "a folder");
    scratch_end(folder);
    cr_expect_eq(evaluations_read(&list, "/nonexistent", true, &error), 0);
    cr_expect_eq(list.count, 0);
}
