/* Mean over square windows. */
#include "cuda/engine_private.h"

static int avgpool_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct kernel_window window = pool_window(engine, self);
    return node_check(
        engine, self,
        kernel_avgpool(self->y, node_input(engine, self, 0)->y, &window, engine->compute),
        "kernel_avgpool", error);
}

static int avgpool_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct kernel_window window = pool_window(engine, self);
    struct values dx = node_input(engine, self, 0)->dy;
    if (!dx.data)
        return 0;
    return node_check(
        engine, self,
        kernel_avgpool_back(dx, self->dy, &window, self->links.accumulates[0], engine->compute),
        "kernel_avgpool_back", error);
}

const struct node_functions avgpool_functions = {.forward = avgpool_forward,
                                                 .backward = avgpool_backward};
