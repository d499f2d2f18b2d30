/* From a net to buffers, and each node's plan. Who shares memory and who adds to whose gradient is
 * model/links.h. */
#include "cpu/arena.h"
#include "cpu/engine_private.h"
#include "model/node.h"

#include <stdio.h>

/* A switch would do as well; a table lists what exists and cannot have a hole. */
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

void *engine_alloc(struct engine *engine, size_t size, const char *what, struct error *error) {
    return arena_alloc(&engine->arena, size, what, error);
}

void node_label(const struct engine *engine, const struct cpu_node *self, char *text, size_t size) {
    const struct node *node = self->node;
    struct shape in = node->input_count ? node_input(engine, self, 0)->node->shape : node->shape;
    snprintf(text, size, "%s (%s, %dx%dx%d -> %dx%dx%d, batch %d)", node->name,
             node_kind_name(node->kind), in.channels, in.height, in.width, node->shape.channels,
             node->shape.height, node->shape.width, engine->batch);
}

int64_t node_parameter(const struct engine *engine, const struct cpu_node *self,
                       enum parameter_role role) {
    int parameter = net_parameter(engine->net, self->index, role);
    return parameter < 0 ? -1 : (int64_t)engine->net->parameters[parameter].offset;
}

/* Maps are bf16 in bf16 mode, vectors f32; nodes that keep the values apart keep their type. */
static enum precision type_of(const struct engine *engine, const struct cpu_node *self) {
    enum node_kind kind = self->node->kind;
    if (!engine->bf16)
        return PRECISION_F32;
    if (node_keeps_type(kind))
        return node_input(engine, self, 0)->y.type;
    if (kind == NODE_CONV && !conv_is_dense(engine->net, self->node))
        return PRECISION_BF16; /* oneDNN's gradients want one type, also where one pixel is left */
    struct shape shape = self->node->shape;
    return shape.height > 1 || shape.width > 1 ? PRECISION_BF16 : PRECISION_F32;
}

static void link_nodes(struct engine *engine) {
    const struct net *net = engine->net;
    struct node_links links[NET_NODES];
    net_link(net, links);
    for (int i = 0; i < net->node_count; i++)
        engine->nodes[i] = (struct cpu_node){.node = &net->nodes[i],
                                             .index = i,
                                             .functions = functions_of_kind[net->nodes[i].kind],
                                             .links = links[i]};
    layout_plan(net, links, ORDER_HWIO, 1, engine->layouts);
}

static int allocate(struct engine *engine, struct cpu_node *self, struct error *error) {
    self->y.type = self->dy.type = type_of(engine, self);
    if (self->links.alias) {
        const struct cpu_node *input = node_input(engine, self, 0);
        self->y = input->y;
        self->dy = input->dy;
        return 0;
    }
    if (self->node->kind == NODE_DIGIT)
        return 0;
    char label[200];
    node_label(engine, self, label, sizeof label);
    size_t size =
        (size_t)engine->batch * shape_values(self->node->shape) * precision_size(self->y.type);
    self->y.data = engine_alloc(engine, size, label, error);
    if (!self->y.data)
        return -1;
    if (engine->config.training && self->links.written && self->links.learns) {
        self->dy.data = engine_alloc(engine, size, label, error);
        if (!self->dy.data)
            return -1;
    }
    if (size > engine->spare_size)
        engine->spare_size = size;
    struct shape shape = self->node->shape;
    size_t partials =
        2 * reduce_partials((size_t)(engine->batch * shape.height * shape.width), shape.channels);
    if (partials > engine->partials_size)
        engine->partials_size = partials;
    return 0;
}

int engine_plan(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    size_t most = 0;
    link_nodes(engine);
    for (int i = 0; i < net->node_count; i++) {
        if (allocate(engine, &engine->nodes[i], error))
            return -1;
        size_t values = (size_t)shape_values(net->nodes[i].shape);
        most = values > most ? values : most;
    }
    engine->scratch_values = (3 * most + 15) / 16 * 16;
    if (!(engine->scratch =
              engine_alloc(engine, sizeof(float) * engine->scratch_values * (size_t)engine->threads,
                           "the threads' scratch rows", error)))
        return -1;
    if (engine->config.training &&
        !(engine->spare = engine_alloc(engine, engine->spare_size, "a spare gradient", error)))
        return -1;
    for (int i = 0; i < net->node_count; i++) {
        struct cpu_node *self = &engine->nodes[i];
        if (!self->links.alias && self->functions->plan &&
            self->functions->plan(engine, self, error))
            return -1;
    }
    if (!(engine->partials =
              engine_alloc(engine, sizeof(float) * engine->partials_size, "partial sums", error)))
        return -1;
    void *scratch =
        engine_alloc(engine, engine->kernels.scratch_size, "oneDNN's scratch memory", error);
    return scratch ? kernel_bind_scratch(&engine->kernels, scratch, error) : -1;
}

struct values gradient_begin(const struct engine *engine, const struct cpu_node *self, int i) {
    struct values target = node_input(engine, self, i)->dy;
    if (target.data && self->links.accumulates[i])
        target.data = engine->spare;
    return target;
}

CLONES static void add_floats(float *restrict to, const float *restrict more, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] += more[i];
}

CLONES static void add_bf16(uint16_t *restrict to, const uint16_t *restrict more, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = float_to_bf16(bf16_to_float(to[i]) + bf16_to_float(more[i]));
}

void gradient_end(struct engine *engine, const struct cpu_node *self, int i) {
    struct values to = node_input(engine, self, i)->dy;
    if (!to.data || !self->links.accumulates[i])
        return;
    size_t count = (size_t)shape_values(node_input(engine, self, i)->node->shape);
#pragma omp parallel for schedule(static)                                                          \
    num_threads(node_team(engine, node_input(engine, self, i)))
    for (int sample = 0; sample < engine->batch; sample++) {
        struct values more = {engine->spare, to.type};
        size_t first = (size_t)sample * count;
        if (to.type == PRECISION_BF16)
            add_bf16(values_at(to, first), values_at(more, first), count);
        else
            add_floats(values_at(to, first), values_at(more, first), count);
    }
}
