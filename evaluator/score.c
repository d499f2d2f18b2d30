/* Counting hits and losses. Sums run in double and in the order of the samples, so that the same
 * logits give the same figures whatever the size of the chunks. */
#include "evaluator/score.h"

#include "common/pairs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct scoring {
    const struct engine_ops *ops;
    struct engine *engine;
    const uint8_t *images, *labels;
    uint32_t count; /* images */
    struct score_settings settings;
    uint32_t image;                       /* the next one */
    uint8_t digit;                        /* with all_digits: the pass that we are in */
    uint32_t pairs, digit_hits, sum_hits; /* so far */
    double digit_loss, sum_loss;          /* sums over them */
    uint8_t *digits;                      /* [batch] */
    float *digit_logits;                  /* [batch][10] */
    float *sum_logits;                    /* [batch][19], or [batch][1] */
};

struct scoring *score_create(const struct engine_ops *ops, struct engine *engine,
                             const uint8_t *images, const uint8_t *labels, uint32_t count,
                             const struct score_settings *settings, struct error *error) {
    assert(ops && ops->predict && settings && settings->batch > 0);
    if (count == 0) {
        error_set(error, ERROR_INVALID, "the test split is empty: there is nothing to score");
        return NULL;
    }
    if (count > UINT32_MAX / PAIRS_DIGITS) {
        error_set(error, ERROR_INVALID, "the test split has %u images; at most %u can be scored",
                  count, UINT32_MAX / PAIRS_DIGITS);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (labels[i] > 9) {
            error_set(error, ERROR_CORRUPT, "test image %u has label %u; expected 0-9", i,
                      labels[i]);
            return NULL;
        }
    struct scoring *self = calloc(1, sizeof *self);
    if (!self)
        goto memory;
    self->ops = ops;
    self->engine = engine;
    self->images = images;
    self->labels = labels;
    self->count = count;
    self->settings = *settings;
    if (self->settings.batch > count)
        self->settings.batch = count;
    size_t rows = self->settings.batch;
    self->digits = malloc(rows);
    self->digit_logits = malloc(rows * PAIRS_DIGITS * sizeof(float));
    self->sum_logits = malloc(rows * PAIRS_SUMS * sizeof(float));
    if (self->digits && self->digit_logits && self->sum_logits)
        return self;
memory:
    score_destroy(&self);
    error_set(error, ERROR_MEMORY, "no memory to score chunks of %u samples", settings->batch);
    return NULL;
}

/* -log softmax(logits)[target]; NaN unless all logits are finite. */
static double cross_entropy(const float *logits, int count, int target) {
    double largest = logits[0];
    bool finite = true;
    for (int i = 0; i < count; i++) {
        finite = finite && isfinite(logits[i]);
        largest = logits[i] > largest ? logits[i] : largest;
    }
    if (!finite)
        return NAN;
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += exp(logits[i] - largest);
    return log(sum) + largest - logits[target];
}

static void count_row(struct scoring *self, uint32_t row, int label) {
    const float *digit_row = self->digit_logits + (size_t)row * PAIRS_DIGITS;
    int sum = label + self->digits[row];
    self->pairs++;
    self->digit_hits += score_argmax(digit_row, PAIRS_DIGITS) == label;
    self->digit_loss += cross_entropy(digit_row, PAIRS_DIGITS, label);
    if (self->settings.regression) {
        float scalar = self->sum_logits[row];
        double miss = isfinite(scalar) ? (double)scalar - sum : NAN;
        self->sum_hits += isfinite(scalar) && roundf(scalar) == (float)sum;
        self->sum_loss += miss * miss;
    } else {
        const float *sum_row = self->sum_logits + (size_t)row * PAIRS_SUMS;
        self->sum_hits += score_argmax(sum_row, PAIRS_SUMS) == sum;
        self->sum_loss += cross_entropy(sum_row, PAIRS_SUMS, sum);
    }
}

int score_next(struct scoring *self, struct error *error) {
    uint8_t passes = self->settings.all_digits ? PAIRS_DIGITS : 1;
    if (self->digit == passes)
        return 0;
    uint32_t left = self->count - self->image;
    uint32_t rows = left < self->settings.batch ? left : self->settings.batch;
    for (uint32_t row = 0; row < rows; row++)
        self->digits[row] = self->settings.all_digits
                                ? self->digit
                                : pairs_test_digit(self->settings.seed, self->image + row);
    if (self->ops->predict(self->engine, self->images + (size_t)self->image * IMAGE_PIXELS,
                           self->digits, rows, self->digit_logits, self->sum_logits, error))
        return -1;
    for (uint32_t row = 0; row < rows; row++)
        count_row(self, row, self->labels[self->image + row]);
    self->image += rows;
    if (self->image == self->count) {
        self->image = 0;
        self->digit++;
    }
    return self->digit < passes;
}

void score_result(const struct scoring *self, struct evaluation *result) {
    double pairs = self->pairs > 0 ? self->pairs : 1;
    result->count = self->pairs;
    result->digit_hits = self->digit_hits;
    result->sum_hits = self->sum_hits;
    result->digit_loss = self->digit_loss / pairs;
    result->sum_loss = self->sum_loss / pairs;
    result->loss = self->settings.digit_weight * result->digit_loss +
                   self->settings.sum_weight * result->sum_loss;
}

void score_destroy(struct scoring **self) {
    if (!self || !*self)
        return;
    free((*self)->sum_logits);
    free((*self)->digit_logits);
    free((*self)->digits);
    free(*self);
    *self = NULL;
}

int score_argmax(const float *values, int count) {
    int best = 0;
    for (int i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return -1;
        if (values[i] > values[best])
            best = i;
    }
    return best;
}
