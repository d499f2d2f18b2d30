/* Batch normalisation per channel, as in PyTorch: the batch's biased variance normalises, the
 * unbiased one enters the running statistics; predict uses those. Does the relu behind it as well.
 *
 * Source: Ioffe & Szegedy, "Batch Normalization", ICML 2015. */
#include "cpu/engine_private.h"

#include <math.h>

struct batchnorm_state {
    int64_t gain, shift, mean, variance; /* offsets of the parameters */
    float *batch_mean, *inverse;         /* [channels]: of this batch; 1/sqrt(variance + ε) */
    float *scale, *offset;               /* [channels]: y = x scale + offset */
    float *sums;                         /* [2][channels] */
    size_t rows;
};

static int batchnorm_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    size_t channels = (size_t)self->node->shape.channels;
    struct batchnorm_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    float *floats = engine_alloc(engine, sizeof(float) * 6 * channels, self->node->name, error);
    if (!state || !floats)
        return -1;
    self->state = state;
    state->rows = (size_t)(engine->batch * self->node->shape.height * self->node->shape.width);
    if (engine->config.training && state->rows < 2)
        return error_set(error, ERROR_INVALID,
                         "%s: batchnorm cannot train on one value per channel: a batch of at least "
                         "2 is needed, %d was asked for",
                         self->node->name, engine->batch);
    state->batch_mean = floats;
    state->inverse = floats + channels;
    state->scale = floats + 2 * channels;
    state->offset = floats + 3 * channels;
    state->sums = floats + 4 * channels;
    state->gain = node_parameter(engine, self, PARAMETER_GAIN);
    state->shift = node_parameter(engine, self, PARAMETER_SHIFT);
    state->mean = node_parameter(engine, self, PARAMETER_MEAN);
    state->variance = node_parameter(engine, self, PARAMETER_VARIANCE);
    return 0;
}

/* --- forward --------------------------------------------------------------------------------- */

/* Squares around the mean, summed over rows. */
INLINE void squares(float *restrict sums, const void *restrict x, const float *restrict mean,
                    size_t rows, int channels, enum precision type) {
    memset(sums, 0, sizeof *sums * (size_t)channels);
    for (size_t row = 0; row < rows; row++)
        for (int c = 0; c < channels; c++) {
            float away = value_get(x, row * (size_t)channels + (size_t)c, type) - mean[c];
            sums[c] += away * away;
        }
}
CLONES static void squares_f32(float *sums, const void *x, const float *mean, size_t rows,
                               int channels) {
    squares(sums, x, mean, rows, channels, PRECISION_F32);
}
CLONES static void squares_bf16(float *sums, const void *x, const float *mean, size_t rows,
                                int channels) {
    squares(sums, x, mean, rows, channels, PRECISION_BF16);
}

INLINE void normalise(void *restrict y, const void *restrict x, const float *restrict scale,
                      const float *restrict offset, size_t rows, int channels, bool relu,
                      enum precision type) {
    for (size_t row = 0; row < rows; row++)
        for (int c = 0; c < channels; c++) {
            size_t at = row * (size_t)channels + (size_t)c;
            float value = value_get(x, at, type) * scale[c] + offset[c];
            value_set(y, at, type, relu && value < 0.0f ? 0.0f : value);
        }
}
CLONES static void normalise_f32(void *y, const void *x, const float *scale, const float *offset,
                                 size_t rows, int channels, bool relu) {
    normalise(y, x, scale, offset, rows, channels, relu, PRECISION_F32);
}
CLONES static void normalise_bf16(void *y, const void *x, const float *scale, const float *offset,
                                  size_t rows, int channels, bool relu) {
    normalise(y, x, scale, offset, rows, channels, relu, PRECISION_BF16);
}

