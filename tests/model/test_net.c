/* What a right network text becomes: kinds, defaults, shapes, order, parameters, cost. */
#include "model/net.h"
#include "model/node.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct node *find(const struct net *net, const char *name) {
    for (int i = 0; i < net->node_count; i++)
        if (strcmp(net->nodes[i].name, name) == 0)
            return &net->nodes[i];
    cr_assert(false, "there is no node %s", name);
    return NULL;
}

static void expect_shape(const struct net *net, const char *name, int channels, int height,
                         int width) {
    struct shape shape = find(net, name)->shape;
    cr_expect(shape.channels == channels && shape.height == height && shape.width == width,
              "%s is %dx%dx%d, expected %dx%dx%d", name, shape.channels, shape.height, shape.width,
              channels, height, width);
}

/* Every kind once, most attributes left out; attributes may stand before inputs, blanks around '=',
 * and the outputs above their nodes. */
static const char every_kind[] =
    "output digit = logits\n"
    "output sum=scalar # a comment\n"
    "name = every\n"
    "conv    conv      image  channels=3 kernel = 5 stride =2 padding= 1\n"
    "pool    maxpool   image  size=4 stride=2\n"
    "a       batchnorm conv\n"
    "b       relu      a\n"
    "added   add       a b a\n"
    "joined  concat    a pool\n"
    "mean    avgpool   size=5 joined stride=4\n"
    "dropped dropout   added  rate=0.25\n"
    "flat    flatten   dropped\n"
    "addend  onehot    digit\n"
    "all     concat    flat addend mean\n"
    "logits  dense     all    units=10 rate=2\n"
    "wide    onehot    digit  size=12\n"
    "guess   softmax   logits\n"
    "pairs   outer     guess wide\n"
    "\tscalar  dense   pairs  units=1 bias=false";

Test(net, every_kind_has_its_shape) {
    struct net *net = must_parse(every_kind);
    cr_expect_eq(net->node_count, 18);
    expect_shape(net, "image", 1, 28, 28);
    expect_shape(net, "digit", 1, 1, 1);
    expect_shape(net, "conv", 3, 13, 13); /* (28 + 2 - 5) / 2 + 1, rounded down */
    expect_shape(net, "a", 3, 13, 13);
    expect_shape(net, "b", 3, 13, 13);
    expect_shape(net, "added", 3, 13, 13);
    expect_shape(net, "pool", 1, 13, 13);
    expect_shape(net, "joined", 4, 13, 13);
    expect_shape(net, "mean", 4, 3, 3);
    expect_shape(net, "dropped", 3, 13, 13);
    expect_shape(net, "flat", 507, 1, 1);
    expect_shape(net, "all", 507 + 10 + 36, 1, 1);
    expect_shape(net, "addend", 10, 1, 1);
    expect_shape(net, "wide", 12, 1, 1);
    expect_shape(net, "guess", 10, 1, 1);
    expect_shape(net, "pairs", 120, 1, 1);
    expect_shape(net, "scalar", 1, 1, 1);
    cr_expect(net->regression);
    cr_expect_str_eq(net->nodes[net->digit_output].name, "logits");
    cr_expect_str_eq(net->nodes[net->sum_output].name, "scalar");
    net_destroy(&net);
    cr_expect_null(net);
    net_destroy(&net);
}

Test(net, defaults_are_those_of_the_manual) {
    struct net *net = must_parse(every_kind);
    cr_expect(find(net, "conv")->conv.bias);
    cr_expect_not(find(net, "scalar")->dense.bias);
    cr_expect_eq(find(net, "a")->batchnorm.momentum, 0.1f);
    cr_expect_eq(find(net, "a")->batchnorm.epsilon, 1e-5f);
    cr_expect_eq(find(net, "addend")->onehot.size, 10);
    cr_expect_eq(find(net, "dropped")->dropout.rate, 0.25f);
    cr_expect_not(find(net, "dropped")->dropout.spatial);
    net_destroy(&net);
    net = must_parse(tiny_text);
    cr_expect_eq(find(net, "pool")->pool.stride, 14);
    cr_expect_eq(find(net, "conv")->conv.stride, 1);
    cr_expect_eq(find(net, "conv")->conv.padding, 0);
    net_destroy(&net);
}

Test(net, inputs_come_before_their_users) {
    struct net *net = must_parse(every_kind);
    cr_expect_eq(net->nodes[0].kind, NODE_IMAGE);
    cr_expect_eq(net->nodes[1].kind, NODE_DIGIT);
    for (int i = 0; i < net->node_count; i++)
        for (int k = 0; k < net->nodes[i].input_count; k++)
            cr_expect_lt(net->nodes[i].inputs[k], i);
    cr_expect_str_eq(net->nodes[find(net, "all")->inputs[2]].name, "mean");
    net_destroy(&net);
}

