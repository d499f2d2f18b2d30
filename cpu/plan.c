/* From a net to buffers: which nodes share memory, which gradients flow and who adds to them. */
#include "cpu/arena.h"
#include "cpu/engine_private.h"

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
    [NODE_FLATTEN] = &flatten_functions,
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
    /* Running statistics lie apart from the trainable ones, so go by node rather than by range. */
    for (int i = 0; i < engine->net->parameter_count; i++) {
        const struct parameter *parameter = &engine->net->parameters[i];
        if (parameter->node == self->index && parameter->role == role)
            return (int64_t)parameter->offset;
    }
    return -1;
}

/* Maps are bf16 in bf16 mode, vectors f32; nodes that keep the values apart keep their type. */
static enum precision type_of(const struct engine *engine, const struct cpu_node *self) {
    enum node_kind kind = self->node->kind;
    if (!engine->bf16)
        return PRECISION_F32;
    if (kind == NODE_FLATTEN || kind == NODE_RELU || kind == NODE_DROPOUT || kind == NODE_BATCHNORM)
        return node_input(engine, self, 0)->y.type;
    if (kind == NODE_CONV && !conv_is_dense(engine, self))
        return PRECISION_BF16; /* oneDNN's gradients want one type, also where one pixel is left */
    struct shape shape = self->node->shape;
    return shape.height > 1 || shape.width > 1 ? PRECISION_BF16 : PRECISION_F32;
}

/* The only user of a node, or NULL. */
static struct cpu_node *only_user(struct engine *engine, const struct cpu_node *self) {
    if (self->users != 1 || self->is_output)
        return NULL;
    for (int i = self->index + 1; i < engine->net->node_count; i++)
        for (int j = 0; j < engine->nodes[i].node->input_count; j++)
            if (engine->nodes[i].node->inputs[j] == self->index)
                return &engine->nodes[i];
    return NULL;
}

/* Whether flattening may just rename the memory: nothing to reorder, or only dense users, which
 * permute their weights instead. */
static bool flatten_is_free(const struct engine *engine, const struct cpu_node *self) {
    struct shape shape = node_input(engine, self, 0)->node->shape;
    if (shape.channels == 1 || shape.height * shape.width == 1)
        return true;
    for (int i = self->index + 1; i < engine->net->node_count; i++)
        for (int j = 0; j < engine->nodes[i].node->input_count; j++)
            if (engine->nodes[i].node->inputs[j] == self->index &&
                engine->nodes[i].node->kind != NODE_DENSE)
                return false;
    return !self->is_output;
}

static void link_nodes(struct engine *engine) {
    const struct net *net = engine->net;
    for (int i = 0; i < net->node_count; i++) {
        struct cpu_node *self = &engine->nodes[i];
        *self = (struct cpu_node){.node = &net->nodes[i],
                                  .index = i,
                                  .functions = functions_of_kind[net->nodes[i].kind],
                                  .is_output = i == net->digit_output || i == net->sum_output};
        for (int j = 0; j < self->node->input_count; j++)
            node_input(engine, self, j)->users++;
    }
    for (int i = 0; i < net->parameter_count; i++)
        engine->nodes[net->parameters[i].node].learns = true;
    for (int i = 0; i < net->node_count; i++)
        for (int j = 0; j < net->nodes[i].input_count; j++)
            if (node_input(engine, &engine->nodes[i], j)->learns)
                engine->nodes[i].learns = true;
}

/* Folds each relu into the node before it, and its mask into the pool behind it. */
static void fold_relus(struct engine *engine) {
    for (int i = 0; i < engine->net->node_count; i++) {
        struct cpu_node *self = &engine->nodes[i];
        if (self->node->kind == NODE_FLATTEN)
            self->alias = flatten_is_free(engine, self);
        if (self->node->kind != NODE_RELU)
            continue;
        struct cpu_node *input = node_input(engine, self, 0);
        enum node_kind kind = input->node->kind;
        if (only_user(engine, input) == self &&
            (kind == NODE_CONV || kind == NODE_DENSE || kind == NODE_BATCHNORM)) {
            input->relu = true;
            self->alias = true;
        }
        self->relu_masks = self->alias && kind != NODE_BATCHNORM; /* that one masks itself */
        struct cpu_node *user = only_user(engine, self);
        if (self->alias && user && user->node->kind == NODE_MAXPOOL &&
            user->node->pool.size == user->node->pool.stride) {
            user->input_is_masked = true;
            self->relu_masks = false;
        }
    }
}

/* The node that owns this one's memory. */
static struct cpu_node *owner(const struct engine *engine, struct cpu_node *self) {
    while (self->alias)
        self = node_input(engine, self, 0);
    return self;
}

/* Walks backward as a step will, and notes who sets and who adds. */
static void plan_gradients(struct engine *engine) {
    const struct net *net = engine->net;
    owner(engine, &engine->nodes[net->digit_output])->written = true;
    owner(engine, &engine->nodes[net->sum_output])->written = true;
    for (int i = net->node_count - 1; i >= 0; i--) {
        struct cpu_node *self = &engine->nodes[i];
        if (self->alias || !self->written || !self->learns)
            continue;
        for (int j = 0; j < self->node->input_count; j++) {
            struct cpu_node *input = owner(engine, node_input(engine, self, j));
            self->accumulates[j] = input->written;
            input->written = true;
        }
    }
}

static int allocate(struct engine *engine, struct cpu_node *self, struct error *error) {
    self->y.type = self->dy.type = type_of(engine, self);
    if (self->alias) {
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
    if (engine->config.training && self->written && self->learns) {
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
    fold_relus(engine);
    plan_gradients(engine);
    layout_plan(engine);
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
        if (!self->alias && self->functions->plan && self->functions->plan(engine, self, error))
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
    if (target.data && self->accumulates[i])
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
    if (!to.data || !self->accumulates[i])
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
