/* Softmax of a vector: exp(x - max) / sum. */
#include "cuda/engine_private.h"

static int softmax_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values x = node_input(engine, self, 0)->y;
    return node_check(
        engine, self,
        kernel_softmax(self->y, x, engine->batch, self->node->shape.channels, engine->compute),
        "kernel_softmax", error);
}

static int softmax_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values dx = node_input(engine, self, 0)->dy;
    if (!dx.data)
        return 0;
    return node_check(engine, self,
                      kernel_softmax_back(dx, self->dy, self->y, engine->batch,
                                          self->node->shape.channels, self->links.accumulates[0],
                                          engine->compute),
                      "kernel_softmax_back", error);
}

const struct node_functions softmax_functions = {.forward = softmax_forward,
                                                 .backward = softmax_backward};
