/* The bodies of loops.h. Included by one file per instruction set, which the Makefile compiles for
 * it and which first says what its table is called (LOOPS_TABLE). */
#include "cpu/lanes.h"
#include "cpu/loops.h"

INLINE void sum_rows_of(float *sums, const void *from, size_t rows, size_t channels,
                        enum precision type) {
    size_t c = 0;
    for (; c + 4 * LANES <= channels; c += 4 * LANES) { /* whole cache lines of a row */
        lanes sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
        for (size_t row = 0, at = c; row < rows; row++, at += channels) {
            sum0 += lanes_get(from, at, type);
            sum1 += lanes_get(from, at + LANES, type);
            sum2 += lanes_get(from, at + 2 * LANES, type);
            sum3 += lanes_get(from, at + 3 * LANES, type);
        }
        lanes_set(sums, c, PRECISION_F32, sum0);
        lanes_set(sums, c + LANES, PRECISION_F32, sum1);
        lanes_set(sums, c + 2 * LANES, PRECISION_F32, sum2);
        lanes_set(sums, c + 3 * LANES, PRECISION_F32, sum3);
    }
    for (; c + LANES <= channels; c += LANES) {
        lanes sum = {0};
        for (size_t row = 0; row < rows; row++)
            sum += lanes_get(from, row * channels + c, type);
        lanes_set(sums, c, PRECISION_F32, sum);
    }
    for (; c < channels; c++) {
        sums[c] = 0;
        for (size_t row = 0; row < rows; row++)
            sums[c] += value_get(from, row * channels + c, type);
    }
}

/* dx may be dy. */
INLINE void mask_of(void *dx, const void *dy, const void *y, size_t count, enum precision type) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        lanes_put(dx, i, type, (lanes_int)lanes_get(dy, i, type) & (lanes_get(y, i, type) > 0.0f));
    for (; i < count; i++)
        value_set(dx, i, type, value_get(y, i, type) > 0.0f ? value_get(dy, i, type) : 0.0f);
}

/* NaN wins, as in PyTorch. */
INLINE bool beats(float value, float best) {
    return (value > best) | (value != value);
}

/* One row of outputs from two rows of inputs, `row` values apart. */
INLINE void pairs_max_of(void *y, uint8_t *quarter, const void *x, int width, size_t row,
                         size_t channels, enum precision type) {
    for (size_t j = 0; j < (size_t)width; j++) {
        size_t to = j * channels, at = 2 * to, end = to + channels;
        for (; to + LANES <= end; to += LANES, at += LANES) {
            lanes a = lanes_get(x, at, type), b = lanes_get(x, at + channels, type);
            lanes d = lanes_get(x, at + row, type), e = lanes_get(x, at + row + channels, type);
            lanes_int right = (b > a) | (b != b), right_below = (e > d) | (e != e);
            lanes upper = lanes_select(right, b, a), lower = lanes_select(right_below, e, d);
            lanes_int below = (lower > upper) | (lower != lower);
            lanes_set(y, to, type, lanes_select(below, lower, upper));
            lanes_set_bytes(quarter, to, (below & (2 - right_below)) | (~below & -right));
        }
        for (; to < end; to++, at++) {
            float a = value_get(x, at, type), b = value_get(x, at + channels, type);
            float d = value_get(x, at + row, type), e = value_get(x, at + row + channels, type);
            bool right = beats(b, a), right_below = beats(e, d);
            float upper = right ? b : a, lower = right_below ? e : d;
            bool below = beats(lower, upper);
            value_set(y, to, type, below ? lower : upper);
            quarter[to] = (uint8_t)(below ? 2 + right_below : right);
        }
    }
}

/* Two rows of dx from one row of dy; `width` outputs. Values are moved, not computed with. */
INLINE void pairs_scatter_of(void *dx, const void *dy, const void *y, const uint8_t *quarter,
                             int width, size_t row, size_t channels, bool masked,
                             enum precision type) {
    for (size_t j = 0; j < (size_t)width; j++) {
        size_t at = j * channels, to = 2 * at, end = at + channels;
        for (; at + LANES <= end; at += LANES, to += LANES) {
            lanes_int place = lanes_get_bytes(quarter, at);
            lanes_int value = (lanes_int)lanes_get(dy, at, type);
            if (masked)
                value &= lanes_get(y, at, type) > 0.0f;
            lanes_put(dx, to, type, value & (place == 0));
            lanes_put(dx, to + channels, type, value & (place == 1));
            lanes_put(dx, to + row, type, value & (place == 2));
            lanes_put(dx, to + row + channels, type, value & (place == 3));
        }
        for (; at < end; at++, to++) {
            float value = value_get(dy, at, type);
            value = masked && !(value_get(y, at, type) > 0.0f) ? 0.0f : value;
            uint8_t place = quarter[at];
            value_set(dx, to, type, place == 0 ? value : 0.0f);
            value_set(dx, to + channels, type, place == 1 ? value : 0.0f);
            value_set(dx, to + row, type, place == 2 ? value : 0.0f);
            value_set(dx, to + row + channels, type, place == 3 ? value : 0.0f);
        }
    }
}

