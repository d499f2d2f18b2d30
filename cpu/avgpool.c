/* Mean over square windows. */
#include "cpu/engine_private.h"

/* Calls for one sample: forward adds windows up, backward spreads them. Both in f32 scratch. */
static void pool_sample(const struct shape in, const struct shape out, int size, int stride,
                        float *x, float *y, bool backward) {
    float share = 1.0f / (float)(size * size);
    for (int i = 0; i < out.height; i++)
        for (int j = 0; j < out.width; j++) {
            float *there = y + (i * out.width + j) * out.channels;
            for (int k = 0; k < size * size; k++) {
                int row = i * stride + k / size, column = j * stride + k % size;
                float *here = x + (row * in.width + column) * in.channels;
                for (int c = 0; c < out.channels; c++)
                    if (backward)
                        here[c] += there[c] * share;
                    else
                        there[c] += here[c];
            }
            for (int c = 0; c < out.channels && !backward; c++)
                there[c] *= share;
        }
}

static void pool(struct engine *engine, const struct cpu_node *self, struct values x,
                 struct values y, bool backward) {
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    size_t values_in = (size_t)shape_values(in), values_out = (size_t)shape_values(out);
#pragma omp parallel for schedule(static)                                                          \
    num_threads(team(engine, (size_t)engine->batch *values_in))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            size_t first_in = (size_t)sample * values_in, first_out = (size_t)sample * values_out;
            float *a = thread_scratch(engine, thread), *b = a + values_in;
            if (backward) {
                memset(a, 0, sizeof *a * values_in);
                values_load(b, y, first_out, values_out);
            } else {
                values_load(a, x, first_in, values_in);
                memset(b, 0, sizeof *b * values_out);
            }
            pool_sample(in, out, self->node->pool.size, self->node->pool.stride, a, b, backward);
            if (backward)
                values_store(x, first_in, a, values_in);
            else
                values_store(y, first_out, b, values_out);
        }
}

static int avgpool_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    pool(engine, self, node_input(engine, self, 0)->y, self->y, false);
    return 0;
}

static int avgpool_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct values dx = gradient_begin(engine, self, 0);
    if (dx.data)
        pool(engine, self, dx, self->dy, true);
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions avgpool_functions = {NULL, avgpool_forward, avgpool_backward};
