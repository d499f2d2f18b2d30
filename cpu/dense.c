/* A linear map of the flattened input, as a matrix product: y[batch][out] = x[batch][in]
 * W[in][out]. The weight's rows are in the input's memory order (layout.c), so maps need no
 * flattening. Also does the convs whose kernel covers their whole input. */
#include "cpu/engine_private.h"

struct dense_state {
    struct kernel *forward, *data, *weights;
    struct values dy; /* the node's dy in the type of the products */
    int64_t bias;     /* offset, or -1 */
    char label[200];
};

static void *weight_values(const struct engine *engine, enum precision type, int64_t offset) {
    return type == PRECISION_BF16 ? (void *)(engine->weights16 + offset)
                                  : (void *)(engine->weights + offset);
}

static int plan_backward(struct engine *engine, struct cpu_node *self, int64_t in, int64_t weight,
                         struct error *error) {
    struct dense_state *state = self->state;
    struct cpu_node *input = node_input(engine, self, 0);
    int64_t out = shape_values(self->node->shape);
    enum precision type = input->y.type;
    state->dy = self->dy;
    if (type != self->dy.type) {
        state->dy.type = type;
        state->dy.data = engine_alloc(engine, (size_t)(engine->batch * out) * precision_size(type),
                                      state->label, error);
        if (!state->dy.data)
            return -1;
    }
    state->weights = kernel_matmul(&engine->kernels, state->label,
                                   &(struct matmul){.m = in,
                                                    .n = out,
                                                    .k = engine->batch,
                                                    .a = input->y.data,
                                                    .a_type = type,
                                                    .a_transposed = true,
                                                    .b = state->dy.data,
                                                    .b_type = type,
                                                    .c = engine->gradients + weight,
                                                    .c_type = PRECISION_F32},
                                   error);
    if (!state->weights)
        return -1;
    struct values dx = gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
    state->data = kernel_matmul(&engine->kernels, state->label,
                                &(struct matmul){.m = engine->batch,
                                                 .n = in,
                                                 .k = out,
                                                 .a = state->dy.data,
                                                 .a_type = type,
                                                 .b = weight_values(engine, type, weight),
                                                 .b_type = type,
                                                 .b_transposed = true,
                                                 .c = dx.data,
                                                 .c_type = dx.type},
                                error);
    return state->data ? 0 : -1;
}

static int dense_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct dense_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    if (!state)
        return -1;
    self->state = state;
    node_label(engine, self, state->label, sizeof state->label);
    const struct cpu_node *input = node_input(engine, self, 0);
    int64_t in = shape_values(input->node->shape), out = shape_values(self->node->shape);
    int64_t weight = node_parameter(engine, self, PARAMETER_WEIGHT);
    state->bias = node_parameter(engine, self, PARAMETER_BIAS);
    state->forward = kernel_matmul(
        &engine->kernels, state->label,
        &(struct matmul){.m = engine->batch,
                         .n = out,
                         .k = in,
                         .a = input->y.data,
                         .a_type = input->y.type,
                         .b = weight_values(engine, input->y.type, weight),
                         .b_type = input->y.type,
                         .c = self->y.data,
                         .c_type = self->y.type,
                         .bias = state->bias < 0 ? NULL : engine->weights + state->bias,
                         .relu = self->links.relu},
        error);
    if (!state->forward)
        return -1;
    return self->dy.data ? plan_backward(engine, self, in, weight, error) : 0;
}

static int dense_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct dense_state *state = self->state;
    return kernel_run(&engine->kernels, state->forward, error);
}

static int dense_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct dense_state *state = self->state;
    size_t out = (size_t)shape_values(self->node->shape);
    if (state->dy.data != self->dy.data)
        for (size_t row = 0; row < (size_t)engine->batch; row++) {
            if (state->dy.type == PRECISION_BF16)
                values_store(state->dy, row * out, (float *)self->dy.data + row * out, out);
            else
                values_load((float *)state->dy.data + row * out, self->dy, row * out, out);
        }
    if (state->bias >= 0)
        reduce_channels(engine, self->dy, (size_t)engine->batch, (int)out,
                        engine->gradients + state->bias);
    if (kernel_run(&engine->kernels, state->weights, error))
        return -1;
    if (state->data && kernel_run(&engine->kernels, state->data, error))
        return -1;
    if (state->data)
        gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions dense_functions = {dense_plan, dense_forward, dense_backward};
