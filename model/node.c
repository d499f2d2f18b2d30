/* The table of node kinds. To add a kind: an enumerator and attributes in graph.h, functions and a
 * row here, then one file in each engine. */
#include "model/node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define VALUES ((double)NET_VALUES_MAX)
#define KERNEL_MAX 255 /* keeps every product of sizes far below 2^63 */
#define RATE_MAX 1000

/* --- attributes ------------------------------------------------------------------------------ */

#define AT(field) offsetof(struct node, field)

// clang-format off
static const struct attribute conv_rows[] = {
    {.name = "channels", .type = ATTRIBUTE_INT, .offset = AT(conv.channels), .min = 1, .max = VALUES, .required = true},
    {.name = "kernel", .type = ATTRIBUTE_INT, .offset = AT(conv.kernel), .min = 1, .max = KERNEL_MAX, .required = true},
    {.name = "stride", .type = ATTRIBUTE_INT, .offset = AT(conv.stride), .min = 1, .max = KERNEL_MAX, .fallback = 1},
    {.name = "padding", .type = ATTRIBUTE_INT, .offset = AT(conv.padding), .min = 0, .max = KERNEL_MAX},
    {.name = "bias", .type = ATTRIBUTE_BOOL, .offset = AT(conv.bias), .fallback = 1},
    {.name = "rate", .type = ATTRIBUTE_REAL, .offset = AT(rate), .min = 0, .max = RATE_MAX, .fallback = 1},
    {.name = NULL}};
static const struct attribute dense_rows[] = {
    {.name = "units", .type = ATTRIBUTE_INT, .offset = AT(dense.units), .min = 1, .max = VALUES, .required = true},
    {.name = "bias", .type = ATTRIBUTE_BOOL, .offset = AT(dense.bias), .fallback = 1},
    {.name = "rate", .type = ATTRIBUTE_REAL, .offset = AT(rate), .min = 0, .max = RATE_MAX, .fallback = 1},
    {.name = NULL}};
static const struct attribute batchnorm_rows[] = {
    {.name = "momentum", .type = ATTRIBUTE_REAL, .offset = AT(batchnorm.momentum), .min = 0, .max = 1, .fallback = 0.1},
    {.name = "epsilon", .type = ATTRIBUTE_REAL, .offset = AT(batchnorm.epsilon), .min = 1e-12, .max = 1, .fallback = 1e-5},
    {.name = "rate", .type = ATTRIBUTE_REAL, .offset = AT(rate), .min = 0, .max = RATE_MAX, .fallback = 1},
    {.name = NULL}};
static const struct attribute pool_rows[] = {
    {.name = "size", .type = ATTRIBUTE_INT, .offset = AT(pool.size), .min = 1, .max = KERNEL_MAX, .required = true},
    {.name = "stride", .type = ATTRIBUTE_INT, .offset = AT(pool.stride), .min = 1, .max = KERNEL_MAX},
    {.name = NULL}};
static const struct attribute dropout_rows[] = {
    {.name = "rate", .type = ATTRIBUTE_REAL, .offset = AT(dropout.rate), .min = 0, .max = 0.99, .required = true},
    {.name = "spatial", .type = ATTRIBUTE_BOOL, .offset = AT(dropout.spatial)},
    {.name = NULL}};
static const struct attribute onehot_rows[] = {
    {.name = "size", .type = ATTRIBUTE_INT, .offset = AT(onehot.size), .min = 10, .max = 1024, .fallback = 10},
    {.name = NULL}};
// clang-format on

/* --- shapes ---------------------------------------------------------------------------------- */

const char *shape_text(struct shape shape, char text[static SHAPE_TEXT]) {
    if (shape.height == 1 && shape.width == 1)
        snprintf(text, SHAPE_TEXT, "%d", shape.channels);
    else
        snprintf(text, SHAPE_TEXT, "%dx%dx%d", shape.channels, shape.height, shape.width);
    return text;
}

static bool is_vector(const struct node *node) {
    return node->shape.height == 1 && node->shape.width == 1;
}

/* The last word of every shape rule: nothing is stored that is over the limit. */
static int set_shape(struct node *node, int64_t channels, int64_t height, int64_t width,
                     struct error *error) {
    if (channels > NET_VALUES_MAX || height > NET_VALUES_MAX || width > NET_VALUES_MAX ||
        height * width > NET_VALUES_MAX || channels * (height * width) > NET_VALUES_MAX)
        return error_set(error, ERROR_INVALID,
                         "the output would be %lldx%lldx%lld, over the limit of %d values",
                         (long long)channels, (long long)height, (long long)width, NET_VALUES_MAX);
    node->shape = (struct shape){(int)channels, (int)height, (int)width};
    return 0;
}

