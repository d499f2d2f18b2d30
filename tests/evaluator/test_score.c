/* Counting against an engine whose answers are known; and what a restart finds in the file. */
#include "common/pairs.h"
#include "evaluator/report_file.h"
#include "evaluator/score.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 25 };

/* Says for image i, whose first pixel is i: the right digit and sum, except that every fifth digit
 * is one off, every third sum is, and image 7's logits are not numbers. */
static int predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                   uint32_t count, float *digit_logits, float *sum_logits, struct error *error) {
    (void)engine;
    (void)error;
    memset(digit_logits, 0, 10 * count * sizeof(float));
    memset(sum_logits, 0, 19 * count * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        int image = images[(size_t)i * IMAGE_PIXELS], label = image % 10;
        digit_logits[10 * i + (uint32_t)((label + (image % 5 == 0)) % 10)] = 9;
        sum_logits[19 * i + (uint32_t)((label + digits[i] + (image % 3 == 0)) % 19)] = 9;
        if (image == 7)
            digit_logits[10 * i] = NAN;
    }
    return 0;
}

static const struct engine_ops fake = {.name = "fake", .predict = predict};

/* All of the images in one go. */
static int score_all(const uint8_t *images, const uint8_t *labels, uint32_t count,
                     const struct score_settings *settings, struct evaluation *score,
                     struct error *error) {
    struct scoring *scoring = score_create(&fake, NULL, images, labels, count, settings, error);
    int more = scoring ? 1 : -1;
    while (more > 0)
        more = score_next(scoring, error);
    if (more == 0)
        score_result(scoring, score);
    score_destroy(&scoring);
    return more;
}