Test(net, file_order_is_kept_where_it_can_be) {
    static const char *const order[] = {"image",  "digit",  "pool", "conv", "bn",
                                        "logits", "addend", "both", "sum"};
    struct net *net = must_parse(tiny_text);
    cr_assert_eq(net->node_count, 9);
    for (int i = 0; i < 9; i++)
        cr_expect_str_eq(net->nodes[i].name, order[i]);
    cr_expect_eq(find(net, "conv")->line, 4);
    cr_expect_str_eq(net->text, tiny_text);
    cr_expect_str_eq(net->name, "tiny");
    net_destroy(&net);
}

struct expected {
    const char *name;
    enum parameter_role role;
    size_t offset, count;
    int fan_in;
};

Test(net, parameters_lie_as_in_the_exchange_layout) {
    static const struct expected list[] = {
        {"conv.weight", PARAMETER_WEIGHT, 0, 2, 1},
        {"conv.bias", PARAMETER_BIAS, 2, 2, 1},
        {"bn.weight", PARAMETER_GAIN, 4, 2, 0},
        {"bn.bias", PARAMETER_SHIFT, 6, 2, 0},
        {"bn.running_mean", PARAMETER_MEAN, 109, 2, 0},
        {"bn.running_var", PARAMETER_VARIANCE, 111, 2, 0},
        {"logits.weight", PARAMETER_WEIGHT, 8, 80, 8},
        {"sum.weight", PARAMETER_WEIGHT, 88, 20, 20},
        {"sum.bias", PARAMETER_BIAS, 108, 1, 20},
    };
    struct net *net = must_parse(tiny_text);
    cr_assert_eq(net->parameter_count, 9);
    cr_expect_eq(net->trainable, 109);
    cr_expect_eq(net->total, 113);
    for (int i = 0; i < 9; i++) {
        const struct parameter *parameter = &net->parameters[i];
        cr_expect_str_eq(parameter->name, list[i].name);
        cr_expect_eq(parameter->role, list[i].role);
        cr_expect_eq(parameter->offset, list[i].offset, "%s lies at %zu", parameter->name,
                     parameter->offset);
        cr_expect_eq(parameter->count, list[i].count);
        cr_expect_eq(parameter->fan_in, list[i].fan_in);
        cr_expect_eq(parameter->rate, 1);
    }
    const struct node *bn = find(net, "bn");
    cr_expect_eq(bn->parameter_first, 2);
    cr_expect_eq(bn->parameter_count, 4);
    cr_expect_str_eq(net->nodes[net->parameters[2].node].name, "bn");
    cr_expect_eq(net->parameters[0].rank, 4);
    cr_expect_eq(net->parameters[6].rank, 2);
    cr_expect_eq(net->parameters[6].dims[0], 10);
    cr_expect_eq(net->parameters[6].dims[1], 8);
    net_destroy(&net);
}

Test(net, rate_reaches_the_parameters) {
    struct net *net = must_parse(every_kind);
    const struct node *logits = find(net, "logits");
    for (int k = 0; k < logits->parameter_count; k++)
        cr_expect_eq(net->parameters[logits->parameter_first + k].rate, 2);
    cr_expect_eq(net->parameters[find(net, "conv")->parameter_first].rate, 1);
    net_destroy(&net);
}

Test(net, multiply_adds_are_counted) {
    struct net *net = must_parse(every_kind);
    cr_expect_eq(node_multiply_adds(net, find(net, "conv")), 3 * 13 * 13 * 25);
    cr_expect_eq(node_multiply_adds(net, find(net, "logits")), 10 * 553);
    cr_expect_eq(node_multiply_adds(net, find(net, "mean")), 4 * 9 * 25);
    cr_expect_eq(node_multiply_adds(net, find(net, "added")), 2 * 507);
    cr_expect_eq(node_multiply_adds(net, find(net, "pairs")), 120);
    cr_expect_eq(node_multiply_adds(net, find(net, "pool")), 0);
    cr_expect_eq(node_multiply_adds(net, find(net, "image")), 0);
    net_destroy(&net);
}

Test(net, a_right_count_is_accepted) {
    char text[2048];
    snprintf(text, sizeof text, "parameters = 109\n%s", tiny_text);
    struct net *net = must_parse(text);
    cr_expect_eq(net->trainable, 109);
    net_destroy(&net);
}

/* As editors save it elsewhere: a byte order mark, CRLF, no end of the last line. */
Test(net, text_of_other_editors) {
    char text[4096] = "\xef\xbb\xbf";
    size_t size = 3;
    for (const char *from = tiny_text; *from; from++) {
        cr_assert_lt(size + 2, sizeof text);
        if (*from == '\n')
            text[size++] = '\r';
        text[size++] = *from;
    }
    text[size] = 0;
    struct net *net = must_parse(text);
    cr_expect_eq(net->trainable, 109);
    net_destroy(&net);
}

Test(net, words_of_the_kinds) {
    cr_expect_str_eq(node_kind_name(NODE_CONV), "conv");
    cr_expect_str_eq(node_kind_name(NODE_FLATTEN), "flatten");
    cr_expect_str_eq(node_kind_name(NODE_IMAGE), "image");
    cr_expect_str_eq(node_kind_name(NODE_DIGIT), "digit");
}
