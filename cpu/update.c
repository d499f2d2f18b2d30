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

/* `step` is the rate over the first moment's bias, `root` the square root of the second's. The
 * decay is AdamW's, or is in the slope. */
struct adam {
    float rate, decay, coupled, beta1, beta2, epsilon, step, root;
};
CLONES static void adam(float *restrict w, float *restrict m, float *restrict v,
                        const float *restrict g, size_t count, struct adam a) {
    for (size_t i = 0; i < count; i++) {
        float slope = g[i] + a.coupled * w[i];
        float weight = w[i] - a.rate * a.decay * w[i];
        m[i] = a.beta1 * m[i] + (1.0f - a.beta1) * slope;
        v[i] = a.beta2 * v[i] + (1.0f - a.beta2) * (slope * slope);
        w[i] = weight - a.step * m[i] / (sqrtf(v[i]) / a.root + a.epsilon);
    }
}

CLONES static void adadelta(float *restrict w, float *restrict changes, float *restrict squares,
                            const float *restrict g, size_t count, float rate, float decay,
                            float rho, float epsilon) {
    for (size_t i = 0; i < count; i++) {
        float slope = g[i] + decay * w[i];
        squares[i] = rho * squares[i] + (1.0f - rho) * (slope * slope);
        float change = sqrtf(changes[i] + epsilon) / sqrtf(squares[i] + epsilon) * slope;
        changes[i] = rho * changes[i] + (1.0f - rho) * (change * change);
        w[i] -= rate * change;
    }
}

/* RMSprop; Adagrad with keep and take 1. */
CLONES static void root_mean_square(float *restrict w, float *restrict squares,
                                    const float *restrict g, size_t count, float rate, float decay,
                                    float keep, float take, float epsilon) {
    for (size_t i = 0; i < count; i++) {
        float slope = g[i] + decay * w[i];
        squares[i] = keep * squares[i] + take * (slope * slope);
        w[i] -= rate * slope / (sqrtf(squares[i]) + epsilon);
    }
}

CLONES static void average(float *restrict ema, const float *restrict w, size_t count,
                           float decay) {
    for (size_t i = 0; i < count; i++)
        ema[i] = decay * ema[i] + (1.0f - decay) * w[i];
}

static struct adam adam_of(const struct optimizer *optimizer, float rate, float decay, double t) {
    bool decoupled = optimizer->kind == OPTIMIZER_ADAMW;
    return (struct adam){.rate = rate,
                         .decay = decoupled ? decay : 0.0f,
                         .coupled = decoupled ? 0.0f : decay,
                         .beta1 = optimizer->beta1,
                         .beta2 = optimizer->beta2,
                         .epsilon = optimizer->epsilon,
                         .step = (float)(rate / (1.0 - pow((double)optimizer->beta1, t))),
                         .root = (float)sqrt(1.0 - pow((double)optimizer->beta2, t))};
}

static void step_block(struct engine *engine, const struct update_block *block, float rate) {
    const struct optimizer *optimizer = &engine->config.optimizer;
    size_t first = block->first, count = block->count;
    float *w = engine->weights + first, *m = engine->moment1 + first;
    float *v = engine->moment2 ? engine->moment2 + first : NULL;
    const float *g = engine->gradients + first;
    float decay = block->decays ? optimizer->weight_decay : 0.0f, rho = optimizer->rho;
    switch (optimizer->kind) {
    case OPTIMIZER_SGD:
    case OPTIMIZER_NESTEROV:
        sgd(w, m, g, count, rate, optimizer->momentum, decay,
            optimizer->kind == OPTIMIZER_NESTEROV);
        break;
    case OPTIMIZER_ADAMW:
    case OPTIMIZER_ADAM:
        adam(w, m, v, g, count, adam_of(optimizer, rate, decay, (double)engine->updates));
        break;
    case OPTIMIZER_ADADELTA:
        adadelta(w, m, v, g, count, rate, decay, rho, optimizer->epsilon);
        break;
    case OPTIMIZER_RMSPROP:
        root_mean_square(w, v, g, count, rate, decay, rho, 1.0f - rho, optimizer->epsilon);
        break;
    case OPTIMIZER_ADAGRAD:
        root_mean_square(w, v, g, count, rate, decay, 1.0f, 1.0f, optimizer->epsilon);
        break;
    }
}

static void update_block(struct engine *engine, const struct update_block *block, float rate,
                         float ema_decay) {
    size_t first = block->first;
    float *w = engine->weights + first;
    if (block->trainable)
        step_block(engine, block, rate * block->rate);
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
