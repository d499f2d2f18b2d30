/* Maximum over square windows. Forward remembers the place of the first maximum in each window;
 * backward gives dy to it, masked on the way where a relu came before the pool. */
#include "cuda/engine_private.h"

static int maxpool_plan(struct engine *engine, struct cuda_node *self, struct error *error) {
    self->state = engine_alloc(engine, MEMORY_BATCH, node_count(engine, self) * sizeof(uint16_t),
                               self->node->name, error);
    return self->state ? 0 : -1;
}

static int maxpool_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct kernel_window window = pool_window(engine, self);
    return node_check(engine, self,
                      kernel_maxpool(self->y, self->state, node_input(engine, self, 0)->y, &window,
                                     engine->compute),
                      "kernel_maxpool", error);
}

static int maxpool_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct kernel_window window = pool_window(engine, self);
    struct values dx = node_input(engine, self, 0)->dy;
    struct values mask =
        self->links.input_is_masked ? self->y : (struct values){NULL, self->y.type};
    if (!dx.data)
        return 0;
    return node_check(engine, self,
                      kernel_maxpool_back(dx, self->dy, self->state, mask, &window,
                                          self->links.accumulates[0], engine->compute),
                      "kernel_maxpool_back", error);
}

const struct node_functions maxpool_functions = {
    .plan = maxpool_plan, .forward = maxpool_forward, .backward = maxpool_backward};
