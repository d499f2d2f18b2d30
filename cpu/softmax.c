/* Softmax of a vector: exp(x - max) / sum. */
#include "cpu/engine_private.h"

#include <math.h>

static int softmax_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    int n = self->node->shape.channels;
    struct values x = node_input(engine, self, 0)->y;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *row = thread_scratch(engine, thread), most, sum = 0;
            values_load(row, x, (size_t)sample * (size_t)n, (size_t)n);
            most = row[0];
            for (int i = 1; i < n; i++)
                most = row[i] > most ? row[i] : most;
            for (int i = 0; i < n; i++) {
                row[i] = expf(row[i] - most);
                sum += row[i];
            }
            for (int i = 0; i < n; i++)
                row[i] /= sum;
            values_store(self->y, (size_t)sample * (size_t)n, row, (size_t)n);
        }
    return 0;
}

/* dx = y (dy - Σ dy y) */
static int softmax_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t n = (size_t)self->node->shape.channels;
    struct values dx = gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *y = thread_scratch(engine, thread), *dy = y + n, dot = 0;
            values_load(y, self->y, (size_t)sample * n, n);
            values_load(dy, self->dy, (size_t)sample * n, n);
            for (size_t i = 0; i < n; i++)
                dot += dy[i] * y[i];
            for (size_t i = 0; i < n; i++)
                y[i] *= dy[i] - dot;
            values_store(dx, (size_t)sample * n, y, n);
        }
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions softmax_functions = {NULL, softmax_forward, softmax_backward};