/* Statistics of this batch, into batch_mean and inverse, and their share of the running ones. */
static void batch_statistics(struct engine *engine, struct cpu_node *self, struct values x) {
    struct batchnorm_state *state = self->state;
    int channels = self->node->shape.channels;
    size_t part = reduce_part_rows(state->rows), parts = (state->rows + part - 1) / part;
    float *partials = engine->partials, momentum = self->node->batchnorm.momentum;
    reduce_channels(engine, x, state->rows, channels, state->batch_mean);
    for (int c = 0; c < channels; c++)
        state->batch_mean[c] = (float)((double)state->batch_mean[c] / (double)state->rows);
#pragma omp parallel for schedule(static) num_threads(engine->threads) if (parts > 1)
    for (size_t i = 0; i < parts; i++) {
        size_t here = state->rows - i * part < part ? state->rows - i * part : part;
        (x.type == PRECISION_BF16 ? squares_bf16 : squares_f32)(
            partials + i * (size_t)channels, values_at(x, i * part * (size_t)channels),
            state->batch_mean, here, channels);
    }
    for (int c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < parts; i++)
            sum += partials[i * (size_t)channels + (size_t)c];
        double variance = sum / (double)state->rows;
        float *mean = &engine->weights[state->mean + c];
        float *running = &engine->weights[state->variance + c];
        state->inverse[c] = (float)(1.0 / sqrt(variance + self->node->batchnorm.epsilon));
        *mean = (1.0f - momentum) * *mean + momentum * state->batch_mean[c];
        *running =
            (1.0f - momentum) * *running + momentum * (float)(sum / (double)(state->rows - 1));
    }
}

static int batchnorm_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct batchnorm_state *state = self->state;
    struct values x = node_input(engine, self, 0)->y;
    int channels = self->node->shape.channels;
    const float *mean = state->batch_mean, *gain = engine->weights + state->gain;
    if (engine->training) {
        batch_statistics(engine, self, x);
    } else {
        mean = engine->weights + state->mean;
        for (int c = 0; c < channels; c++)
            state->inverse[c] = (float)(1.0 / sqrt((double)engine->weights[state->variance + c] +
                                                   self->node->batchnorm.epsilon));
    }
    for (int c = 0; c < channels; c++) {
        state->scale[c] = gain[c] * state->inverse[c];
        state->offset[c] = engine->weights[state->shift + c] - mean[c] * state->scale[c];
    }
    size_t part = reduce_part_rows(state->rows);
#pragma omp parallel for schedule(static) num_threads(engine->threads)
    for (size_t first = 0; first < state->rows; first += part) {
        size_t here = state->rows - first < part ? state->rows - first : part;
        size_t at = first * (size_t)channels;
        (x.type == PRECISION_BF16 ? normalise_bf16 : normalise_f32)(
            values_at(self->y, at), values_at(x, at), state->scale, state->offset, here, channels,
            self->relu);
    }
    return 0;
}

/* --- backward -------------------------------------------------------------------------------- */

/* Σ dy and Σ dy (x - mean), with the relu's mask. */
INLINE void gradient_sums(float *restrict sums, const void *restrict dy, const void *restrict y,
                          const void *restrict x, const float *restrict mean, size_t rows,
                          int channels, bool relu, enum precision type) {
    float *restrict products = sums + channels;
    memset(sums, 0, sizeof *sums * 2 * (size_t)channels);
    for (size_t row = 0; row < rows; row++)
        for (int c = 0; c < channels; c++) {
            size_t at = row * (size_t)channels + (size_t)c;
            float slope = value_get(dy, at, type);
            slope = relu && !(value_get(y, at, type) > 0.0f) ? 0.0f : slope;
            sums[c] += slope;
            products[c] += slope * (value_get(x, at, type) - mean[c]);
        }
}
CLONES static void gradient_sums_f32(float *sums, const void *dy, const void *y, const void *x,
                                     const float *mean, size_t rows, int channels, bool relu) {
    gradient_sums(sums, dy, y, x, mean, rows, channels, relu, PRECISION_F32);
}
CLONES static void gradient_sums_bf16(float *sums, const void *dy, const void *y, const void *x,
                                      const float *mean, size_t rows, int channels, bool relu) {
    gradient_sums(sums, dy, y, x, mean, rows, channels, relu, PRECISION_BF16);
}

