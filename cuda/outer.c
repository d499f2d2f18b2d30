/* Outer product of two vectors: y[i * m + j] = a[i] b[j], m values in b. */
#include "cuda/engine_private.h"

static int outer_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct cuda_node *a = node_input(engine, self, 0), *b = node_input(engine, self, 1);
    return node_check(engine, self,
                      kernel_outer(self->y, a->y, b->y, engine->batch, a->node->shape.channels,
                                   b->node->shape.channels, engine->compute),
                      "kernel_outer", error);
}

static int outer_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct cuda_node *a = node_input(engine, self, 0), *b = node_input(engine, self, 1);
    int n = a->node->shape.channels, m = b->node->shape.channels;
    if (a->dy.data &&
        node_check(engine, self,
                   kernel_outer_back_left(a->dy, self->dy, b->y, engine->batch, n, m,
                                          self->links.accumulates[0], engine->compute),
                   "kernel_outer_back_left", error))
        return -1;
    if (!b->dy.data)
        return 0;
    return node_check(engine, self,
                      kernel_outer_back_right(b->dy, self->dy, a->y, engine->batch, n, m,
                                              self->links.accumulates[1], engine->compute),
                      "kernel_outer_back_right", error);
}

const struct node_functions outer_functions = {.forward = outer_forward,
                                               .backward = outer_backward};
