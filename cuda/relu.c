/* Rectifier. Mostly the node before it does it, forward and backward (links.alias); what is left is
 * here. The gradient at 0 is 0. */
#include "cuda/engine_private.h"

static int relu_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values x = node_input(engine, self, 0)->y;
    return node_check(engine, self,
                      kernel_relu(self->y, x, node_count(engine, self), engine->compute),
                      "kernel_relu", error);
}

static int relu_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values dx = node_input(engine, self, 0)->dy;
    if (!dx.data)
        return 0;
    return node_check(engine, self,
                      kernel_relu_back(dx, self->dy, self->y, node_count(engine, self),
                                       self->links.accumulates[0], engine->compute),
                      "kernel_relu_back", error);
}

const struct node_functions relu_functions = {.forward = relu_forward, .backward = relu_backward};
