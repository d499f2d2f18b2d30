/* Scoring: what a network says about the test split, counted. Knows an engine through its door and
 * nothing of checkpoints, sockets or files. */
#ifndef EVALUATOR_SCORE_H
#define EVALUATOR_SCORE_H

#include "common/evaluation.h"
#include "model/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct score_settings {
    uint32_t batch;  /* samples of one predict: at most the engine's own batch, at least 1 */
    bool regression; /* as in the net: the sum is one scalar instead of 19 logits */
    bool all_digits; /* every image with each of the ten digits, instead of one drawn digit */
    uint64_t seed;   /* draws the one digit: pairs_test_digit */
    double digit_weight, sum_weight; /* as in the run's optimizer: they weight `loss` */
};

/* One scoring under way. */
struct scoring;

/* Begins to score `engine` (weights imported) on images [count][28][28] with labels [count], all
 * borrowed until score_destroy. NULL with ERROR_INVALID for an empty split, ERROR_CORRUPT for a
 * label above 9, ERROR_MEMORY. `settings` is copied. */
struct scoring *score_create(const struct engine_ops *ops, struct engine *engine,
                             const uint8_t *images, const uint8_t *labels, uint32_t count,
                             const struct score_settings *settings, struct error *error);

/* Predicts and counts one chunk, so that a caller can see to its sockets between two of them.
 * Returns 1 while there is more to do, 0 when all is scored, -1 with the engine's error. */
int score_next(struct scoring *self, struct error *error);

/* What has been scored so far: fills count, hits and losses over the pairs done; all zero before
 * the first. The losses are plain means without label smoothing: cross-entropy in nats of each
 * head, for regression the squared error of the scalar, and loss = digit_weight · digit_loss +
 * sum_weight · sum_loss. A head whose row holds a value that is not finite has missed, and makes
 * its loss and the weighted one NaN. */
void score_result(const struct scoring *self, struct evaluation *result);

/* NULL-safe, sets *self to NULL. */
void score_destroy(struct scoring **self);

/* The largest value's index, the lowest one among equals; -1 if any value is not finite. */
int score_argmax(const float *values, int count);

#endif
