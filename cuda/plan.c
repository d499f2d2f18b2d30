/* From a net to buffers, each node's plan, and the passes over them. Who shares memory and who adds
 * to whose gradient is model/links.h. */
#include "cuda/engine_private.h"
#include "cuda/matmul.h"
#include "model/node.h"

#include <stdio.h>
#include <string.h>

static const struct node_functions *const functions_of_kind[] = {
    [NODE_IMAGE] = &image_functions,         [NODE_DIGIT] = &digit_functions,
    [NODE_CONV] = &conv_functions,           [NODE_DENSE] = &dense_functions,
    [NODE_BATCHNORM] = &batchnorm_functions, [NODE_RELU] = &relu_functions,
    [NODE_MAXPOOL] = &maxpool_functions,     [NODE_AVGPOOL] = &avgpool_functions,
    [NODE_DROPOUT] = &dropout_functions,     [NODE_ONEHOT] = &onehot_functions,
    [NODE_CONCAT] = &concat_functions,       [NODE_ADD] = &add_functions,
    [NODE_OUTER] = &outer_functions,         [NODE_SOFTMAX] = &softmax_functions,
    [NODE_FLATTEN] = &flatten_functions,     [NODE_TANH] = &tanh_functions,
    [NODE_SIGMOID] = &sigmoid_functions,     [NODE_GELU] = &gelu_functions,
};
_Static_assert(sizeof functions_of_kind / sizeof *functions_of_kind == NODE_KINDS,
               "every node kind has its row");

/* --- helpers of the nodes -------------------------------------------------------------------- */

void *engine_alloc(struct engine *engine, enum memory_kind kind, size_t size, const char *what,
                   struct error *error) {
    return memory_alloc(&engine->memory, kind, size, true, what, error);
}

void engine_need_workspace(struct engine *engine, size_t size) {
    if (size > engine->workspace_size)
        engine->workspace_size = size;
}

void engine_need_partials(struct engine *engine, size_t rows, int channels) {
    size_t floats = kernel_partials(rows, channels);
    if (floats > engine->partials_size)
        engine->partials_size = floats;
}

float *node_parameter(const struct engine *engine, const struct cuda_node *self,
                      enum parameter_role role, float *array) {
    int parameter = net_parameter(engine->net, self->index, role);
    return parameter < 0 ? NULL : array + engine->layouts[parameter].offset;
}

const void *node_weight(const struct engine *engine, const struct cuda_node *self,
                        enum element type) {
    int parameter = net_parameter(engine->net, self->index, PARAMETER_WEIGHT);
    size_t offset = engine->layouts[parameter].offset;
    return type == ELEMENT_BF16 ? (const void *)(engine->weights16 + offset)
                                : (const void *)(engine->weights + offset);
}

struct values gradient_begin(const struct engine *engine, const struct cuda_node *self, int i) {
    struct values target = node_input(engine, self, i)->dy;
    if (target.data && self->links.accumulates[i])
        target.data = engine->spare.data;
    return target;
}

int gradient_end(struct engine *engine, const struct cuda_node *self, int i, struct error *error) {
    const struct cuda_node *input = node_input(engine, self, i);
    if (!input->dy.data || !self->links.accumulates[i])
        return 0;
    struct values more = {engine->spare.data, input->dy.type};
    return node_check(
        engine, self,
        kernel_copy(input->dy, more, node_count(engine, input), true, engine->compute),
        "kernel_copy", error);
}

void node_label(const struct engine *engine, const struct cuda_node *self, char text[LABEL_SIZE]) {
    const struct node *node = self->node;
    struct shape in = node->input_count ? node_input(engine, self, 0)->node->shape : node->shape;
    snprintf(text, LABEL_SIZE, "%s (%s, %dx%dx%d -> %dx%dx%d, batch %d)", node->name,
             node_kind_name(node->kind), in.channels, in.height, in.width, node->shape.channels,
             node->shape.height, node->shape.width, engine->batch);
}

int node_check(const struct engine *engine, const struct cuda_node *self, cudaError_t status,
               const char *kernel, struct error *error) {
    char label[LABEL_SIZE];
    if (status == cudaSuccess)
        return 0;
    node_label(engine, self, label);
    return cuda_check(status, kernel, label, error);
}