/* Squares around the mean, summed over rows. */
INLINE void squares_of(float *sums, const void *x, const float *mean, size_t rows, size_t channels,
                       enum precision type) {
    size_t c = 0;
    for (; c + LANES <= channels; c += LANES) {
        lanes sum = {0}, centre = lanes_get(mean, c, PRECISION_F32);
        for (size_t row = 0; row < rows; row++) {
            lanes away = lanes_get(x, row * channels + c, type) - centre;
            sum += away * away;
        }
        lanes_set(sums, c, PRECISION_F32, sum);
    }
    for (; c < channels; c++) {
        sums[c] = 0;
        for (size_t row = 0; row < rows; row++) {
            float away = value_get(x, row * channels + c, type) - mean[c];
            sums[c] += away * away;
        }
    }
}

INLINE void normalise_of(void *y, const void *x, const float *scale, const float *offset,
                         size_t rows, size_t channels, bool relu, enum precision type) {
    for (size_t row = 0; row < rows; row++) {
        size_t at = row * channels, c = 0;
        for (; c + LANES <= channels; c += LANES) {
            lanes value = lanes_get(x, at + c, type) * lanes_get(scale, c, PRECISION_F32) +
                          lanes_get(offset, c, PRECISION_F32);
            if (relu)
                value = (lanes)((lanes_int)value & ~(value < 0.0f));
            lanes_set(y, at + c, type, value);
        }
        for (; c < channels; c++) {
            float value = value_get(x, at + c, type) * scale[c] + offset[c];
            value_set(y, at + c, type, relu && value < 0.0f ? 0.0f : value);
        }
    }
}

/* Σ dy and Σ dy (x - mean), with the relu's mask. */
INLINE void normalise_sums_of(float *sums, const void *dy, const void *y, const void *x,
                              const float *mean, size_t rows, size_t channels, bool relu,
                              enum precision type) {
    size_t c = 0;
    for (; c + LANES <= channels; c += LANES) {
        lanes sum = {0}, product = {0}, centre = lanes_get(mean, c, PRECISION_F32);
        for (size_t row = 0, at = c; row < rows; row++, at += channels) {
            lanes slope = lanes_get(dy, at, type);
            if (relu)
                slope = (lanes)((lanes_int)slope & (lanes_get(y, at, type) > 0.0f));
            sum += slope;
            product += slope * (lanes_get(x, at, type) - centre);
        }
        lanes_set(sums, c, PRECISION_F32, sum);
        lanes_set(sums, channels + c, PRECISION_F32, product);
    }
    for (; c < channels; c++) {
        float sum = 0, product = 0;
        for (size_t row = 0, at = c; row < rows; row++, at += channels) {
            float slope = value_get(dy, at, type);
            slope = relu && !(value_get(y, at, type) > 0.0f) ? 0.0f : slope;
            sum += slope;
            product += slope * (value_get(x, at, type) - mean[c]);
        }
        sums[c] = sum;
        sums[channels + c] = product;
    }
}

/* dx = dy scale + x slope + offset, the slope and offset being per channel. */
INLINE void normalise_back_of(void *dx, const void *dy, const void *y, const void *x,
                              const float *scale, const float *slope, const float *offset,
                              size_t rows, size_t channels, bool relu, enum precision type) {
    for (size_t row = 0; row < rows; row++) {
        size_t at = row * channels, c = 0;
        for (; c + LANES <= channels; c += LANES) {
            lanes d = lanes_get(dy, at + c, type);
            if (relu)
                d = (lanes)((lanes_int)d & (lanes_get(y, at + c, type) > 0.0f));
            lanes rest = lanes_get(x, at + c, type) * lanes_get(slope, c, PRECISION_F32) +
                         lanes_get(offset, c, PRECISION_F32);
            lanes_set(dx, at + c, type, d * lanes_get(scale, c, PRECISION_F32) + rest);
        }
        for (; c < channels; c++) {
            float d = value_get(dy, at + c, type);
            d = relu && !(value_get(y, at + c, type) > 0.0f) ? 0.0f : d;
            value_set(dx, at + c, type,
                      d * scale[c] + (value_get(x, at + c, type) * slope[c] + offset[c]));
        }
    }
}

