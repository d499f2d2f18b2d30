/* How a step changes the weights: plain data, part of the settings of a run. */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include <stdbool.h>
#include <stdint.h>

enum optimizer_kind {
    OPTIMIZER_SGD,      /* with momentum, as in PyTorch: v = μv + g; w -= ηv */
    OPTIMIZER_NESTEROV, /* SGD with Nesterov momentum, as in PyTorch: v = μv + g; w -= η(g + μv) */
    OPTIMIZER_ADAMW,    /* Loshchilov & Hutter 2019: decoupled decay, bias-corrected */
    /* As torch.optim has them; g has the decay in it, g + λw: */
    OPTIMIZER_ADAM,     /* Kingma & Ba 2015 */
    OPTIMIZER_ADADELTA, /* Zeiler 2012: s = ρs + (1-ρ)g²; δ = g sqrt(a + ε) / sqrt(s + ε);
                           a = ρa + (1-ρ)δ²; w -= ηδ */
    OPTIMIZER_RMSPROP,  /* Tieleman & Hinton 2012: s = ρs + (1-ρ)g²; w -= ηg / (sqrt(s) + ε) */
    OPTIMIZER_ADAGRAD   /* Duchi et al. 2011: s = s + g²; w -= ηg / (sqrt(s) + ε) */
};

/* Whether it keeps squares of gradients, in moment2. */
static inline bool optimizer_has_squares(enum optimizer_kind kind) {
    return kind != OPTIMIZER_SGD && kind != OPTIMIZER_NESTEROV;
}

struct optimizer {
    enum optimizer_kind kind;
    float momentum;        /* SGD, Nesterov; 0 for none */
    float beta1, beta2;    /* AdamW, Adam */
    float rho;             /* Adadelta, RMSprop */
    float epsilon;         /* all but SGD and Nesterov */
    float weight_decay;    /* PARAMETER_WEIGHT only. AdamW: w -= ηλw first; others: g += λw */
    float ema;             /* decay of the exponential moving average of all parameters and running
                              statistics; 0 = none. At update t (from 1) the decay used is
                              min(ema, t / (t + 9)), so that the start is forgotten soon */
    float label_smoothing; /* on both cross-entropies: target = (1-ε) onehot + ε/classes */
    float digit_weight;    /* loss = digit_weight · digit loss + sum_weight · sum loss */
    float sum_weight;
};

/* What training carries besides the weights: flat arrays in the order of net.h. */
struct engine_state {
    uint64_t updates; /* optimizer steps made */
    float *weights;   /* [total] */
    float *ema;       /* [total], or NULL where optimizer.ema is 0 */
    float *moment1;   /* [trainable]: momentum, first moment (AdamW, Adam), a (Adadelta), or 0 */
    float *moment2;   /* [trainable]: second moment, or s; NULL for SGD and Nesterov */
};

#endif