static int conv_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    struct conv_attributes conv = node->conv;
    struct shape in = inputs[0]->shape;
    int height = in.height + 2 * conv.padding;
    int width = in.width + 2 * conv.padding;
    if (conv.padding >= conv.kernel)
        return error_set(error, ERROR_INVALID, "padding %d must be less than kernel %d",
                         conv.padding, conv.kernel);
    if (height < conv.kernel || width < conv.kernel) {
        char text[SHAPE_TEXT];
        return error_set(
            error, ERROR_INVALID, "a kernel of %dx%d does not fit on '%s' of %s with padding %d",
            conv.kernel, conv.kernel, inputs[0]->name, shape_text(in, text), conv.padding);
    }
    return set_shape(node, conv.channels, (height - conv.kernel) / conv.stride + 1,
                     (width - conv.kernel) / conv.stride + 1, error);
}

static int dense_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    (void)inputs;
    return set_shape(node, node->dense.units, 1, 1, error);
}

static int same_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    (void)error;
    node->shape = inputs[0]->shape;
    return 0;
}

static int pool_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    struct shape in = inputs[0]->shape;
    int size = node->pool.size;
    if (node->pool.stride == 0)
        node->pool.stride = size;
    if (in.height < size || in.width < size) {
        char text[SHAPE_TEXT];
        return error_set(error, ERROR_INVALID, "a window of %dx%d does not fit on '%s' of %s", size,
                         size, inputs[0]->name, shape_text(in, text));
    }
    return set_shape(node, in.channels, (in.height - size) / node->pool.stride + 1,
                     (in.width - size) / node->pool.stride + 1, error);
}

static int onehot_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    if (inputs[0]->kind != NODE_DIGIT) {
        char text[SHAPE_TEXT];
        return error_set(error, ERROR_INVALID, "onehot takes the input 'digit', not '%s' of %s",
                         inputs[0]->name, shape_text(inputs[0]->shape, text));
    }
    return set_shape(node, node->onehot.size, 1, 1, error);
}

/* Maps of one size join their channels; anything else is flattened and joined. Both lay the values
 * down in the same order. */
static int concat_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    struct shape first = inputs[0]->shape;
    bool maps = (int64_t)first.height * first.width > 1;
    int64_t channels = 0, values = 0;
    for (int i = 0; i < node->input_count; i++) {
        struct shape in = inputs[i]->shape;
        maps = maps && in.height == first.height && in.width == first.width;
        channels += in.channels;
        values += shape_values(in);
    }
    return maps ? set_shape(node, channels, first.height, first.width, error)
                : set_shape(node, values, 1, 1, error);
}

static int add_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    struct shape first = inputs[0]->shape;
    for (int i = 1; i < node->input_count; i++) {
        struct shape in = inputs[i]->shape;
        if (in.channels != first.channels || in.height != first.height || in.width != first.width) {
            char a[SHAPE_TEXT], b[SHAPE_TEXT];
            return error_set(
                error, ERROR_INVALID, "add takes equal shapes, but '%s' is %s and '%s' is %s",
                inputs[0]->name, shape_text(first, a), inputs[i]->name, shape_text(in, b));
        }
    }
    node->shape = first;
    return 0;
}

static int outer_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    if (!is_vector(inputs[0]) || !is_vector(inputs[1])) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        return error_set(error, ERROR_INVALID,
                         "outer takes two vectors, but '%s' is %s and '%s' is %s", inputs[0]->name,
                         shape_text(inputs[0]->shape, a), inputs[1]->name,
                         shape_text(inputs[1]->shape, b));
    }
    return set_shape(node, (int64_t)inputs[0]->shape.channels * inputs[1]->shape.channels, 1, 1,
                     error);
}

static int softmax_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    if (!is_vector(inputs[0])) {
        char text[SHAPE_TEXT];
        return error_set(error, ERROR_INVALID, "softmax takes a vector, but '%s' is %s",
                         inputs[0]->name, shape_text(inputs[0]->shape, text));
    }
    node->shape = inputs[0]->shape;
    return 0;
}

static int flatten_shape(struct node *node, const struct node *const *inputs, struct error *error) {
    return set_shape(node, shape_values(inputs[0]->shape), 1, 1, error);
}

/* --- parameters ------------------------------------------------------------------------------ */

static int conv_parameters(const struct node *node, const struct node *input,
                           struct parameter_need *needs) {
    int64_t in = input->shape.channels, out = node->conv.channels, kernel = node->conv.kernel;
    int64_t fan_in = in * kernel * kernel;
    needs[0] =
        (struct parameter_need){"weight", PARAMETER_WEIGHT, 4, {out, in, kernel, kernel}, fan_in};
    needs[1] = (struct parameter_need){"bias", PARAMETER_BIAS, 1, {out}, fan_in};
    return node->conv.bias ? 2 : 1;
}

static int dense_parameters(const struct node *node, const struct node *input,
                            struct parameter_need *needs) {
    int64_t in = shape_values(input->shape), out = node->dense.units;
    needs[0] = (struct parameter_need){"weight", PARAMETER_WEIGHT, 2, {out, in}, in};
    needs[1] = (struct parameter_need){"bias", PARAMETER_BIAS, 1, {out}, in};
    return node->dense.bias ? 2 : 1;
}

