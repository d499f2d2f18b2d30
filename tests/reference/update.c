/* See reference.h: the optimizers, and the moving average. */
#include "tests/reference/reference.h"

#include <math.h>

/* v = μv + g; w -= ηv, or Nesterov's w -= η(g + μv), where g already has the decay in it. */
static void sgd(const struct optimizer *o, double rate, double decay, double g, double *w,
                double *v) {
    g += decay * *w;
    *v = (double)o->momentum * *v + g;
    *w -= rate * (o->kind == OPTIMIZER_NESTEROV ? g + (double)o->momentum * *v : *v);
}

static void adam(const struct optimizer *o, double rate, double decay, double g, uint64_t t,
                 double *w, double *m, double *v) {
    double beta1 = (double)o->beta1, beta2 = (double)o->beta2;
    if (o->kind == OPTIMIZER_ADAMW)
        *w -= rate * decay * *w;
    else
        g += decay * *w;
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    double mean = *m / (1 - pow(beta1, (double)t));
    double square = *v / (1 - pow(beta2, (double)t));
    *w -= rate * mean / (sqrt(square) + (double)o->epsilon);
}

static void adadelta(const struct optimizer *o, double rate, double decay, double g, double *w,
                     double *changes, double *squares) {
    double rho = (double)o->rho, epsilon = (double)o->epsilon;
    g += decay * *w;
    *squares = rho * *squares + (1 - rho) * g * g;
    double change = sqrt(*changes + epsilon) / sqrt(*squares + epsilon) * g;
    *changes = rho * *changes + (1 - rho) * change * change;
    *w -= rate * change;
}

static void rmsprop(const struct optimizer *o, double rate, double decay, double g, double *w,
                    double *squares) {
    g += decay * *w;
    *squares = (double)o->rho * *squares + (1 - (double)o->rho) * g * g;
    *w -= rate * g / (sqrt(*squares) + (double)o->epsilon);
}

static void adagrad(const struct optimizer *o, double rate, double decay, double g, double *w,
                    double *squares) {
    g += decay * *w;
    *squares += g * g;
    *w -= rate * g / (sqrt(*squares) + (double)o->epsilon);
}

static void update_parameter(struct reference *r, const struct parameter *parameter, double rate) {
    const struct optimizer *o = &r->config.optimizer;
    double decay = parameter->role == PARAMETER_WEIGHT ? (double)o->weight_decay : 0;
    rate *= (double)parameter->rate;
    for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
        double g = r->gradients[i], *w = &r->weights[i], *m = &r->moment1[i], *v = &r->moment2[i];
        if (!optimizer_has_squares(o->kind))
            sgd(o, rate, decay, g, w, m);
        else if (o->kind == OPTIMIZER_ADADELTA)
            adadelta(o, rate, decay, g, w, m, v);
        else if (o->kind == OPTIMIZER_RMSPROP)
            rmsprop(o, rate, decay, g, w, v);
        else if (o->kind == OPTIMIZER_ADAGRAD)
            adagrad(o, rate, decay, g, w, v);
        else
            adam(o, rate, decay, g, r->updates, w, m, v);
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
