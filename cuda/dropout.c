/* Dropout: sets values to zero while training and scales the others by 1/(1-rate). The mask is a
 * pure function of seed, step, node and element, so it is drawn again for the gradient instead of
 * being kept. */
#include "cuda/engine_private.h"

static int apply(struct engine *engine, const struct cuda_node *self, struct values to,
                 struct values from, bool add, struct error *error) {
    struct shape shape = self->node->shape;
    struct kernel_dropout dropout = {.batch = engine->batch,
                                     .pixels = shape.height * shape.width,
                                     .channels = shape.channels,
                                     .seed = engine->config.seed,
                                     .node = (uint32_t)self->index,
                                     .rate = self->node->dropout.rate,
                                     .spatial = self->node->dropout.spatial,
                                     .arguments = engine->places.arguments};
    return node_check(engine, self, kernel_dropout(&dropout, to, from, add, engine->compute),
                      "kernel_dropout", error);
}

static int dropout_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values x = node_input(engine, self, 0)->y;
    if (engine->training)
        return apply(engine, self, self->y, x, false, error);
    return node_check(engine, self,
                      kernel_copy(self->y, x, node_count(engine, self), false, engine->compute),
                      "kernel_copy", error);
}

static int dropout_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values dx = node_input(engine, self, 0)->dy;
    return dx.data ? apply(engine, self, dx, self->dy, self->links.accumulates[0], error) : 0;
}

const struct node_functions dropout_functions = {.forward = dropout_forward,
                                                 .backward = dropout_backward};
