/* Philox 4x32-10: a counter-based random generator. No state exists anywhere; what a number is
 * depends only on the key and the counter, so any process can draw any sample's numbers.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11. */
#ifndef COMMON_PHILOX_H
#define COMMON_PHILOX_H

#include <stdint.h>

/* What the numbers are for: one word of the counter, so that two uses never share a draw. */
enum philox_use {
    PHILOX_ORDER = 1,   /* the epoch's permutation */
    PHILOX_DIGIT = 2,   /* the random digit of a training sample */
    PHILOX_WARP = 3,    /* augmentation parameters */
    PHILOX_TEST = 4,    /* the digit of a test image */
    PHILOX_INIT = 5,    /* initial weights */
    PHILOX_DROPOUT = 6, /* dropout masks */
    PHILOX_DRAW = 7,    /* synthetic digits */
    PHILOX_HOLD_OUT = 8 /* which training samples are held out */
};

/* Ten rounds. out may be the same array as counter. */
void philox_block(const uint32_t counter[static 4], const uint32_t key[static 2],
                  uint32_t out[static 4]);

/* Four words for (seed, use, a, b, block). The key is the seed; the counter is
 * {a, b, block, use}. */
void philox_draw(uint64_t seed, enum philox_use use, uint32_t a, uint32_t b, uint32_t block,
                 uint32_t out[static 4]);

/* [0, 1) with 24 bits, exact in float. */
static inline float philox_float(uint32_t word) {
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

/* 0 … bound-1 by multiply and shift; the bias is below bound / 2^32. */
static inline uint32_t philox_below(uint32_t word, uint32_t bound) {
    return (uint32_t)(((uint64_t)word * bound) >> 32);
}

#endif
