/* Rectifier. Mostly the node before it does the forward part (self->links.alias), and a pool behind
 * it may do the mask; what is left is here. The gradient at 0 is 0. */
#include "cpu/engine_private.h"

#define BLOCK ((size_t)1 << 14) /* values that a thread takes at a time */

INLINE void rectify(void *y, const void *x, size_t count, enum precision type) {
    for (size_t i = 0; i < count; i++) {
        float value = value_get(x, i, type);
        value_set(y, i, type, value < 0.0f ? 0.0f : value); /* NaN stays */
    }
}
CLONES static void rectify_f32(void *y, const void *x, size_t count) {
    rectify(y, x, count, PRECISION_F32);
}
CLONES static void rectify_bf16(void *y, const void *x, size_t count) {
    rectify(y, x, count, PRECISION_BF16);
}

static int relu_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    struct values x = node_input(engine, self, 0)->y;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t here = count - first < BLOCK ? count - first : BLOCK;
        (x.type == PRECISION_BF16 ? rectify_bf16 : rectify_f32)(values_at(self->y, first),
                                                                values_at(x, first), here);
    }
    return 0;
}

static int relu_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    if (self->links.alias && !self->links.relu_masks)
        return 0;
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    struct values dx = self->links.alias ? self->dy : gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t here = count - first < BLOCK ? count - first : BLOCK;
        void *to = values_at(dx, first), *dy = values_at(self->dy, first);
        void *y = values_at(self->y, first);
        engine->loops->relu_mask(to, dy, y, here, dx.type);
    }
    if (!self->links.alias)
        gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions relu_functions = {NULL, relu_forward, relu_backward};