Test(score, counts_exactly) {
    static uint8_t images[COUNT * IMAGE_PIXELS], labels[COUNT];
    struct evaluation score;
    struct error error;
    for (int i = 0; i < COUNT; i++) {
        images[i * IMAGE_PIXELS] = (uint8_t)i;
        labels[i] = (uint8_t)(i % 10);
    }
    struct score_settings settings = {.batch = 4, .seed = 3, .digit_weight = 1, .sum_weight = 2};
    cr_assert_eq(score_all(images, labels, COUNT, &settings, &score, &error), 0);
    cr_expect_eq(score.count, COUNT);
    cr_expect_eq(score.digit_hits, COUNT - 5 - 1); /* 0, 5, 10, 15, 20; and 7 */
    cr_expect_eq(score.sum_hits, COUNT - 9);       /* 0, 3, … 24 */
    cr_expect(isnan(score.digit_loss) && isnan(score.loss));
    /* A right sum costs log(1 + 18·e⁻⁹), a wrong one that and 9 more. */
    double right = log(1 + 18 * exp(-9));
    cr_expect(fabs(score.sum_loss - (right + 9 * 9.0 / COUNT)) < 1e-5, "%g", score.sum_loss);
    settings.all_digits = true;
    cr_assert_eq(score_all(images, labels, COUNT, &settings, &score, &error), 0);
    cr_expect_eq(score.count, 10 * COUNT);
    cr_expect_eq(score.digit_hits, 10 * (COUNT - 6));
    labels[3] = 10;
    cr_expect_eq(score_all(images, labels, COUNT, &settings, &score, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_eq(score_all(images, labels, 0, &settings, &score, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
}

Test(score, argmax) {
    cr_expect_eq(score_argmax((const float[]){1, 3, 3, 2}, 4), 1);
    cr_expect_eq(score_argmax((const float[]){1, NAN, 3}, 3), -1);
    cr_expect_eq(score_argmax((const float[]){1, INFINITY, 3}, 3), -1);
}

static struct evaluation evaluation_of(uint64_t step) {
    struct evaluation evaluation = {.step = step,
                                    .epoch = 1.5,
                                    .samples = step * 128,
                                    .loss = 0.25,
                                    .count = 10000,
                                    .digit_hits = 9900,
                                    .sum_hits = 9890,
                                    .seconds = 3.25,
                                    .epoch_end = true,
                                    .evaluator = "evaluator-1"};
    memset(evaluation.checkpoint_sha256, 'a', 64);
    return evaluation;
}

Test(report, restart_finds_what_is_scored_and_cuts_a_torn_line) {
    char folder[64], path[SCRATCH_PATH];
    struct error error;
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    struct report_file *file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
    struct evaluation one = evaluation_of(100), two = evaluation_of(200);
    two.loss = NAN; /* JSON has no number for it */
    cr_assert_eq(report_append(file, &one, &error), 0, "%s", error.text);
    cr_assert_eq(report_append(file, &two, &error), 0, "%s", error.text);
    cr_expect_eq(report_append(file, &two, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect_null(report_open(path, &error), "two evaluators in one file");
    report_close(&file);
    FILE *torn = fopen(path, "ae");
    fputs("{\"step\": 300, \"epo", torn);
    fclose(torn);
    file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
    cr_expect_eq(report_cut(file), 18);
    size_t count;
    report_list(file, &count);
    cr_expect_eq(count, 2);
    cr_expect_not_null(report_find(file, 100));
    cr_expect_null(report_find(file, 300));
    cr_expect(isnan(report_find(file, 200)->loss));
    cr_expect_eq(report_find(file, 100)->digit_hits, 9900);
    report_close(&file);
    scratch_end(folder);
}

/* A power cut may leave the newline of a line and not all that stood before it. */
Test(report, the_last_line_is_torn_unless_it_is_an_evaluation) {
    static const struct {
        const char *tail;
        size_t cut;
    } cases[] = {{"{\"step\": 300, \"epo\n", 19}, {"{\"step\": 300}\n", 14}, {"\n", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[64], path[SCRATCH_PATH];
        struct error error;
        scratch_begin(folder);
        snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
        struct report_file *file = report_open(path, &error);
        cr_assert_not_null(file, "%s", error.text);
        struct evaluation one = evaluation_of(100), two = evaluation_of(200);
        cr_assert_eq(report_append(file, &one, &error), 0, "%s", error.text);
        report_close(&file);
        FILE *torn = fopen(path, "ae");
        fputs(cases[i].tail, torn);
        fclose(torn);
        file = report_open(path, &error);
        cr_assert_not_null(file, "%s", error.text);
        cr_expect_eq(report_cut(file), cases[i].cut);
        cr_assert_eq(report_append(file, &two, &error), 0, "%s", error.text);
        report_close(&file);
        file = report_open(path, &error);
        cr_assert_not_null(file, "%s", error.text);
        cr_expect_eq(report_cut(file), 0);
        size_t count;
        report_list(file, &count);
        cr_expect_eq(count, 2);
        report_close(&file);
        /* Only the last: what stands before a whole line was never written by a crash. */
        torn = fopen(path, "re+");
        fputs("x", torn);
        fclose(torn);
        cr_expect_null(report_open(path, &error));
        cr_expect_eq(error.code, ERROR_CORRUPT);
        scratch_end(folder);
    }
}

/* A step that is trained again gives the same weights, in a file that may say other things. */
Test(report, an_evaluation_is_of_weights_and_not_of_a_file) {
    char folder[64], path[SCRATCH_PATH];
    struct error error;
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    struct evaluation one = evaluation_of(100), other = evaluation_of(100);
    memset(one.weights_sha256, 'c', 64);
    memset(other.checkpoint_sha256, 'b', 64);
    uint8_t file_b[SHA256_SIZE];
    cr_assert(sha256_parse(other.checkpoint_sha256, file_b));
    cr_expect_not(evaluation_is_of(&one, "", file_b), "only the files are known of both");
    memset(other.weights_sha256, 'c', 64);
    cr_expect(evaluation_is_of(&one, other.weights_sha256, file_b));
    struct report_file *file = report_open(path, &error);
    cr_assert_eq(report_append(file, &one, &error), 0, "%s", error.text);
    report_close(&file);
    file = report_open(path, &error);
    cr_assert_not_null(file, "%s", error.text);
    cr_expect_str_eq(report_find(file, 100)->weights_sha256, one.weights_sha256);
    cr_expect_eq(report_append(file, &other, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    report_close(&file);
    other.weights_sha256[0] = 'd';
    cr_expect_not(evaluation_is_of(&one, other.weights_sha256, file_b));
    memset(one.checkpoint_sha256, 'b', 64);
    cr_expect(evaluation_is_of(&one, "", file_b));
    scratch_end(folder);
}