static int batchnorm_parameters(const struct node *node, const struct node *input,
                                struct parameter_need *needs) {
    (void)node;
    int64_t n = input->shape.channels;
    needs[0] = (struct parameter_need){"weight", PARAMETER_GAIN, 1, {n}, 0};
    needs[1] = (struct parameter_need){"bias", PARAMETER_SHIFT, 1, {n}, 0};
    needs[2] = (struct parameter_need){"running_mean", PARAMETER_MEAN, 1, {n}, 0};
    needs[3] = (struct parameter_need){"running_var", PARAMETER_VARIANCE, 1, {n}, 0};
    return 4;
}

/* --- cost ------------------------------------------------------------------------------------ */

static uint64_t values(const struct node *node) {
    return (uint64_t)shape_values(node->shape);
}

static uint64_t conv_cost(const struct node *node, const struct node *input) {
    uint64_t kernel = (uint64_t)node->conv.kernel;
    return values(node) * (uint64_t)input->shape.channels * kernel * kernel;
}

static uint64_t dense_cost(const struct node *node, const struct node *input) {
    return values(node) * values(input);
}

static uint64_t one_each_cost(const struct node *node, const struct node *input) {
    (void)input;
    return values(node);
}

static uint64_t avgpool_cost(const struct node *node, const struct node *input) {
    (void)input;
    return values(node) * (uint64_t)node->pool.size * (uint64_t)node->pool.size;
}

static uint64_t add_cost(const struct node *node, const struct node *input) {
    (void)input;
    return values(node) * (uint64_t)(node->input_count - 1);
}

/* --- the table ------------------------------------------------------------------------------- */

// clang-format off
static const struct node_rule rules[] = {
    /*                  word       inputs      attributes      shape          parameters            cost */
    [NODE_IMAGE] =     {"image",     0, 0,          NULL,           NULL,          NULL,                 NULL},
    [NODE_DIGIT] =     {"digit",     0, 0,          NULL,           NULL,          NULL,                 NULL},
    [NODE_CONV] =      {"conv",      1, 1,          conv_rows,      conv_shape,    conv_parameters,      conv_cost},
    [NODE_DENSE] =     {"dense",     1, 1,          dense_rows,     dense_shape,   dense_parameters,     dense_cost},
    [NODE_BATCHNORM] = {"batchnorm", 1, 1,          batchnorm_rows, same_shape,    batchnorm_parameters, one_each_cost},
    [NODE_RELU] =      {"relu",      1, 1,          NULL,           same_shape,    NULL,                 NULL},
    [NODE_TANH] =      {"tanh",      1, 1,          NULL,           same_shape,    NULL,                 one_each_cost},
    [NODE_SIGMOID] =   {"sigmoid",   1, 1,          NULL,           same_shape,    NULL,                 one_each_cost},
    [NODE_GELU] =      {"gelu",      1, 1,          NULL,           same_shape,    NULL,                 one_each_cost},
    [NODE_MAXPOOL] =   {"maxpool",   1, 1,          pool_rows,      pool_shape,    NULL,                 NULL},
    [NODE_AVGPOOL] =   {"avgpool",   1, 1,          pool_rows,      pool_shape,    NULL,                 avgpool_cost},
    [NODE_DROPOUT] =   {"dropout",   1, 1,          dropout_rows,   same_shape,    NULL,                 NULL},
    [NODE_ONEHOT] =    {"onehot",    1, 1,          onehot_rows,    onehot_shape,  NULL,                 NULL},
    [NODE_CONCAT] =    {"concat",    2, NET_INPUTS, NULL,           concat_shape,  NULL,                 NULL},
    [NODE_ADD] =       {"add",       2, NET_INPUTS, NULL,           add_shape,     NULL,                 add_cost},
    [NODE_OUTER] =     {"outer",     2, 2,          NULL,           outer_shape,   NULL,                 one_each_cost},
    [NODE_SOFTMAX] =   {"softmax",   1, 1,          NULL,           softmax_shape, NULL,                 one_each_cost},
    [NODE_FLATTEN] =   {"flatten",   1, 1,          NULL,           flatten_shape, NULL,                 NULL},
};
// clang-format on
_Static_assert(sizeof rules / sizeof *rules == NODE_KINDS, "every kind of node has its row");

const struct node_rule *node_rule(enum node_kind kind) {
    assert((int)kind >= 0 && kind < NODE_KINDS);
    return &rules[kind];
}

int node_kind_of(const char *word) {
    for (int kind = NODE_CONV; kind < NODE_KINDS; kind++)
        if (strcmp(rules[kind].name, word) == 0)
            return kind;
    return -1;
}

const char *node_kind_name(enum node_kind kind) {
    return node_rule(kind)->name;
}

uint64_t node_multiply_adds(const struct net *net, const struct node *node) {
    const struct node_rule *rule = node_rule(node->kind);
    return rule->multiply_adds ? rule->multiply_adds(node, &net->nodes[node->inputs[0]]) : 0;
}
