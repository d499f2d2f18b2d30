/* The hot loops over plain arrays, as a table of functions: one table per instruction set, chosen
 * when an engine is made. Every table gives the same bits: contraction is off, every channel's sum
 * runs over the rows in order. `type` is that of all arrays passed as void *.
 *
 * Each table is compiled from loops_body.h in a file of its own, because GCC lowers wide vectors by
 * what the whole file is compiled for: function clones end up with scalar code. */
#ifndef CPU_LOOPS_H
#define CPU_LOOPS_H

#include "cpu/values.h"

struct loops {
    /* sums[c] = Σ from[row][c] */
    void (*sum_rows)(float *sums, const void *from, size_t rows, size_t channels,
                     enum precision type);
    /* sums[c] = Σ (x[row][c] - mean[c])² */
    void (*sum_squares)(float *sums, const void *x, const float *mean, size_t rows, size_t channels,
                        enum precision type);
    /* dx = y > 0 ? dy : 0; dx may be dy */
    void (*relu_mask)(void *dx, const void *dy, const void *y, size_t count, enum precision type);

    /* A row of `width` maxima over 2×2 windows of two input rows, `row` values apart, and which
     * quarter each came from; NaN wins. */
    void (*pairs_max)(void *y, uint8_t *quarter, const void *x, int width, size_t row,
                      size_t channels, enum precision type);
    /* The reverse: sets two rows of dx. With `masked` only where y > 0. */
    void (*pairs_scatter)(void *dx, const void *dy, const void *y, const uint8_t *quarter,
                          int width, size_t row, size_t channels, bool masked, enum precision type);

    /* y = x scale + offset, then relu if asked. */
    void (*normalise)(void *y, const void *x, const float *scale, const float *offset, size_t rows,
                      size_t channels, bool relu, enum precision type);
    /* sums[c] = Σ dy, sums[channels + c] = Σ dy (x - mean), dy masked by y > 0 if relu. */
    void (*normalise_sums)(float *sums, const void *dy, const void *y, const void *x,
                           const float *mean, size_t rows, size_t channels, bool relu,
                           enum precision type);
    /* dx = dy scale + (x slope + offset), dy masked by y > 0 if relu. */
    void (*normalise_back)(void *dx, const void *dy, const void *y, const void *x,
                           const float *scale, const float *slope, const float *offset, size_t rows,
                           size_t channels, bool relu, enum precision type);
};

/* The best table for this processor. */
const struct loops *loops_choose(void);

#endif
