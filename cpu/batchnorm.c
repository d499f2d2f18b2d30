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

/* Statistics of this batch, into batch_mean and inverse, and their share of the running ones. */
static void batch_statistics(struct engine *engine, struct cpu_node *self, struct values x) {
    struct batchnorm_state *state = self->state;
    int channels = self->node->shape.channels;
    size_t part = reduce_part_rows(state->rows), parts = (state->rows + part - 1) / part;
    float *partials = engine->partials, momentum = self->node->batchnorm.momentum;
    reduce_channels(engine, x, state->rows, channels, state->batch_mean);
    for (int c = 0; c < channels; c++)
        state->batch_mean[c] = (float)((double)state->batch_mean[c] / (double)state->rows);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t i = 0; i < parts; i++) {
        size_t here = state->rows - i * part < part ? state->rows - i * part : part;
        engine->loops->sum_squares(partials + i * (size_t)channels,
                                   values_at(x, i * part * (size_t)channels), state->batch_mean,
                                   here, (size_t)channels, x.type);
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
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < state->rows; first += part) {
        size_t here = state->rows - first < part ? state->rows - first : part;
        size_t at = first * (size_t)channels;
        engine->loops->normalise(values_at(self->y, at), values_at(x, at), state->scale,
                                 state->offset, here, (size_t)channels, self->links.relu, x.type);
    }
    return 0;
}

/* --- backward -------------------------------------------------------------------------------- */

/* Gradients of gain and shift; leaves Σ dy and Σ dy x̂ in state->sums. */
static void parameter_gradients(struct engine *engine, struct cpu_node *self, struct values x) {
    struct batchnorm_state *state = self->state;
    int channels = self->node->shape.channels;
    size_t part = reduce_part_rows(state->rows), parts = (state->rows + part - 1) / part;
    size_t stride = 2 * (size_t)channels;
    float *partials = engine->partials;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t i = 0; i < parts; i++) {
        size_t here = state->rows - i * part < part ? state->rows - i * part : part;
        size_t at = i * part * (size_t)channels;
        engine->loops->normalise_sums(partials + i * stride, values_at(self->dy, at),
                                      values_at(self->y, at), values_at(x, at), state->batch_mean,
                                      here, (size_t)channels, self->links.relu, x.type);
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
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < state->rows; first += part) {
        size_t here = state->rows - first < part ? state->rows - first : part;
        size_t at = first * (size_t)channels;
        engine->loops->normalise_back(values_at(dx, at), values_at(self->dy, at),
                                      values_at(self->y, at), values_at(x, at), state->scale, slope,
                                      offset, here, (size_t)channels, self->links.relu, x.type);
    }
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions batchnorm_functions = {batchnorm_plan, batchnorm_forward,
                                                   batchnorm_backward};
