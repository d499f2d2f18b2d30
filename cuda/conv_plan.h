/* The three products of a convolution as cuDNN plans: forward (with bias and relu in the same
 * kernel), gradient of the input (with the mask of the relu before it), gradient of the weights. */
#ifndef CUDA_CONV_PLAN_H
#define CUDA_CONV_PLAN_H

#include "cuda/backend.h"
#include "cuda/kernels/kernels.h"
#include "model/graph.h"

enum conv_pass {
    CONV_FORWARD, /* y = x * w (+ bias) (rectified) */
    CONV_DATA,    /* dx = dy * w (0 where x is not > 0, with `mask`) */
    CONV_WEIGHTS  /* dw = x * dy, in f32 */
};

/* Maps are [batch][height][width][channels], weights [out][kernel][kernel][in]. */
struct conv_problem {
    enum conv_pass pass;
    int batch;
    struct shape in, out; /* per sample */
    int kernel, stride, padding;
    enum element type; /* of x, y, dx, dy and weights */
    bool tf32;         /* f32 products may be rounded to TF32 */
    bool bias, relu;   /* CONV_FORWARD */
    bool mask;         /* CONV_DATA */
    int choice;        /* 0: the first suitable suggestion of cuDNN's heuristics; n: the n-th after
                          it */
};

struct conv_plan {
    struct backend backend; /* owns the rest */
    cudnnBackendDescriptor_t plan, pack;
    size_t workspace; /* bytes */
};

/* What a pass reads and writes, all device memory; those it does not use are NULL. */
struct conv_arrays {
    const void *x, *w, *dy;
    const float *bias;
    void *result; /* y, dx or dw */
};

/* Makes the plan for a device (backend_properties). `label` names the node in errors and is
 * borrowed for the call. -1 with ERROR_UNSUPPORTED where cuDNN has no engine that suits: *plan is
 * empty then. */
int conv_plan_create(struct conv_plan *plan, const struct conv_problem *problem,
                     cudnnBackendDescriptor_t properties, const char *label, struct error *error);

/* Says where the arrays and the workspace lie; once, since they never move. -1 with error. */
int conv_plan_bind(struct conv_plan *plan, const struct conv_problem *problem,
                   const struct conv_arrays *arrays, void *workspace, const char *label,
                   struct error *error);

/* NULL-safe and twice-safe. */
void conv_plan_destroy(struct conv_plan *plan);

#endif
