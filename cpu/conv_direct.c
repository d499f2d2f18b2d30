/* Convolution by oneDNN's own kernels. Activations stay plain [n][h][w][c]; the weights are brought
 * into the layout that the kernel asks for when they have changed, and the weight gradient back. */
#include "cpu/engine_private.h"
#include "cpu/tiles.h"

struct direct_state {
    struct kernel *forward, *data, *weights;
    struct kernel *pack_forward, *pack_data, *unpack; /* NULL: the layout is the plain one */
    uint64_t packed, packed_data;                     /* version of the weights that was packed */
    bool by_tiles;                                    /* the weight gradient is our own kernel's */
    struct tile_gradient tiles;
    int64_t weight, bias; /* offsets; bias -1 where there is none */
    char label[200];

    /* While planning: arrays that are freed and the forward convolution's descriptor. */
    onednn_array *x, *y, *w_any, *w_plain, *dw_any, *dw_plain, *b;
    struct onednn_conv conv; /* of the forward pass */
    dnnl_primitive_desc_t hint;
};

static int describe(const struct engine *engine, const struct cpu_node *self, struct error *error) {
    struct direct_state *state = self->state;
    const struct cpu_node *input = node_input(engine, self, 0);
    struct shape in = input->node->shape, out = self->node->shape;
    struct conv_attributes conv = self->node->conv;
    dnnl_data_type_t type = kernel_type(input->y.type);
    const dnnl_dims_t x = {engine->batch, in.channels, in.height, in.width};
    const dnnl_dims_t y = {engine->batch, out.channels, out.height, out.width};
    const dnnl_dims_t w = {out.channels, in.channels, conv.kernel, conv.kernel};
    const dnnl_dims_t b = {out.channels};
    const struct {
        onednn_array **array;
        int dimensions;
        const dnnl_dim_t *sizes;
        dnnl_data_type_t type;
        dnnl_format_tag_t tag;
    } arrays[] = {{&state->x, 4, x, type, dnnl_nhwc},
                  {&state->y, 4, y, kernel_type(self->y.type), dnnl_nhwc},
                  {&state->w_any, 4, w, type, dnnl_format_tag_any},
                  {&state->w_plain, 4, w, type, dnnl_hwio},
                  {&state->dw_any, 4, w, dnnl_f32, dnnl_format_tag_any},
                  {&state->dw_plain, 4, w, dnnl_f32, dnnl_hwio},
                  {&state->b, 1, b, dnnl_f32, dnnl_a}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (kernel_check(onednn_array_create(arrays[i].array, arrays[i].dimensions, arrays[i].sizes,
                                             arrays[i].type, arrays[i].tag),
                         state->label, "describe an array", error))
            return -1;
    state->conv = (struct onednn_conv){
        .x = state->x, .w = state->w_any, .bias = state->bias < 0 ? NULL : state->b, .y = state->y};
    for (int i = 0; i < 2; i++) {
        int size = i ? in.width : in.height, made = i ? out.width : out.height;
        state->conv.strides[i] = conv.stride;
        state->conv.padding[i] = conv.padding;
        /* What the stride does not reach is cut off: padding on the right may be negative. */
        state->conv.padding_right[i] = (made - 1) * conv.stride + conv.kernel - size - conv.padding;
    }
    return 0;
}

/* Frees what was only needed for planning. */
static void forget(struct direct_state *state) {
    onednn_array **arrays[] = {&state->x,      &state->y,        &state->w_any, &state->w_plain,
                               &state->dw_any, &state->dw_plain, &state->b};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        onednn_array_destroy(arrays[i]);
    if (state->hint)
        dnnl_primitive_desc_destroy(state->hint);
    state->hint = NULL;
    state->conv = (struct onednn_conv){0};
}

/* Memory in the layout `wanted` and the reorder that fills it from `plain` (or, `back`, empties it
 * there); no reorder and `plain` itself where both are the same. */
static int pack(struct engine *engine, struct direct_state *state, const onednn_array *wanted,
                const onednn_array *plain, void *plain_data, bool back, void **data,
                struct kernel **reorder, struct error *error) {
    if (dnnl_memory_desc_equal(wanted, plain)) {
        *data = plain_data;
        return 0;
    }
    *data = engine_alloc(engine, dnnl_memory_desc_get_size(wanted), state->label, error);
    if (!*data)
        return -1;
    *reorder = back ? kernel_reorder(&engine->kernels, state->label, wanted, *data, plain,
                                     plain_data, error)
                    : kernel_reorder(&engine->kernels, state->label, plain, plain_data, wanted,
                                     *data, error);
    return *reorder ? 0 : -1;
}

static int plan_forward(struct engine *engine, struct cpu_node *self, void *weight,
                        struct error *error) {
    struct direct_state *state = self->state;
    struct kernel_context *kernels = &engine->kernels;
    dnnl_primitive_attr_t attributes = NULL;
    void *packed = NULL;
    if (kernel_attributes(state->label, self->links.relu, &attributes, error))
        return -1;
    dnnl_status_t status =
        onednn_conv_forward(&state->hint, kernels->engine, &state->conv, attributes);
    dnnl_primitive_attr_destroy(attributes);
    if (kernel_check(status, state->label, "plan a convolution", error))
        return -1;
    state->forward = kernel_create(kernels, state->label, state->hint, error);
    if (!state->forward)
        return -1;
    const onednn_array *wanted =
        dnnl_primitive_desc_query_md(state->hint, dnnl_query_weights_md, 0);
    return pack(engine, state, wanted, state->w_plain, weight, false, &packed, &state->pack_forward,
                error) ||
                   kernel_bind(kernels, state->forward, DNNL_ARG_SRC, state->x,
                               node_input(engine, self, 0)->y.data, error) ||
                   kernel_bind(kernels, state->forward, DNNL_ARG_WEIGHTS, wanted, packed, error) ||
                   kernel_bind(kernels, state->forward, DNNL_ARG_DST, state->y, self->y.data,
                               error) ||
                   (state->bias >= 0 && kernel_bind(kernels, state->forward, DNNL_ARG_BIAS,
                                                    state->b, engine->weights + state->bias, error))
               ? -1
               : 0;
}

static int plan_data(struct engine *engine, struct cpu_node *self, void *weight, struct values dx,
                     struct error *error) {
    struct direct_state *state = self->state;
    struct kernel_context *kernels = &engine->kernels;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    void *packed = NULL;
    int result = -1;
    if (kernel_attributes(state->label, false, &attributes, error) ||
        kernel_check(onednn_conv_backward_data(&descriptor, kernels->engine, &state->conv,
                                               state->hint, attributes),
                     state->label, "plan the gradient of its input", error) ||
        !(state->data = kernel_create(kernels, state->label, descriptor, error)))
        goto done;
    const onednn_array *wanted = dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 0);
    if (pack(engine, state, wanted, state->w_plain, weight, false, &packed, &state->pack_data,
             error) ||
        kernel_bind(kernels, state->data, DNNL_ARG_DIFF_DST, state->y, self->dy.data, error) ||
        kernel_bind(kernels, state->data, DNNL_ARG_WEIGHTS, wanted, packed, error) ||
        kernel_bind(kernels, state->data, DNNL_ARG_DIFF_SRC, state->x, dx.data, error))
        goto done;
    result = 0;
done:
    if (descriptor)
        dnnl_primitive_desc_destroy(descriptor);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return result;
}

