/* Flatten in channel, row, column order. Mostly free (self->links.alias): there is nothing to
 * reorder, or the dense nodes behind it have permuted their weights. What is left is here. */
#include "cpu/engine_private.h"

/* Between [height][width][channels] and [channels][height][width], one sample. */
static void to_exchange(float *to, const float *from, struct shape shape) {
    int pixels = shape.height * shape.width;
    for (int c = 0; c < shape.channels; c++)
        for (int i = 0; i < pixels; i++)
            to[c * pixels + i] = from[i * shape.channels + c];
}
static void from_exchange(float *to, const float *from, struct shape shape) {
    int pixels = shape.height * shape.width;
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < shape.channels; c++)
            to[i * shape.channels + c] = from[c * pixels + i];
}

static void reorder(struct engine *engine, const struct cpu_node *self, struct values to,
                    struct values from, bool back) {
    struct shape shape = node_input(engine, self, 0)->node->shape;
    size_t values = (size_t)shape_values(shape);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *a = thread_scratch(engine, thread), *b = a + values;
            values_load(a, from, (size_t)sample * values, values);
            (back ? from_exchange : to_exchange)(b, a, shape);
            values_store(to, (size_t)sample * values, b, values);
        }
}

static int flatten_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    reorder(engine, self, self->y, node_input(engine, self, 0)->y, false);
    return 0;
}

static int flatten_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct values dx = gradient_begin(engine, self, 0);
    if (dx.data)
        reorder(engine, self, dx, self->dy, true);
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions flatten_functions = {NULL, flatten_forward, flatten_backward};
