/* How a step changes the weights: plain data, part of the settings of a run. */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include <stdint.h>

enum optimizer_kind {
    OPTIMIZER_SGD,      /* with momentum, as in PyTorch: v = μv + g; w -= ηv */
    OPTIMIZER_NESTEROV, /* SGD with Nesterov momentum, as in PyTorch: v = μv + g; w -= η(g + μv) */
    OPTIMIZER_ADAMW     /* Loshchilov & Hutter 2019: decoupled decay, bias-corrected */
};

struct optimizer {
    enum optimizer_kind kind;
    float momentum;        /* SGD, Nesterov; 0 for none */
    float beta1, beta2;    /* AdamW */
    float epsilon;         /* AdamW */
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
    float *moment1;   /* [trainable]: momentum, or first moment (AdamW) */
    float *moment2;   /* [trainable]: second moment (AdamW), or NULL */
};

#endif
