/* Outer product of two vectors: y[i * m + j] = a[i] b[j], m values in b. */
#include "cpu/engine_private.h"

static int outer_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct values a = node_input(engine, self, 0)->y, b = node_input(engine, self, 1)->y;
    size_t n = (size_t)node_input(engine, self, 0)->node->shape.channels;
    size_t m = (size_t)node_input(engine, self, 1)->node->shape.channels;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *y = thread_scratch(engine, thread), *left = y + n * m, *right = left + n;
            values_load(left, a, (size_t)sample * n, n);
            values_load(right, b, (size_t)sample * m, m);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < m; j++)
                    y[i * m + j] = left[i] * right[j];
            values_store(self->y, (size_t)sample * n * m, y, n * m);
        }
    return 0;
}

/* Gradient of one of the two: da[i] = Σj dy[i][j] b[j]; db[j] = Σi dy[i][j] a[i]. */
static void gradient(struct engine *engine, const struct cpu_node *self, int which) {
    struct values dx = gradient_begin(engine, self, which);
    if (!dx.data)
        return;
    size_t n = (size_t)node_input(engine, self, 0)->node->shape.channels;
    size_t m = (size_t)node_input(engine, self, 1)->node->shape.channels;
    size_t own = which ? m : n, others = which ? n : m;
    struct values other = node_input(engine, self, !which)->y;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *dy = thread_scratch(engine, thread), *x = dy + n * m, *sum = x + others;
            values_load(dy, self->dy, (size_t)sample * n * m, n * m);
            values_load(x, other, (size_t)sample * others, others);
            for (size_t i = 0; i < own; i++) {
                sum[i] = 0;
                for (size_t j = 0; j < others; j++)
                    sum[i] += x[j] * (which ? dy[j * m + i] : dy[i * m + j]);
            }
            values_store(dx, (size_t)sample * own, sum, own);
        }
    gradient_end(engine, self, which);
}

static int outer_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    gradient(engine, self, 0);
    gradient(engine, self, 1);
    return 0;
}

const struct node_functions outer_functions = {NULL, outer_forward, outer_backward};
