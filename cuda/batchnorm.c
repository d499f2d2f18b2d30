/* Batch normalisation per channel, as in PyTorch: the batch's biased variance normalises, the
 * unbiased one enters the running statistics; predict uses those. Does the relu behind it as well.
 *
 * Source: Ioffe & Szegedy, "Batch Normalization", ICML 2015. */
#include "cuda/engine_private.h"

#include <stdlib.h>

static int batchnorm_plan(struct engine *engine, struct cuda_node *self, struct error *error) {
    size_t channels = (size_t)self->node->shape.channels;
    struct kernel_batchnorm *norm = calloc(1, sizeof *norm);
    if (!norm)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for %s", self->node->name);
    self->state = norm;
    float *floats =
        engine_alloc(engine, MEMORY_FIXED, sizeof(float) * 6 * channels, self->node->name, error);
    if (!floats)
        return -1;
    *norm = (struct kernel_batchnorm){
        .rows =
            (size_t)engine->batch * (size_t)(self->node->shape.height * self->node->shape.width),
        .channels = self->node->shape.channels,
        .momentum = self->node->batchnorm.momentum,
        .epsilon = self->node->batchnorm.epsilon,
        .gain = node_parameter(engine, self, PARAMETER_GAIN, engine->weights),
        .shift = node_parameter(engine, self, PARAMETER_SHIFT, engine->weights),
        .running_mean = node_parameter(engine, self, PARAMETER_MEAN, engine->weights),
        .running_variance = node_parameter(engine, self, PARAMETER_VARIANCE, engine->weights),
        .mean = floats,
        .inverse = floats + channels,
        .scale = floats + 2 * channels,
        .offset = floats + 3 * channels,
        .slope = floats + 4 * channels,
        .base = floats + 5 * channels,
        .relu = self->links.relu,
    };
    if (!engine->config.training)
        return 0;
    if (norm->rows < 2)
        return error_set(error, ERROR_INVALID,
                         "%s: batchnorm cannot train on one value per channel: a batch of at least "
                         "2 is needed, %d was asked for",
                         self->node->name, engine->batch);
    norm->gain_gradient = node_parameter(engine, self, PARAMETER_GAIN, engine->gradients);
    norm->shift_gradient = node_parameter(engine, self, PARAMETER_SHIFT, engine->gradients);
    engine_need_partials(engine, norm->rows, norm->channels);
    return 0;
}

/* The partial sums' place is known only after planning. */
static const struct kernel_batchnorm *ready(const struct engine *engine,
                                            const struct cuda_node *self) {
    struct kernel_batchnorm *norm = self->state;
    norm->partials = engine->partials;
    return norm;
}

static int batchnorm_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct kernel_batchnorm *norm = ready(engine, self);
    struct values x = node_input(engine, self, 0)->y;
    cudaError_t status = engine->training ? kernel_batchnorm_statistics(norm, x, engine->compute)
                                          : kernel_batchnorm_running(norm, engine->compute);
    if (node_check(engine, self, status, "kernel_batchnorm_statistics", error))
        return -1;
    return node_check(engine, self, kernel_batchnorm_apply(norm, self->y, x, engine->compute),
                      "kernel_batchnorm_apply", error);
}

static int batchnorm_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct kernel_batchnorm *norm = ready(engine, self);
    struct values x = node_input(engine, self, 0)->y, dx = node_input(engine, self, 0)->dy;
    if (node_check(engine, self, kernel_batchnorm_sums(norm, self->dy, self->y, x, engine->compute),
                   "kernel_batchnorm_sums", error))
        return -1;
    if (!dx.data)
        return 0;
    return node_check(engine, self,
                      kernel_batchnorm_back(norm, dx, self->dy, self->y, x,
                                            self->links.accumulates[0], engine->compute),
                      "kernel_batchnorm_back", error);
}

static void batchnorm_destroy(struct cuda_node *self) {
    free(self->state);
}

const struct node_functions batchnorm_functions = {.plan = batchnorm_plan,
                                                   .forward = batchnorm_forward,
                                                   .backward = batchnorm_backward,
                                                   .destroy = batchnorm_destroy};
