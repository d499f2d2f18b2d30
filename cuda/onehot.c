/* One-hot: the digit as a vector. No gradient flows through it. */
#include "cuda/engine_private.h"

static int onehot_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return node_check(engine, self,
                      kernel_onehot(self->y.data, engine->places.digits, engine->batch,
                                    self->node->onehot.size, engine->compute),
                      "kernel_onehot", error);
}

static int onehot_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    (void)engine, (void)self, (void)error;
    return 0;
}

const struct node_functions onehot_functions = {.forward = onehot_forward,
                                                .backward = onehot_backward};