static int plan_weights(struct engine *engine, struct cpu_node *self, int64_t weight,
                        struct error *error) {
    struct direct_state *state = self->state;
    struct kernel_context *kernels = &engine->kernels;
    struct onednn_conv conv = state->conv;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    void *packed = NULL;
    int result = -1;
    conv.w = state->dw_any;
    if (kernel_attributes(state->label, false, &attributes, error) ||
        kernel_check(onednn_conv_backward_weights(&descriptor, kernels->engine, &conv, state->hint,
                                                  attributes),
                     state->label, "plan the gradient of its weights", error) ||
        !(state->weights = kernel_create(kernels, state->label, descriptor, error)))
        goto done;
    const onednn_array *wanted =
        dnnl_primitive_desc_query_md(descriptor, dnnl_query_diff_weights_md, 0);
    if (pack(engine, state, wanted, state->dw_plain, engine->gradients + weight, true, &packed,
             &state->unpack, error) ||
        kernel_bind(kernels, state->weights, DNNL_ARG_SRC, state->x,
                    node_input(engine, self, 0)->y.data, error) ||
        kernel_bind(kernels, state->weights, DNNL_ARG_DIFF_DST, state->y, self->dy.data, error) ||
        kernel_bind(kernels, state->weights, DNNL_ARG_DIFF_WEIGHTS, wanted, packed, error) ||
        (state->bias >= 0 && kernel_bind(kernels, state->weights, DNNL_ARG_DIFF_BIAS, state->b,
                                         engine->gradients + state->bias, error)))
        goto done;
    result = 0;
done:
    if (descriptor)
        dnnl_primitive_desc_destroy(descriptor);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return result;
}

