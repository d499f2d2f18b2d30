/* See reference.h: SGD with momentum, plain or Nesterov's, AdamW, and the moving average. */
#include "tests/reference/reference.h"

#include <math.h>

/* v = μv + g; w -= ηv, or Nesterov's w -= η(g + μv), where g already has the decay in it. */
static void sgd(const struct optimizer *o, double rate, double decay, double g, double *w,
                double *v) {
    g += decay * *w;
    *v = (double)o->momentum * *v + g;
    *w -= rate * (o->kind == OPTIMIZER_NESTEROV ? g + (double)o->momentum * *v : *v);
}

static void adamw(const struct optimizer *o, double rate, double decay, double g, uint64_t t,
                  double *w, double *m, double *v) {
    double beta1 = (double)o->beta1, beta2 = (double)o->beta2;
    *w -= rate * decay * *w;
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    double mean = *m / (1 - pow(beta1, (double)t));
    double square = *v / (1 - pow(beta2, (double)t));
    *w -= rate * mean / (sqrt(square) + (double)o->epsilon);
}

static void update_parameter(struct reference *r, const struct parameter *parameter, double rate) {
    const struct optimizer *o = &r->config.optimizer;
    double decay = parameter->role == PARAMETER_WEIGHT ? (double)o->weight_decay : 0;
    rate *= (double)parameter->rate;
    for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
        if (o->kind != OPTIMIZER_ADAMW)
            sgd(o, rate, decay, r->gradients[i], &r->weights[i], &r->moment1[i]);
        else
            adamw(o, rate, decay, r->gradients[i], r->updates, &r->weights[i], &r->moment1[i],
                  &r->moment2[i]);
    }
}

void reference_update(struct reference *r, double rate) {
    double t = (double)++r->updates;
    for (int i = 0; i < r->net->parameter_count; i++)
        if (r->net->parameters[i].offset < r->net->trainable)
            update_parameter(r, &r->net->parameters[i], rate);
    if (r->config.optimizer.ema == 0)
        return;
    double decay = fmin((double)r->config.optimizer.ema, t / (t + 9));
    for (size_t i = 0; i < r->net->total; i++)
        r->ema[i] = decay * r->ema[i] + (1 - decay) * r->weights[i];
}