/* The type and the flag become constants, so that each loop is compiled for its case. */
static void sum_rows(float *sums, const void *from, size_t rows, size_t channels,
                     enum precision type) {
    if (type == PRECISION_BF16)
        sum_rows_of(sums, from, rows, channels, PRECISION_BF16);
    else
        sum_rows_of(sums, from, rows, channels, PRECISION_F32);
}

static void sum_squares(float *sums, const void *x, const float *mean, size_t rows, size_t channels,
                        enum precision type) {
    if (type == PRECISION_BF16)
        squares_of(sums, x, mean, rows, channels, PRECISION_BF16);
    else
        squares_of(sums, x, mean, rows, channels, PRECISION_F32);
}

static void relu_mask(void *dx, const void *dy, const void *y, size_t count, enum precision type) {
    if (type == PRECISION_BF16)
        mask_of(dx, dy, y, count, PRECISION_BF16);
    else
        mask_of(dx, dy, y, count, PRECISION_F32);
}

static void pairs_max(void *y, uint8_t *quarter, const void *x, int width, size_t row,
                      size_t channels, enum precision type) {
    if (type == PRECISION_BF16)
        pairs_max_of(y, quarter, x, width, row, channels, PRECISION_BF16);
    else
        pairs_max_of(y, quarter, x, width, row, channels, PRECISION_F32);
}

static void pairs_scatter(void *dx, const void *dy, const void *y, const uint8_t *quarter,
                          int width, size_t row, size_t channels, bool masked,
                          enum precision type) {
    if (type == PRECISION_BF16 && masked)
        pairs_scatter_of(dx, dy, y, quarter, width, row, channels, true, PRECISION_BF16);
    else if (type == PRECISION_BF16)
        pairs_scatter_of(dx, dy, y, quarter, width, row, channels, false, PRECISION_BF16);
    else if (masked)
        pairs_scatter_of(dx, dy, y, quarter, width, row, channels, true, PRECISION_F32);
    else
        pairs_scatter_of(dx, dy, y, quarter, width, row, channels, false, PRECISION_F32);
}

static void normalise(void *y, const void *x, const float *scale, const float *offset, size_t rows,
                      size_t channels, bool relu, enum precision type) {
    if (type == PRECISION_BF16 && relu)
        normalise_of(y, x, scale, offset, rows, channels, true, PRECISION_BF16);
    else if (type == PRECISION_BF16)
        normalise_of(y, x, scale, offset, rows, channels, false, PRECISION_BF16);
    else if (relu)
        normalise_of(y, x, scale, offset, rows, channels, true, PRECISION_F32);
    else
        normalise_of(y, x, scale, offset, rows, channels, false, PRECISION_F32);
}

static void normalise_sums(float *sums, const void *dy, const void *y, const void *x,
                           const float *mean, size_t rows, size_t channels, bool relu,
                           enum precision type) {
    if (type == PRECISION_BF16 && relu)
        normalise_sums_of(sums, dy, y, x, mean, rows, channels, true, PRECISION_BF16);
    else if (type == PRECISION_BF16)
        normalise_sums_of(sums, dy, y, x, mean, rows, channels, false, PRECISION_BF16);
    else if (relu)
        normalise_sums_of(sums, dy, y, x, mean, rows, channels, true, PRECISION_F32);
    else
        normalise_sums_of(sums, dy, y, x, mean, rows, channels, false, PRECISION_F32);
}

static void normalise_back(void *dx, const void *dy, const void *y, const void *x,
                           const float *scale, const float *slope, const float *offset, size_t rows,
                           size_t channels, bool relu, enum precision type) {
    if (type == PRECISION_BF16 && relu)
        normalise_back_of(dx, dy, y, x, scale, slope, offset, rows, channels, true, PRECISION_BF16);
    else if (type == PRECISION_BF16)
        normalise_back_of(dx, dy, y, x, scale, slope, offset, rows, channels, false,
                          PRECISION_BF16);
    else if (relu)
        normalise_back_of(dx, dy, y, x, scale, slope, offset, rows, channels, true, PRECISION_F32);
    else
        normalise_back_of(dx, dy, y, x, scale, slope, offset, rows, channels, false, PRECISION_F32);
}

const struct loops LOOPS_TABLE = {sum_rows,      sum_squares, relu_mask,      pairs_max,
                                  pairs_scatter, normalise,   normalise_sums, normalise_back};
