/* One optimizer step over all parameters in one pass: decay, moments, weights, moving average and
 * the bf16 shadow of a block of values while it is in the cache. Formulas: model/optimizer.h. */
#include "cpu/engine_private.h"

#include <math.h>

#define BLOCK ((size_t)16384) /* floats that a thread takes at a time */

/* A piece of one parameter. */
struct update_block {
    size_t first, count;
    float rate; /* multiplier */
    bool decays, trainable;
};

struct update_plan {
    size_t count;
    struct update_block blocks[];
};

int update_plan(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    size_t count = 0;
    for (int i = 0; i < net->parameter_count; i++)
        count += (net->parameters[i].count + BLOCK - 1) / BLOCK;
    struct update_plan *plan = engine_alloc(
        engine, sizeof *plan + count * sizeof(struct update_block), "the update's blocks", error);
    if (!plan)
        return -1;
    for (int i = 0; i < net->parameter_count; i++) {
        const struct parameter *parameter = &net->parameters[i];
        for (size_t at = 0; at < parameter->count; at += BLOCK)
            plan->blocks[plan->count++] = (struct update_block){
                .first = parameter->offset + at,
                .count = parameter->count - at < BLOCK ? parameter->count - at : BLOCK,
                .rate = parameter->rate,
                .decays = parameter->role == PARAMETER_WEIGHT,
                .trainable = parameter->offset < net->trainable,
            };
    }
    engine->update = plan;
    return 0;
}

CLONES static void sgd(float *restrict w, float *restrict v, const float *restrict g, size_t count,
                       float rate, float momentum, float decay, bool nesterov) {
    for (size_t i = 0; i < count; i++) {
        float slope = g[i] + decay * w[i];
        v[i] = momentum * v[i] + slope;
        w[i] -= rate * (nesterov ? slope + momentum * v[i] : v[i]);
    }
}

/* `step` is the rate over the first moment's bias, `root` the square root of the second's. */
struct adam {
    float rate, decay, beta1, beta2, epsilon, step, root;
};
CLONES static void adamw(float *restrict w, float *restrict m, float *restrict v,
                         const float *restrict g, size_t count, struct adam a) {
    for (size_t i = 0; i < count; i++) {
        float weight = w[i] - a.rate * a.decay * w[i];
        m[i] = a.beta1 * m[i] + (1.0f - a.beta1) * g[i];
        v[i] = a.beta2 * v[i] + (1.0f - a.beta2) * (g[i] * g[i]);
        w[i] = weight - a.step * m[i] / (sqrtf(v[i]) / a.root + a.epsilon);
    }
}

CLONES static void average(float *restrict ema, const float *restrict w, size_t count,
                           float decay) {
    for (size_t i = 0; i < count; i++)
        ema[i] = decay * ema[i] + (1.0f - decay) * w[i];
}

static void update_block(struct engine *engine, const struct update_block *block, float rate,
                         float ema_decay) {
    const struct optimizer *optimizer = &engine->config.optimizer;
    size_t first = block->first;
    float *w = engine->weights + first;
    float decay = block->decays ? optimizer->weight_decay : 0.0f;
    rate *= block->rate;
    if (block->trainable && optimizer->kind != OPTIMIZER_ADAMW) {
        sgd(w, engine->moment1 + first, engine->gradients + first, block->count, rate,
            optimizer->momentum, decay, optimizer->kind == OPTIMIZER_NESTEROV);
    } else if (block->trainable) {
        double t = (double)engine->updates;
        struct adam adam = {rate,
                            decay,
                            optimizer->beta1,
                            optimizer->beta2,
                            optimizer->epsilon,
                            (float)(rate / (1.0 - pow((double)optimizer->beta1, t))),
                            (float)sqrt(1.0 - pow((double)optimizer->beta2, t))};
        adamw(w, engine->moment1 + first, engine->moment2 + first, engine->gradients + first,
              block->count, adam);
    }
    if (engine->ema)
        average(engine->ema + first, w, block->count, ema_decay);
    if (engine->weights16)
        values_store((struct values){engine->weights16, PRECISION_BF16}, first, w, block->count);
}

void update_apply(struct engine *engine, float rate) {
    engine->updates++;
    double t = (double)engine->updates, young = t / (t + 9.0);
    float ema = engine->config.optimizer.ema;
    float ema_decay = (double)ema < young ? ema : (float)young;
    const struct update_plan *plan = engine->update;
#pragma omp parallel for schedule(static) num_threads(team(engine, engine->net->total))
    for (size_t i = 0; i < plan->count; i++)
        update_block(engine, &plan->blocks[i], rate, ema_decay);
    engine->version++;
}

void update_refresh(struct engine *engine) {
    if (engine->weights16)
        values_store((struct values){engine->weights16, PRECISION_BF16}, 0, engine->weights,
                     engine->net->total);
    engine->version++;
}
