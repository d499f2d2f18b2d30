/* See links.h. */
#include "model/links.h"

bool node_keeps_type(enum node_kind kind) {
    switch (kind) {
    case NODE_BATCHNORM:
    case NODE_RELU:
    case NODE_TANH:
    case NODE_SIGMOID:
    case NODE_GELU:
    case NODE_DROPOUT:
    case NODE_FLATTEN:
        return true;
    default:
        return false;
    }
}

bool conv_is_dense(const struct net *net, const struct node *node) {
    struct shape in = net->nodes[node->inputs[0]].shape;
    return node->conv.kernel == in.height && node->conv.kernel == in.width &&
           node->conv.padding == 0;
}

int net_parameter(const struct net *net, int index, enum parameter_role role) {
    const struct node *node = &net->nodes[index];
    for (int i = 0; i < node->parameter_count; i++)
        if (net->parameters[node->parameter_first + i].role == role)
            return node->parameter_first + i;
    return -1;
}

/* Whether flattening may just rename the memory: nothing to reorder, or only dense users, which
 * permute their weights instead. */
static bool flatten_is_free(const struct net *net, const struct node_links *links, int index) {
    struct shape shape = net->nodes[net->nodes[index].inputs[0]].shape;
    if (shape.channels == 1 || shape.height * shape.width == 1)
        return true;
    for (int i = index + 1; i < net->node_count; i++)
        for (int j = 0; j < net->nodes[i].input_count; j++)
            if (net->nodes[i].inputs[j] == index && net->nodes[i].kind != NODE_DENSE)
                return false;
    return !links[index].is_output;
}

/* The index of the only user of a node, or -1. */
static int only_user(const struct net *net, const struct node_links *links, int index) {
    if (links[index].users != 1 || links[index].is_output)
        return -1;
    for (int i = index + 1; i < net->node_count; i++)
        for (int j = 0; j < net->nodes[i].input_count; j++)
            if (net->nodes[i].inputs[j] == index)
                return i;
    return -1;
}

static void count_users(const struct net *net, struct node_links *links) {
    for (int i = 0; i < net->node_count; i++)
        links[i] = (struct node_links){.is_output = i == net->digit_output || i == net->sum_output};
    for (int i = 0; i < net->parameter_count; i++)
        links[net->parameters[i].node].learns = true;
    for (int i = 0; i < net->node_count; i++)
        for (int j = 0; j < net->nodes[i].input_count; j++) {
            links[net->nodes[i].inputs[j]].users++;
            links[i].learns = links[i].learns || links[net->nodes[i].inputs[j]].learns;
        }
}

/* Folds each relu into the node before it, and its mask into the pool behind it. */
static void fold_relus(const struct net *net, struct node_links *links) {
    for (int i = 0; i < net->node_count; i++) {
        if (net->nodes[i].kind == NODE_FLATTEN)
            links[i].alias = flatten_is_free(net, links, i);
        if (net->nodes[i].kind != NODE_RELU)
            continue;
        int input = net->nodes[i].inputs[0];
        enum node_kind kind = net->nodes[input].kind;
        if (only_user(net, links, input) == i &&
            (kind == NODE_CONV || kind == NODE_DENSE || kind == NODE_BATCHNORM))
            links[input].relu = links[i].alias = true;
        links[i].relu_masks = links[i].alias && kind != NODE_BATCHNORM;
        int user = only_user(net, links, i);
        if (links[i].alias && user >= 0 && net->nodes[user].kind == NODE_MAXPOOL &&
            net->nodes[user].pool.size == net->nodes[user].pool.stride) {
            links[user].input_is_masked = true;
            links[i].relu_masks = false;
        }
    }
}

/* The node that owns this one's memory. */
static int owner(const struct net *net, const struct node_links *links, int index) {
    while (links[index].alias)
        index = net->nodes[index].inputs[0];
    return index;
}

/* Walks backward as a step will, and notes who sets and who adds. */
static void link_gradients(const struct net *net, struct node_links *links) {
    links[owner(net, links, net->digit_output)].written = true;
    links[owner(net, links, net->sum_output)].written = true;
    for (int i = net->node_count - 1; i >= 0; i--) {
        if (links[i].alias || !links[i].written || !links[i].learns)
            continue;
        for (int j = 0; j < net->nodes[i].input_count; j++) {
            int input = owner(net, links, net->nodes[i].inputs[j]);
            links[i].accumulates[j] = links[input].written;
            links[input].written = true;
        }
    }
}

void net_link(const struct net *net, struct node_links *links) {
    count_users(net, links);
    fold_relus(net, links);
    link_gradients(net, links);
}