/* dx = dy scale + x slope + offset, the slope and offset being per channel. */
INLINE void spread(void *restrict dx, const void *restrict dy, const void *restrict y,
                   const void *restrict x, const float *restrict scale, const float *restrict slope,
                   const float *restrict offset, size_t rows, int channels, bool relu,
                   enum precision type) {
    for (size_t row = 0; row < rows; row++)
        for (int c = 0; c < channels; c++) {
            size_t at = row * (size_t)channels + (size_t)c;
            float d = value_get(dy, at, type);
            d = relu && !(value_get(y, at, type) > 0.0f) ? 0.0f : d;
            value_set(dx, at, type, d * scale[c] + (value_get(x, at, type) * slope[c] + offset[c]));
        }
}
CLONES static void spread_f32(void *dx, const void *dy, const void *y, const void *x,
                              const float *scale, const float *slope, const float *offset,
                              size_t rows, int channels, bool relu) {
    spread(dx, dy, y, x, scale, slope, offset, rows, channels, relu, PRECISION_F32);
}
CLONES static void spread_bf16(void *dx, const void *dy, const void *y, const void *x,
                               const float *scale, const float *slope, const float *offset,
                               size_t rows, int channels, bool relu) {
    spread(dx, dy, y, x, scale, slope, offset, rows, channels, relu, PRECISION_BF16);
}

/* Gradients of gain and shift; leaves Σ dy and Σ dy x̂ in state->sums. */
static void parameter_gradients(struct engine *engine, struct cpu_node *self, struct values x) {
    struct batchnorm_state *state = self->state;
    int channels = self->node->shape.channels;
    size_t part = reduce_part_rows(state->rows), parts = (state->rows + part - 1) / part;
    size_t stride = 2 * (size_t)channels;
    float *partials = engine->partials;
#pragma omp parallel for schedule(static) num_threads(engine->threads) if (parts > 1)
    for (size_t i = 0; i < parts; i++) {
        size_t here = state->rows - i * part < part ? state->rows - i * part : part;
        size_t at = i * part * (size_t)channels;
        (x.type == PRECISION_BF16 ? gradient_sums_bf16 : gradient_sums_f32)(
            partials + i * stride, values_at(self->dy, at), values_at(self->y, at),
            values_at(x, at), state->batch_mean, here, channels, self->relu);
    }
    for (int c = 0; c < channels; c++) {
        double sum = 0, products = 0;
        for (size_t i = 0; i < parts; i++) {
            sum += partials[i * stride + (size_t)c];
            products += partials[i * stride + (size_t)(channels + c)];
        }
        state->sums[c] = (float)sum;
        state->sums[channels + c] = (float)(products * state->inverse[c]);
        engine->gradients[state->shift + c] = state->sums[c];
        engine->gradients[state->gain + c] = state->sums[channels + c];
    }
}

/* dx = scale (dy - Σdy/n - x̂ Σ(dy x̂)/n) */
static int batchnorm_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct batchnorm_state *state = self->state;
    struct values x = node_input(engine, self, 0)->y, dx = gradient_begin(engine, self, 0);
    int channels = self->node->shape.channels;
    parameter_gradients(engine, self, x);
    if (!dx.data)
        return 0;
    float *slope = state->sums, *offset = state->sums + channels;
    for (int c = 0; c < channels; c++) {
        float mean_dy = state->sums[c] / (float)state->rows;
        float mean_product = state->sums[channels + c] / (float)state->rows;
        slope[c] = -state->scale[c] * mean_product * state->inverse[c];
        offset[c] = -state->scale[c] * mean_dy - slope[c] * state->batch_mean[c];
    }
    size_t part = reduce_part_rows(state->rows);
#pragma omp parallel for schedule(static) num_threads(engine->threads)
    for (size_t first = 0; first < state->rows; first += part) {
        size_t here = state->rows - first < part ? state->rows - first : part;
        size_t at = first * (size_t)channels;
        (x.type == PRECISION_BF16 ? spread_bf16 : spread_f32)(
            values_at(dx, at), values_at(self->dy, at), values_at(self->y, at), values_at(x, at),
            state->scale, slope, offset, here, channels, self->relu);
    }
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions batchnorm_functions = {batchnorm_plan, batchnorm_forward,
                                                   batchnorm_backward};
