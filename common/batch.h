/* A batch: what the pipeline carries. Plain data that travels; whoever made it owns the memory. */
#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include <stdint.h>

#define IMAGE_ROWS 28
#define IMAGE_COLUMNS 28
#define IMAGE_PIXELS 784
#define BATCH_MAX 8192 /* samples in one batch: bounds every message that carries one */

/* The pairs of one training step. All arrays have `count` rows. */
struct batch {
    uint64_t step;
    uint32_t count;
    uint32_t crc;          /* CRC-32C over images, labels, digits, sums in this order */
    const uint8_t *images; /* [count][28][28], 0 = paper, 255 = ink */
    const uint8_t *labels; /* [count] 0-9 */
    const uint8_t *digits; /* [count] 0-9 */
    const uint8_t *sums;   /* [count] labels + digits, 0-18 */
};

/* Where position i of step t lies: positions run on through the epochs without a gap, so every
 * batch is full and every sample is used exactly once an epoch; a batch may span two epochs. */
struct batch_place {
    uint32_t epoch;
    uint32_t index; /* 0 … samples-1 within the epoch, before the epoch's permutation */
};
static inline struct batch_place batch_place_of(uint64_t step, uint32_t batch, uint32_t i,
                                                uint32_t samples) {
    uint64_t position = step * batch + i;
    return (struct batch_place){(uint32_t)(position / samples), (uint32_t)(position % samples)};
}

/* Steps that cover `epochs` epochs of `samples`: the last may run into the next epoch. */
static inline uint64_t batch_steps(uint32_t samples, double epochs, uint32_t batch) {
    uint64_t positions = (uint64_t)(epochs * samples + 0.5);
    return (positions + batch - 1) / batch;
}

#endif
