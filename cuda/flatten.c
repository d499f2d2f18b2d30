/* Flatten in channel, row, column order. Mostly free (links.alias): there is nothing to reorder, or
 * the dense nodes behind it have permuted their weights. What is left is here. */
#include "cuda/engine_private.h"

static int flatten_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct cuda_node *input = node_input(engine, self, 0);
    struct shape shape = input->node->shape;
    return node_check(engine, self,
                      kernel_transpose(self->y, input->y, engine->batch, shape.height * shape.width,
                                       shape.channels, false, engine->compute),
                      "kernel_transpose", error);
}

static int flatten_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    const struct cuda_node *input = node_input(engine, self, 0);
    struct shape shape = input->node->shape;
    if (!input->dy.data)
        return 0;
    return node_check(engine, self,
                      kernel_transpose(input->dy, self->dy, engine->batch, shape.channels,
                                       shape.height * shape.width, self->links.accumulates[0],
                                       engine->compute),
                      "kernel_transpose", error);
}

const struct node_functions flatten_functions = {.forward = flatten_forward,
                                                 .backward = flatten_backward};