/* --- buffers --------------------------------------------------------------------------------- */

/* Maps are bf16 in bf16 mode, vectors f32; nodes that keep the values apart keep their type. */
static enum element type_of(const struct engine *engine, const struct cuda_node *self) {
    enum node_kind kind = self->node->kind;
    if (node_keeps_type(kind))
        return node_input(engine, self, 0)->y.type;
    if (kind == NODE_CONV && !conv_is_dense(engine->net, self->node))
        return engine->maps; /* cuDNN wants one type, also where one pixel is left */
    struct shape shape = self->node->shape;
    return shape.height > 1 || shape.width > 1 ? engine->maps : ELEMENT_F32;
}

static int allocate_values(struct engine *engine, struct cuda_node *self, struct error *error) {
    self->y.type = self->dy.type = type_of(engine, self);
    if (self->links.alias) {
        const struct cuda_node *input = node_input(engine, self, 0);
        self->y = input->y;
        self->dy = input->dy;
        return 0;
    }
    if (self->node->kind == NODE_DIGIT)
        return 0;
    char label[LABEL_SIZE];
    node_label(engine, self, label);
    size_t size = node_count(engine, self) * element_size(self->y.type);
    if (!(self->y.data = engine_alloc(engine, MEMORY_BATCH, size, label, error)))
        return -1;
    if (engine->config.training && self->links.written && self->links.learns &&
        !(self->dy.data = engine_alloc(engine, MEMORY_BATCH, size, label, error)))
        return -1;
    if (size > engine->spare_size)
        engine->spare_size = size;
    return 0;
}

/* What several nodes use in turn; its size is known when all of them are planned, except for the
 * spare gradient, whose place some plans hold. */
static int allocate_shared(struct engine *engine, struct error *error) {
    engine->partials = engine_alloc(engine, MEMORY_BATCH, sizeof(float) * engine->partials_size,
                                    "partial sums", error);
    /* cuBLASLt's share does not grow with the batch; what cuDNN wants beyond it does. */
    enum memory_kind kind = engine->workspace_size > MATMUL_WORKSPACE ? MEMORY_BATCH : MEMORY_FIXED;
    engine->workspace = engine_alloc(engine, kind, engine->workspace_size,
                                     "the workspace of cuDNN and cuBLASLt", error);
    return engine->partials && engine->workspace ? 0 : -1;
}

static int plan_nodes(struct engine *engine, struct error *error) {
    for (int i = 0; i < engine->net->node_count; i++) {
        struct cuda_node *self = &engine->nodes[i];
        if (!self->links.alias && self->functions->plan &&
            self->functions->plan(engine, self, error))
            return -1;
    }
    return 0;
}

int engine_plan(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    struct node_links links[NET_NODES];
    net_link(net, links);
    for (int i = 0; i < net->node_count; i++) {
        struct cuda_node *self = &engine->nodes[i];
        *self = (struct cuda_node){.node = &net->nodes[i],
                                   .index = i,
                                   .functions = functions_of_kind[net->nodes[i].kind],
                                   .links = links[i]};
        if (allocate_values(engine, self, error))
            return -1;
    }
    if (engine->config.training &&
        !(engine->spare.data =
              engine_alloc(engine, MEMORY_BATCH, engine->spare_size, "a spare gradient", error)))
        return -1;
    return plan_nodes(engine, error) || allocate_shared(engine, error) ? -1 : 0;
}

/* --- passes ---------------------------------------------------------------------------------- */

int engine_forward(struct engine *engine, struct error *error) {
    for (int i = 0; i < engine->net->node_count; i++) {
        struct cuda_node *self = &engine->nodes[i];
        if (!self->links.alias && self->functions->forward(engine, self, error))
            return -1;
    }
    return 0;
}

int engine_backward(struct engine *engine, struct error *error) {
    for (int i = engine->net->node_count - 1; i >= 0; i--) {
        struct cuda_node *self = &engine->nodes[i];
        if (!self->links.alias && self->dy.data && self->functions->backward(engine, self, error))
            return -1;
    }
    return 0;
}
