/* One-hot: the digit as a vector. No gradient flows through it. */
#include "cpu/engine_private.h"

static int onehot_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    int size = self->node->onehot.size;
    float *y = self->y.data;
    memset(y, 0, sizeof(float) * (size_t)engine->batch * (size_t)size);
    for (uint32_t sample = 0; sample < engine->count; sample++)
        if (engine->digits[sample] < size)
            y[(size_t)sample * (size_t)size + engine->digits[sample]] = 1.0f;
    return 0;
}

static int onehot_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)engine, (void)self, (void)error;
    return 0;
}

const struct node_functions onehot_functions = {NULL, onehot_forward, onehot_backward};
