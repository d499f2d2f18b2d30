/* The optimizer step, against the formulas of model/optimizer.h in double. */
#include "model/optimizer.h"
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

/* Blocks of all lengths, at multiples of 4 and not; the last is not trainable. What lies between
 * them must stay as it is. */
static const struct kernel_update_block blocks[] = {
    {.first = 0, .count = 4096, .rate = 1.0f, .decays = true, .trainable = true},
    {.first = 4096, .count = 1, .rate = 2.0f, .decays = false, .trainable = true},
    {.first = 4100, .count = 7, .rate = 1.0f, .decays = true, .trainable = true},
    {.first = 4109, .count = 257, .rate = 0.5f, .decays = true, .trainable = true},
    {.first = 4366, .count = 9, .rate = 1.0f, .decays = false, .trainable = true},
    {.first = 4376, .count = 1023, .rate = 3.0f, .decays = true, .trainable = true},
    {.first = 5400, .count = 19, .rate = 1.0f, .decays = true, .trainable = false},
};
#define BLOCKS (sizeof blocks / sizeof *blocks)
#define TRAINABLE 5399
#define TOTAL 5420

static const struct step_arguments arguments = {
    .rate = 0.125f, .ema_decay = 0.75f, .first_bias = 1.5f, .second_root = 0.625f};

struct state {
    struct rig rig;
    struct array weights, half, ema, gradients, first, second;
    struct kernel_update update;
};

static struct state state_open(enum optimizer_kind kind, bool averages, bool half) {
    bool squares = optimizer_has_squares(kind), adagrad = kind == OPTIMIZER_ADAGRAD;
    static const enum kernel_rule rules[] = {
        [OPTIMIZER_SGD] = KERNEL_SGD,           [OPTIMIZER_NESTEROV] = KERNEL_NESTEROV,
        [OPTIMIZER_ADAMW] = KERNEL_ADAM,        [OPTIMIZER_ADAM] = KERNEL_ADAM,
        [OPTIMIZER_ADADELTA] = KERNEL_ADADELTA, [OPTIMIZER_RMSPROP] = KERNEL_SQUARES,
        [OPTIMIZER_ADAGRAD] = KERNEL_SQUARES};
    struct state state = {.rig = rig_open()};
    struct rig *rig = &state.rig;
    double positive[TRAINABLE];
    for (size_t i = 0; i < TRAINABLE; i++)
        positive[i] = fabs(rig_value(6, i));
    state.weights = rig_random(rig, ELEMENT_F32, TOTAL, 1);
    state.half = rig_random(rig, ELEMENT_BF16, TOTAL, 2);
    state.ema = rig_random(rig, ELEMENT_F32, TOTAL, 3);
    state.gradients = rig_random(rig, ELEMENT_F32, TRAINABLE, 4);
    state.first = kind == OPTIMIZER_ADADELTA ? rig_array(rig, ELEMENT_F32, positive, TRAINABLE)
                                             : rig_random(rig, ELEMENT_F32, TRAINABLE, 5);
    state.second = rig_array(rig, ELEMENT_F32, positive, TRAINABLE);
    state.update = (struct kernel_update){
        .blocks = rig_put(rig, blocks, sizeof blocks),
        .block_count = BLOCKS,
        .weights = state.weights.values.data,
        .weights16 = half ? state.half.values.data : NULL,
        .ema = averages ? state.ema.values.data : NULL,
        .gradients = state.gradients.values.data,
        .moment1 = state.first.values.data,
        .moment2 = squares ? state.second.values.data : NULL,
        .rule = rules[kind],
        .decoupled = kind == OPTIMIZER_ADAMW,
        .keep = adagrad ? 1 : 0.9f,
        .take = adagrad ? 1 : 0.1f,
        .momentum = 0.9f,
        .beta1 = 0.9f,
        .beta2 = 0.99f,
        .epsilon = 1e-3f,
        .weight_decay = 0.01f,
    };
    return state;
}

static void sgd_here(struct state *state, size_t i, double rate, double decay) {
    double *w = &state->weights.host[i], *v = &state->first.host[i];
    double momentum = (double)state->update.momentum;
    double slope = state->gradients.host[i] + decay * *w;
    *v = momentum * *v + slope;
    *w -= rate * (state->update.rule == KERNEL_NESTEROV ? slope + momentum * *v : *v);
}

static void adam_here(struct state *state, size_t i, double rate, double decay) {
    double *w = &state->weights.host[i], g = state->gradients.host[i];
    double *m = &state->first.host[i], *v = &state->second.host[i];
    double beta1 = (double)state->update.beta1, beta2 = (double)state->update.beta2;
    if (!state->update.decoupled) {
        g += decay * *w;
        decay = 0;
    }
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    *w = *w - rate * decay * *w -
         rate * (double)arguments.first_bias * *m /
             (sqrt(*v) / (double)arguments.second_root + (double)state->update.epsilon);
}

