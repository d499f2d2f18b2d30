/* From a step to its samples: the pure function between a lease and a message. Leaves the digits
 * and the warps to the augmenters. */
#ifndef LOADER_GATHER_H
#define LOADER_GATHER_H

#include "loader/split.h"

#include <stdint.h>

/* Fills the batch of `step`: for each of its `batch` places (1 … BATCH_MAX) the image, the
 * label, the number of the sample in the split and its epoch. images [batch][28][28]; labels,
 * samples, epochs [batch]; all the caller's. Depends on nothing but its arguments; thread-safe. */
void gather_batch(const struct split *split, uint64_t seed, uint64_t step, uint32_t batch,
                  uint8_t *images, uint8_t *labels, uint32_t *samples, uint32_t *epochs);

#endif
