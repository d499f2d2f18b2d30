/* Sum of equal shapes. Its gradient goes to every input as it is. */
#include "cuda/engine_private.h"

_Static_assert(NET_INPUTS <= KERNEL_INPUTS, "one kernel adds all inputs");

static int add_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct values inputs[NET_INPUTS];
    for (int i = 0; i < self->node->input_count; i++)
        inputs[i] = node_input(engine, self, i)->y;
    return node_check(engine, self,
                      kernel_add(self->y, inputs, self->node->input_count, node_count(engine, self),
                                 engine->compute),
                      "kernel_add", error);
}

static int add_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    for (int i = 0; i < self->node->input_count; i++) {
        struct values dx = node_input(engine, self, i)->dy;
        if (dx.data && node_check(engine, self,
                                  kernel_copy(dx, self->dy, node_count(engine, self),
                                              self->links.accumulates[i], engine->compute),
                                  "kernel_copy", error))
            return -1;
    }
    return 0;
}

const struct node_functions add_functions = {.forward = add_forward, .backward = add_backward};
