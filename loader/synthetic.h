/* Synthetic digits: handwriting drawn by us, for machines that cannot have MNIST. Not MNIST, and
 * figures on it are not MNIST's: whoever uses it must say so.
 *
 * A thousand hands write the training digits and 250 others those of the test: each has its slant,
 * roundness, pen, proportions, steadiness and ways to form a digit; each digit then differs from
 * the last. As in MNIST, a digit fits a box of about 20 pixels and is centred by its mass. */
#ifndef LOADER_SYNTHETIC_H
#define LOADER_SYNTHETIC_H

#include "common/error.h"
#include "loader/split.h"

#define SYNTHETIC_TRAIN_COUNT 60000
#define SYNTHETIC_TEST_COUNT 10000

enum synthetic_split { SYNTHETIC_TRAIN, SYNTHETIC_TEST };

/* Draws the first `count` digits of one half (1 … SPLIT_MAX) into `split` (free with
 * split_free). Sample i depends on i and the half alone, and is the same to the bit on every
 * machine: only + - * / and square roots of IEEE floats. Uses all processors. Returns 0, or -1 as
 * split_allocate does. */
int synthetic_draw(enum synthetic_split half, uint32_t count, struct split *split,
                   struct error *error);

#endif
