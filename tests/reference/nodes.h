/* Every kind of node in float64, written to be read: loops over what the formulas sum over, nothing
 * else. Private to the reference; knows nothing of nets, losses or updates.
 *
 * All arrays are in exchange layout: activations [batch][channels][height][width], parameters as in
 * PyTorch. */
#ifndef REFERENCE_NODES_H
#define REFERENCE_NODES_H

#include "model/net.h"

#define REFERENCE_ROLES (PARAMETER_VARIANCE + 1)

/* One node at work on one batch. forward sets y; backward adds to dx and dp, each of which may be
 * NULL where no gradient is wanted. */
struct pass {
    const struct node *node;
    int index; /* of the node in its net: keys the dropout mask */
    int batch;
    bool training;
    uint64_t seed, step;
    const uint8_t *images, *digits; /* [batch][784], [batch] */
    struct shape in[NET_INPUTS];
    const double *x[NET_INPUTS];
    double *dx[NET_INPUTS];
    double *y;
    const double *dy;
    double *p[REFERENCE_ROLES];  /* parameters by role; NULL where the node has none */
    double *dp[REFERENCE_ROLES]; /* their gradients; only the trainable ones are used */
};

struct reference_node {
    void (*forward)(const struct pass *pass);
    void (*backward)(const struct pass *pass); /* NULL: an input of the net */
};

/* The row of a kind. */
const struct reference_node *reference_node(enum node_kind kind);

/* Moves a batchnorm's running statistics towards this batch: mean, and unbiased variance. Apart
 * from forward, so that a loss can be looked at without changing the state. The batch must have
 * more than one value in a channel. */
void reference_batchnorm_track(const struct pass *pass);

/* maps.c */
void conv_forward(const struct pass *pass);
void conv_backward(const struct pass *pass);
void maxpool_forward(const struct pass *pass);
void maxpool_backward(const struct pass *pass);
void avgpool_forward(const struct pass *pass);
void avgpool_backward(const struct pass *pass);
void batchnorm_forward(const struct pass *pass);
void batchnorm_backward(const struct pass *pass);

#endif
