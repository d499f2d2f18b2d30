/* What convolutions and dense layers do alike before their backward products: mask the gradient by
 * the relu that they did on the way forward, and sum it up for the bias. */
#ifndef CUDA_MASKED_H
#define CUDA_MASKED_H

#include "cuda/engine_private.h"

/* Whether this node must mask its dy: it did the relu, and nobody behind it masks. Sets
 * self->dy_is_masked while planning. */
void masked_plan(struct engine *engine, struct cuda_node *self);

/* Masks dy in place where it must be, and sets the bias gradient (rows of `channels`) where the
 * node has a bias. */
int masked_backward(struct engine *engine, struct cuda_node *self, size_t rows, int channels,
                    struct error *error);

#endif
