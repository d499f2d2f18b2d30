/* Dense layers, and convolutions whose kernel covers the whole input, as matrix products: with x
 * [batch][in] and weights [out][in], y = x Wᵀ + b, dx = dy W, dW = dyᵀ x. */
#include "cuda/masked.h"
#include "cuda/matmul.h"

#include <stdlib.h>

struct dense_state {
    char label[LABEL_SIZE];
    struct matmul_plan forward, data, weights;
    struct values dy; /* in the type of x: the node's own, or a copy */
};

static int plan_backward(struct engine *engine, struct cuda_node *self, int in, int out,
                         struct error *error) {
    struct dense_state *state = self->state;
    const struct cuda_node *input = node_input(engine, self, 0);
    enum element type = input->y.type;
    masked_plan(engine, self);
    engine_need_partials(engine, (size_t)engine->batch, out);
    state->dy = self->dy;
    if (type != self->dy.type) {
        state->dy.type = type;
        state->dy.data =
            engine_alloc(engine, MEMORY_BATCH, node_count(engine, self) * element_size(type),
                         state->label, error);
        if (!state->dy.data)
            return -1;
    }
    struct matmul weights = {.m = out,
                             .n = in,
                             .k = engine->batch,
                             .a = state->dy.data,
                             .a_transposed = true,
                             .b = input->y.data,
                             .type = type,
                             .c = node_parameter(engine, self, PARAMETER_WEIGHT, engine->gradients),
                             .c_type = ELEMENT_F32,
                             .tf32 = engine->config.tf32};
    if (matmul_plan(&state->weights, engine->blas, &weights, MATMUL_WORKSPACE, state->label, error))
        return -1;
    if (!input->dy.data)
        return 0;
    struct matmul data = {.m = engine->batch,
                          .n = in,
                          .k = out,
                          .a = state->dy.data,
                          .b = node_weight(engine, self, type),
                          .type = type,
                          .c = input->dy.data,
                          .c_type = input->dy.type,
                          .add = self->links.accumulates[0],
                          .tf32 = engine->config.tf32};
    return matmul_plan(&state->data, engine->blas, &data, MATMUL_WORKSPACE, state->label, error);
}

static int dense_plan(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct dense_state *state = calloc(1, sizeof *state);
    if (!state)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for %s", self->node->name);
    self->state = state;
    node_label(engine, self, state->label);
    engine_need_workspace(engine, MATMUL_WORKSPACE);
    const struct cuda_node *input = node_input(engine, self, 0);
    int in = shape_values(input->node->shape), out = shape_values(self->node->shape);
    struct matmul forward = {.m = engine->batch,
                             .n = out,
                             .k = in,
                             .a = input->y.data,
                             .b = node_weight(engine, self, input->y.type),
                             .b_transposed = true,
                             .type = input->y.type,
                             .c = self->y.data,
                             .c_type = self->y.type,
                             .bias = node_parameter(engine, self, PARAMETER_BIAS, engine->weights),
                             .relu = self->links.relu,
                             .tf32 = engine->config.tf32};
    if (matmul_plan(&state->forward, engine->blas, &forward, MATMUL_WORKSPACE, state->label, error))
        return -1;
    return self->dy.data ? plan_backward(engine, self, in, out, error) : 0;
}

static int run(struct engine *engine, const struct cuda_node *self, const struct matmul_plan *plan,
               struct error *error) {
    const struct dense_state *state = self->state;
    return matmul_run(plan, engine->blas, engine->workspace, MATMUL_WORKSPACE, engine->compute,
                      state->label, error);
}

static int dense_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct dense_state *state = self->state;
    return run(engine, self, &state->forward, error);
}

static int dense_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct dense_state *state = self->state;
    int out = shape_values(self->node->shape);
    if (masked_backward(engine, self, (size_t)engine->batch, out, error))
        return -1;
    if (state->dy.data != self->dy.data &&
        node_check(
            engine, self,
            kernel_copy(state->dy, self->dy, node_count(engine, self), false, engine->compute),
            "kernel_copy", error))
        return -1;
    if (run(engine, self, &state->weights, error))
        return -1;
    return state->data.operation ? run(engine, self, &state->data, error) : 0;
}

static void dense_destroy(struct cuda_node *self) {
    struct dense_state *state = self->state;
    if (!state)
        return;
    matmul_destroy(&state->forward);
    matmul_destroy(&state->data);
    matmul_destroy(&state->weights);
    free(state);
}

const struct node_functions dense_functions = {.plan = dense_plan,
                                               .forward = dense_forward,
                                               .backward = dense_backward,
                                               .destroy = dense_destroy};
