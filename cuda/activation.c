/* tanh, sigmoid and gelu, value by value. The slope is taken at the input: nothing is kept for
 * backward. */
#include "cuda/engine_private.h"

static int apply(struct engine *engine, struct cuda_node *self, enum kernel_function function,
                 struct error *error) {
    struct values x = node_input(engine, self, 0)->y;
    return node_check(
        engine, self,
        kernel_activate(self->y, x, function, node_count(engine, self), engine->compute),
        "kernel_activate", error);
}

static int apply_back(struct engine *engine, struct cuda_node *self, enum kernel_function function,
                      struct error *error) {
    const struct cuda_node *input = node_input(engine, self, 0);
    if (!input->dy.data)
        return 0;
    return node_check(engine, self,
                      kernel_activate_back(input->dy, self->dy, input->y, function,
                                           node_count(engine, self), self->links.accumulates[0],
                                           engine->compute),
                      "kernel_activate_back", error);
}

static int tanh_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply(engine, self, KERNEL_TANH, error);
}
static int tanh_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply_back(engine, self, KERNEL_TANH, error);
}
const struct node_functions tanh_functions = {.forward = tanh_forward, .backward = tanh_backward};

static int sigmoid_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply(engine, self, KERNEL_SIGMOID, error);
}
static int sigmoid_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply_back(engine, self, KERNEL_SIGMOID, error);
}
const struct node_functions sigmoid_functions = {.forward = sigmoid_forward,
                                                 .backward = sigmoid_backward};

static int gelu_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply(engine, self, KERNEL_GELU, error);
}
static int gelu_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    return apply_back(engine, self, KERNEL_GELU, error);
}
const struct node_functions gelu_functions = {.forward = gelu_forward, .backward = gelu_backward};
