/* Convolution as im2col and matrix products: the columns of the whole batch, [batch * height *
 * width][kernel * kernel * channels], times W[kernel * kernel * channels][out]. The columns are
 * kept from forward to backward. */
#include "cpu/engine_private.h"

struct matmul_state {
    struct kernel *forward, *data, *weights;
    int64_t bias;
    size_t depth;            /* kernel * kernel * input channels */
    struct values columns;   /* [pixels][depth] */
    struct values d_columns; /* the same for the gradient */
    char label[200];
};

static int plan_backward(struct engine *engine, struct cpu_node *self, int64_t weight,
                         struct matmul product, struct error *error) {
    struct matmul_state *state = self->state;
    size_t pixels = (size_t)product.m;
    state->weights = kernel_matmul(&engine->kernels, state->label,
                                   &(struct matmul){.m = (int64_t)state->depth,
                                                    .n = product.n,
                                                    .k = product.m,
                                                    .a = state->columns.data,
                                                    .a_type = state->columns.type,
                                                    .a_transposed = true,
                                                    .b = self->dy.data,
                                                    .b_type = self->dy.type,
                                                    .c = engine->gradients + weight,
                                                    .c_type = PRECISION_F32},
                                   error);
    if (!state->weights)
        return -1;
    if (!gradient_begin(engine, self, 0).data)
        return 0;
    state->d_columns.type = state->columns.type;
    state->d_columns.data = engine_alloc(
        engine, pixels * state->depth * precision_size(state->columns.type), state->label, error);
    if (!state->d_columns.data)
        return -1;
    state->data = kernel_matmul(&engine->kernels, state->label,
                                &(struct matmul){.m = product.m,
                                                 .n = (int64_t)state->depth,
                                                 .k = product.n,
                                                 .a = self->dy.data,
                                                 .a_type = self->dy.type,
                                                 .b = product.b,
                                                 .b_type = product.b_type,
                                                 .b_transposed = true,
                                                 .c = state->d_columns.data,
                                                 .c_type = state->d_columns.type},
                                error);
    return state->data ? 0 : -1;
}

static int matmul_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct matmul_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    if (!state)
        return -1;
    self->state = state;
    node_label(engine, self, state->label, sizeof state->label);
    const struct cpu_node *input = node_input(engine, self, 0);
    int64_t weight = node_parameter(engine, self, PARAMETER_WEIGHT);
    size_t kernel = (size_t)self->node->conv.kernel;
    size_t pixels = (size_t)(engine->batch * self->node->shape.height * self->node->shape.width);
    state->bias = node_parameter(engine, self, PARAMETER_BIAS);
    state->depth = kernel * kernel * (size_t)input->node->shape.channels;
    state->columns.type = input->y.type;
    state->columns.data = engine_alloc(
        engine, pixels * state->depth * precision_size(input->y.type), state->label, error);
    if (!state->columns.data)
        return -1;
    struct matmul product = {
        .m = (int64_t)pixels,
        .n = self->node->shape.channels,
        .k = (int64_t)state->depth,
        .a = state->columns.data,
        .a_type = state->columns.type,
        .b = engine->bf16 ? (void *)(engine->weights16 + weight)
                          : (void *)(engine->weights + weight),
        .b_type = engine->bf16 ? PRECISION_BF16 : PRECISION_F32,
        .c = self->y.data,
        .c_type = self->y.type,
        .bias = state->bias < 0 ? NULL : engine->weights + state->bias,
        .relu = self->links.relu,
    };
    state->forward = kernel_matmul(&engine->kernels, state->label, &product, error);
    if (!state->forward)
        return -1;
    return self->dy.data ? plan_backward(engine, self, weight, product, error) : 0;
}

/* The columns of one line of outputs: for each output pixel the kernel's rows, each of which is one
 * run of kernel * channels values where it lies wholly inside the image. */
