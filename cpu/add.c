/* Sum of equal shapes. Its gradient goes to every input as it is. */
#include "cpu/engine_private.h"

#define BLOCK ((size_t)1024) /* values summed at a time, on the stack */

static int add_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t here = count - first < BLOCK ? count - first : BLOCK;
        float sum[BLOCK], more[BLOCK];
        values_load(sum, node_input(engine, self, 0)->y, first, here);
        for (int i = 1; i < self->node->input_count; i++) {
            values_load(more, node_input(engine, self, i)->y, first, here);
            for (size_t j = 0; j < here; j++)
                sum[j] += more[j];
        }
        values_store(self->y, first, sum, here);
    }
    return 0;
}

static int add_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    for (int i = 0; i < self->node->input_count; i++) {
        struct values dx = gradient_begin(engine, self, i);
        if (!dx.data)
            continue;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
        for (size_t first = 0; first < count; first += BLOCK) {
            size_t here = count - first < BLOCK ? count - first : BLOCK;
            float block[BLOCK];
            values_load(block, self->dy, first, here);
            values_store(dx, first, block, here);
        }
        gradient_end(engine, self, i);
    }
    return 0;
}

const struct node_functions add_functions = {NULL, add_forward, add_backward};