static void adadelta_here(struct state *state, size_t i, double rate, double decay) {
    double *w = &state->weights.host[i], g = state->gradients.host[i] + decay * *w;
    double *m = &state->first.host[i], *v = &state->second.host[i];
    double keep = (double)state->update.keep, take = (double)state->update.take;
    double epsilon = (double)state->update.epsilon;
    *v = keep * *v + take * g * g;
    double change = g * sqrt(*m + epsilon) / sqrt(*v + epsilon);
    *m = keep * *m + take * change * change;
    *w -= rate * change;
}

static void squares_here(struct state *state, size_t i, double rate, double decay) {
    double *w = &state->weights.host[i], g = state->gradients.host[i] + decay * *w;
    double *v = &state->second.host[i];
    *v = (double)state->update.keep * *v + (double)state->update.take * g * g;
    *w -= rate * g / (sqrt(*v) + (double)state->update.epsilon);
}

/* Changes what `state` has here as the kernel should on the device. */
static void step_here(struct state *state) {
    for (size_t b = 0; b < BLOCKS; b++)
        for (size_t i = blocks[b].first; i < blocks[b].first + blocks[b].count; i++) {
            double rate = (double)arguments.rate * (double)blocks[b].rate;
            double decay = blocks[b].decays ? (double)state->update.weight_decay : 0;
            if (blocks[b].trainable)
                (state->update.rule == KERNEL_ADAM       ? adam_here
                 : state->update.rule == KERNEL_ADADELTA ? adadelta_here
                 : state->update.rule == KERNEL_SQUARES  ? squares_here
                                                         : sgd_here)(state, i, rate, decay);
            double keep = (double)arguments.ema_decay, w = state->weights.host[i];
            if (state->update.ema)
                state->ema.host[i] = keep * state->ema.host[i] + (1 - keep) * w;
            if (state->update.weights16)
                state->half.host[i] = w;
        }
}

static void check_update(enum optimizer_kind kind, bool averages, bool half) {
    struct state state = state_open(kind, averages, half);
    struct rig *rig = &state.rig;
    step_here(&state);
    rig_done(rig,
             kernel_update(&state.update, rig_put(rig, &arguments, sizeof arguments), rig->stream));
    rig_expect(rig, &state.weights, state.weights.host, 1e-6, "weights");
    rig_expect(rig, &state.ema, state.ema.host, 1e-6, "averages");
    rig_expect(rig, &state.half, state.half.host, 1e-6, "bf16 copy");
    rig_expect(rig, &state.first, state.first.host, 1e-6, "first moments");
    rig_expect(rig, &state.second, state.second.host, 1e-6, "second moments");
    rig_expect(rig, &state.gradients, state.gradients.host, 0, "gradients");
    rig_close(rig);
}

Test(cuda_update, sgd_by_the_formula) {
    for (int k = 0; k < 4; k++)
        check_update(OPTIMIZER_SGD, k & 1, k >> 1);
}

Test(cuda_update, nesterov_by_the_formula) {
    for (int k = 0; k < 4; k++)
        check_update(OPTIMIZER_NESTEROV, k & 1, k >> 1);
}

Test(cuda_update, adamw_by_the_formula) {
    for (int k = 0; k < 4; k++)
        check_update(OPTIMIZER_ADAMW, k & 1, k >> 1);
}

Test(cuda_update, the_others_by_the_formula) {
    for (int kind = OPTIMIZER_ADAM; kind <= OPTIMIZER_ADAGRAD; kind++)
        for (int k = 0; k < 4; k++)
            check_update((enum optimizer_kind)kind, k & 1, k >> 1);
}

/* The copy is the bf16 next to the new weight, to the bit. */
Test(cuda_update, rounds_the_copy_to_nearest_even) {
    struct state state = state_open(OPTIMIZER_SGD, false, true);
    struct rig *rig = &state.rig;
    float weights[TOTAL];
    double copies[TOTAL];
    rig_done(rig,
             kernel_update(&state.update, rig_put(rig, &arguments, sizeof arguments), rig->stream));
    rig_get(rig, weights, state.weights.values.data, sizeof weights);
    for (size_t i = 0; i < TOTAL; i++)
        copies[i] = state.half.host[i];
    for (size_t b = 0; b < BLOCKS; b++)
        for (size_t i = blocks[b].first; i < blocks[b].first + blocks[b].count; i++)
            copies[i] = (double)weights[i];
    struct array wanted = rig_array(rig, ELEMENT_BF16, copies, TOTAL);
    rig_expect_same(rig, state.half.values.data, wanted.values.data, TOTAL * 2, "bf16 copy");
    rig_close(rig);
}