static int direct_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct direct_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    if (!state)
        return -1;
    self->state = state;
    node_label(engine, self, state->label, sizeof state->label);
    int64_t weight = node_parameter(engine, self, PARAMETER_WEIGHT);
    struct shape in = node_input(engine, self, 0)->node->shape;
    state->weight = weight;
    state->bias = node_parameter(engine, self, PARAMETER_BIAS);
    state->by_tiles =
        engine->bf16 && engine->amx && tile_gradient_fits(in, self->node->shape, &self->node->conv);
    void *values =
        engine->bf16 ? (void *)(engine->weights16 + weight) : (void *)(engine->weights + weight);
    struct values dx = gradient_begin(engine, self, 0);
    int result = describe(engine, self, error);
    if (result == 0)
        result = plan_forward(engine, self, values, error);
    if (result == 0 && self->dy.data && state->by_tiles)
        result = tile_gradient_plan(&state->tiles, &engine->arena, engine->batch, engine->threads,
                                    in, self->node->shape, &self->node->conv, state->label, error);
    else if (result == 0 && self->dy.data)
        result = plan_weights(engine, self, weight, error);
    if (result == 0 && self->dy.data && dx.data)
        result = plan_data(engine, self, values, dx, error);
    forget(state);
    return result;
}

static int direct_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct direct_state *state = self->state;
    if (state->pack_forward && state->packed != engine->version) {
        if (kernel_run(&engine->kernels, state->pack_forward, error))
            return -1;
        state->packed = engine->version;
    }
    return kernel_run(&engine->kernels, state->forward, error);
}

static int direct_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct direct_state *state = self->state;
    struct shape out = self->node->shape;
    if (state->by_tiles) {
        tile_gradient_run(&state->tiles, node_input(engine, self, 0)->y.data, self->dy.data,
                          engine->gradients + state->weight);
        if (state->bias >= 0)
            reduce_channels(engine, self->dy, (size_t)(engine->batch * out.height * out.width),
                            out.channels, engine->gradients + state->bias);
    } else if (kernel_run(&engine->kernels, state->weights, error) ||
               (state->unpack && kernel_run(&engine->kernels, state->unpack, error))) {
        return -1;
    }
    if (!state->data)
        return 0;
    if (state->pack_data && state->packed_data != engine->version) {
        if (kernel_run(&engine->kernels, state->pack_data, error))
            return -1;
        state->packed_data = engine->version;
    }
    if (kernel_run(&engine->kernels, state->data, error))
        return -1;
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions conv_direct_functions = {direct_plan, direct_forward, direct_backward};
