/* The oracle: trains and predicts any net in float64, slowly, so that every line can be checked
 * against its formula. Has the meaning of an engine (model/engine.h) without its interface:
 * PyTorch's semantics, exchange layout, one batch at a time, no device and no threads.
 *
 * A test that runs out of memory has nothing to say, so these functions abort rather than report.
 */
#ifndef REFERENCE_REFERENCE_H
#define REFERENCE_REFERENCE_H

#include "model/engine.h"

/* As step_result, in double. */
struct reference_result {
    double loss, digit_loss, sum_loss;
    uint32_t digit_hits, sum_hits;
};

/* Plain data: tests read and change it. */
struct reference {
    const struct net *net; /* borrowed */
    struct engine_config config;
    uint64_t updates;
    double *weights;   /* [total] */
    double *ema;       /* [total] */
    double *moment1;   /* [trainable] */
    double *moment2;   /* [trainable]; AdamW's alone */
    double *gradients; /* [trainable], of the last backward pass */
    double **values;   /* [node]: outputs of the last pass, [batch][values of the node] */
    double **dvalues;  /* [node]: gradients of the last backward pass */
};

/* Zeroed; config.batch samples in a pass. Caller owns it; the net must outlive it. */
struct reference *reference_create(const struct net *net, const struct engine_config *config);
void reference_destroy(struct reference **reference);

/* As the engine's import: moments and ema may be NULL for zeros and a copy of the weights. */
void reference_import(struct reference *reference, const struct engine_state *state);

/* Forward pass as in training (batch statistics, dropout of `step`) and its losses. Changes no
 * state. */
struct reference_result reference_loss(struct reference *reference, const struct batch *batch,
                                       uint64_t step);

/* reference_loss, and from there the gradients of all trainable parameters. */
struct reference_result reference_gradients(struct reference *reference, const struct batch *batch,
                                            uint64_t step);

/* One whole training step: gradients, running statistics, update, average. */
struct reference_result reference_step(struct reference *reference, const struct batch *batch,
                                       const struct step_settings *settings);

/* As the engine's predict; count ≤ config.batch. */
void reference_predict(struct reference *reference, const uint8_t *images, const uint8_t *digits,
                       uint32_t count, double *digit_logits, double *sum_logits);

/* loss.c: mean losses, hits, and the gradients of both outputs, [batch][10] and [batch][19 or 1].
 */
struct reference_result reference_losses(const struct optimizer *optimizer, bool regression,
                                         const struct batch *batch, const double *digit_logits,
                                         const double *sum_logits, double *ddigit, double *dsum);

/* update.c: weights, moments, updates and ema from the gradients that are there. */
void reference_update(struct reference *reference, double rate);

#endif
