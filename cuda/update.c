/* One optimizer step over all parameters in one kernel: kernels.h, kernel_update. */
#include "cuda/engine_private.h"

#include <math.h>

static size_t pieces(size_t count) {
    return (count + KERNEL_UPDATE_VALUES - 1) / KERNEL_UPDATE_VALUES;
}

static enum kernel_rule rule_of(enum optimizer_kind kind) {
    static const enum kernel_rule rules[] = {
        [OPTIMIZER_SGD] = KERNEL_SGD,           [OPTIMIZER_NESTEROV] = KERNEL_NESTEROV,
        [OPTIMIZER_ADAMW] = KERNEL_ADAM,        [OPTIMIZER_ADAM] = KERNEL_ADAM,
        [OPTIMIZER_ADADELTA] = KERNEL_ADADELTA, [OPTIMIZER_RMSPROP] = KERNEL_SQUARES,
        [OPTIMIZER_ADAGRAD] = KERNEL_SQUARES,
    };
    return rules[kind];
}

int update_plan(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    const struct optimizer *optimizer = &engine->config.optimizer;
    bool adagrad = optimizer->kind == OPTIMIZER_ADAGRAD;
    size_t count = 0, made = 0;
    for (int i = 0; i < net->parameter_count; i++)
        count += pieces(net->parameters[i].count);
    size_t size = count * sizeof(struct kernel_update_block);
    /* The engine's, since the copy from here may be under way until it is destroyed. */
    struct kernel_update_block *blocks =
        engine_alloc(engine, MEMORY_PINNED, size, "the update's blocks", error);
    void *place = engine_alloc(engine, MEMORY_FIXED, size, "the update's blocks", error);
    if (!blocks || !place)
        return -1;
    for (int i = 0; i < net->parameter_count; i++) {
        const struct parameter *parameter = &net->parameters[i];
        for (size_t at = 0; at < parameter->count; at += KERNEL_UPDATE_VALUES)
            blocks[made++] = (struct kernel_update_block){
                .first = engine->layouts[i].offset + at,
                .count =
                    (uint32_t)(parameter->count - at < KERNEL_UPDATE_VALUES ? parameter->count - at
                                                                            : KERNEL_UPDATE_VALUES),
                .rate = parameter->rate,
                .decays = parameter->role == PARAMETER_WEIGHT,
                .trainable = parameter->offset < net->trainable,
            };
    }
    if (!engine->memory.exhausted &&
        (cuda_check(cudaMemcpyAsync(place, blocks, size, cudaMemcpyHostToDevice, engine->compute),
                    "cudaMemcpyAsync", "the update's blocks", error) ||
         cuda_check(cudaStreamSynchronize(engine->compute), "cudaStreamSynchronize",
                    "the update's blocks", error)))
        return -1;
    engine->update = (struct kernel_update){.blocks = place,
                                            .block_count = (int)count,
                                            .weights = engine->weights,
                                            .weights16 = engine->weights16,
                                            .ema = engine->ema,
                                            .gradients = engine->gradients,
                                            .moment1 = engine->moment1,
                                            .moment2 = engine->moment2,
                                            .rule = rule_of(optimizer->kind),
                                            .decoupled = optimizer->kind == OPTIMIZER_ADAMW,
                                            .keep = adagrad ? 1.0f : optimizer->rho,
                                            .take = adagrad ? 1.0f : 1.0f - optimizer->rho,
                                            .momentum = optimizer->momentum,
                                            .beta1 = optimizer->beta1,
                                            .beta2 = optimizer->beta2,
                                            .epsilon = optimizer->epsilon,
                                            .weight_decay = optimizer->weight_decay};
    return 0;
}

int update_record(struct engine *engine, struct error *error) {
    return cuda_check(kernel_update(&engine->update, engine->places.arguments, engine->compute),
                      "kernel_update", "the optimizer step", error);
}

int update_refresh(struct engine *engine, struct error *error) {
    struct values copy = {engine->weights16, ELEMENT_BF16}, own = {engine->weights, ELEMENT_F32};
    if (!copy.data)
        return 0;
    return cuda_check(kernel_copy(copy, own, engine->sizes.total, false, engine->compute),
                      "kernel_copy", "the bf16 weights", error);
}

/* In double, as the CPU engine computes them. */
struct step_arguments update_arguments(const struct engine *engine,
                                       const struct step_settings *settings) {
    const struct optimizer *optimizer = &engine->config.optimizer;
    bool adam = optimizer->kind == OPTIMIZER_ADAMW || optimizer->kind == OPTIMIZER_ADAM;
    uint64_t updates = engine->updates + 1;
    double t = (double)updates, young = t / (t + 9.0);
    return (struct step_arguments){
        .step = settings->step,
        .updates = updates,
        .rate = settings->rate,
        .ema_decay = (double)optimizer->ema < young ? optimizer->ema : (float)young,
        .first_bias = adam ? (float)(1.0 / (1.0 - pow((double)optimizer->beta1, t))) : 1.0f,
        .second_root = adam ? (float)sqrt(1.0 - pow((double)optimizer->beta2, t)) : 1.0f,
    };
}