static void gather_line(const struct engine *engine, const struct cpu_node *self, int line) {
    const struct matmul_state *state = self->state;
    const struct cpu_node *input = node_input(engine, self, 0);
    struct shape in = input->node->shape, out = self->node->shape;
    struct conv_attributes conv = self->node->conv;
    size_t bytes = (size_t)in.channels * precision_size(input->y.type);
    int top = line % out.height * conv.stride - conv.padding;
    size_t sample = (size_t)(line / out.height) * (size_t)(in.height * in.width);
    const char *image = (const char *)input->y.data + sample * bytes;
    char *to = values_at(state->columns, (size_t)(line * out.width) * state->depth);
    for (int j = 0; j < out.width; j++) {
        int left = j * conv.stride - conv.padding;
        bool inside = left >= 0 && left + conv.kernel <= in.width;
        for (int y = top; y < top + conv.kernel; y++) {
            if (y >= 0 && y < in.height && inside) {
                memcpy(to, image + (size_t)(y * in.width + left) * bytes,
                       (size_t)conv.kernel * bytes);
                to += (size_t)conv.kernel * bytes;
                continue;
            }
            for (int x = left; x < left + conv.kernel; x++, to += bytes)
                if (y >= 0 && y < in.height && x >= 0 && x < in.width)
                    memcpy(to, image + (size_t)(y * in.width + x) * bytes, bytes);
                else
                    memset(to, 0, bytes);
        }
    }
}

CLONES static void accumulate_f32(float *restrict sums, const float *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++)
        sums[i] += from[i];
}
CLONES static void accumulate_bf16(float *restrict sums, const uint16_t *restrict from,
                                   size_t count) {
    for (size_t i = 0; i < count; i++)
        sums[i] += bf16_to_float(from[i]);
}

/* Adds the gradient's columns of one sample up where they came from: f32 sums, always in the order
 * of the columns. */
static void scatter_sample(const struct engine *engine, const struct cpu_node *self,
                           struct values dx, int sample, float *sums) {
    const struct matmul_state *state = self->state;
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    struct conv_attributes conv = self->node->conv;
    size_t count = (size_t)shape_values(in), channels = (size_t)in.channels;
    size_t at = (size_t)(sample * out.height * out.width) * state->depth;
    memset(sums, 0, sizeof *sums * count);
    for (int i = 0; i < out.height; i++)
        for (int j = 0; j < out.width; j++)
            for (int k = 0; k < conv.kernel; k++) {
                int y = i * conv.stride - conv.padding + k;
                int left = j * conv.stride - conv.padding, from = left < 0 ? -left : 0;
                int to = left + conv.kernel > in.width ? in.width - left : conv.kernel;
                size_t first = at + (size_t)from * channels;
                at += (size_t)conv.kernel * channels;
                if (y < 0 || y >= in.height || to <= from)
                    continue;
                float *here = sums + (size_t)(y * in.width + left + from) * channels;
                size_t run = (size_t)(to - from) * channels;
                if (state->d_columns.type == PRECISION_BF16)
                    accumulate_bf16(here, values_at(state->d_columns, first), run);
                else
                    accumulate_f32(here, values_at(state->d_columns, first), run);
            }
    values_store(dx, (size_t)sample * count, sums, count);
}

static int matmul_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct matmul_state *state = self->state;
#pragma omp parallel for schedule(static) num_threads(engine->threads)
    for (int line = 0; line < engine->batch * self->node->shape.height; line++)
        gather_line(engine, self, line);
    return kernel_run(&engine->kernels, state->forward, error);
}

static int matmul_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct matmul_state *state = self->state;
    struct shape out = self->node->shape;
    if (state->bias >= 0)
        reduce_channels(engine, self->dy, (size_t)(engine->batch * out.height * out.width),
                        out.channels, engine->gradients + state->bias);
    if (kernel_run(&engine->kernels, state->weights, error))
        return -1;
    if (!state->data)
        return 0;
    if (kernel_run(&engine->kernels, state->data, error))
        return -1;
    struct values dx = gradient_begin(engine, self, 0);
#pragma omp parallel for schedule(static) num_threads(engine->threads)
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads)
            scatter_sample(engine, self, dx, sample, thread_scratch(engine, thread));
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions conv_matmul_functions = {matmul_plan, matmul_forward, matmul_backward};
