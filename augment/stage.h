/* The augmenter's one step: samples in → pairs out, on a few threads. Knows pixels and digits, and
 * nothing of messages. */
#ifndef AUGMENT_STAGE_H
#define AUGMENT_STAGE_H

#include "augment/warp.h"
#include "common/error.h"

struct stage;

/* `threads` ≥ 1, the caller's own included: 1 starts none. NULL with the reason. */
struct stage *stage_create(uint64_t seed, const struct warps *warps, int threads,
                           struct error *error);

/* For each of `count` samples: the warped image, the label, the digit and their sum. images and out
 * are [count][28][28] and may be the same; labels [count] 0-9; samples and epochs [count] name each
 * sample; pairs is [3][count]: labels, digits, sums. The result does not depend on the threads. */
void stage_run(struct stage *self, uint32_t count, const uint8_t *images, const uint8_t *labels,
               const uint32_t *samples, const uint32_t *epochs, uint8_t *out, uint8_t *pairs);

/* Ends the threads. NULL-safe. */
void stage_destroy(struct stage **self);

#endif
