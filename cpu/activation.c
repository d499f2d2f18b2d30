/* tanh, sigmoid and gelu, value by value (common/elementary.h). The slope is taken at the input, in
 * full precision: nothing is kept for backward, and where the output is rounded to bf16 its
 * gradient is not rounded with it. */
#include "common/elementary.h"
#include "cpu/engine_private.h"

#define BLOCK ((size_t)1 << 12) /* values that a thread takes at a time */

/* What is done to a block of values of one type. */
typedef void forward_loop(void *y, const void *x, size_t count);
typedef void backward_loop(void *dx, const void *dy, const void *x, size_t count);

struct activation {
    forward_loop *forward[2]; /* per enum precision */
    backward_loop *backward[2];
};

static int apply(struct engine *engine, struct cpu_node *self,
                 const struct activation *activation) {
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    struct values x = node_input(engine, self, 0)->y;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t here = count - first < BLOCK ? count - first : BLOCK;
        activation->forward[x.type](values_at(self->y, first), values_at(x, first), here);
    }
    return 0;
}

static int apply_back(struct engine *engine, struct cpu_node *self,
                      const struct activation *activation) {
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    struct values x = node_input(engine, self, 0)->y, dx = gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t here = count - first < BLOCK ? count - first : BLOCK;
        activation->backward[x.type](values_at(dx, first), values_at(self->dy, first),
                                     values_at(x, first), here);
    }
    gradient_end(engine, self, 0);
    return 0;
}

/* The loops of one type: every function is a vector loop of its own. */
#define LOOPS(name, word, type)                                                                    \
    CLONES static void name##_##word(void *restrict y, const void *restrict x, size_t count) {     \
        for (size_t i = 0; i < count; i++)                                                         \
            value_set(y, i, type, elementary_##name(value_get(x, i, type)));                       \
    }                                                                                              \
    CLONES static void name##_back_##word(void *restrict dx, const void *restrict dy,              \
                                          const void *restrict x, size_t count) {                  \
        for (size_t i = 0; i < count; i++) {                                                       \
            float slope = elementary_##name##_slope(value_get(x, i, type));                        \
            value_set(dx, i, type, value_get(dy, i, type) * slope);                                \
        }                                                                                          \
    }

/* A kind of node whose value and slope common/elementary.h has. */
#define ACTIVATION(name)                                                                           \
    LOOPS(name, f32, PRECISION_F32)                                                                \
    LOOPS(name, bf16, PRECISION_BF16)                                                              \
    static const struct activation name##_activation = {{name##_f32, name##_bf16},                 \
                                                        {name##_back_f32, name##_back_bf16}};      \
    static int name##_forward(struct engine *engine, struct cpu_node *self, struct error *error) { \
        (void)error;                                                                               \
        return apply(engine, self, &name##_activation);                                            \
    }                                                                                              \
    static int name##_backward(struct engine *engine, struct cpu_node *self,                       \
                               struct error *error) {                                              \
        (void)error;                                                                               \
        return apply_back(engine, self, &name##_activation);                                       \
    }                                                                                              \
    const struct node_functions name##_functions = {NULL, name##_forward, name##_backward};

ACTIVATION(tanh)
ACTIVATION(sigmoid)
ACTIVATION(gelu)
