/* From the bytes of a checkpoint to its score: decodes, keeps an engine for the network inside as
 * long as the same network comes, and scores piece by piece. */
#ifndef EVALUATOR_JUDGE_H
#define EVALUATOR_JUDGE_H

#include "evaluator/run.h"
#include "evaluator/score.h"
#include "evaluator/test_split.h"

struct judge;

/* Both are borrowed. NULL when memory is short. */
struct judge *judge_create(const struct run_settings *settings, const struct log *log);
void judge_destroy(struct judge **self);

/* Begins to score the checkpoint in `bytes`, which must be of `step`, on the whole test split. What
 * is scored is the moving average of the weights where the checkpoint has one, else the weights.
 * -1: it is corrupt, or no engine can run it. */
int judge_begin(struct judge *self, const uint8_t *bytes, size_t size, uint64_t step,
                const struct test_split *split, uint64_t seed, struct error *error);

/* Whether an error of judge_begin or judge_next says that this process is short of something, and
 * nothing of the checkpoint: then another one in its place will score it. */
bool judge_is_short(const struct error *error);

bool judge_busy(const struct judge *self);

/* One piece: 1 there is more, 0 done and the figures of *result filled, -1 the engine failed. */
int judge_next(struct judge *self, struct evaluation *result, struct error *error);

/* Forgets what is under way; keeps the engine. */
void judge_drop(struct judge *self);

#endif
