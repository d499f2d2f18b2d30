/* A network for people to look at: a table, and a drawing for Graphviz. */
#include "model/net.h"
#include "model/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL 96
enum { COLUMNS = 6 };

/* "6,384,925" */
static void write_count(uint64_t count, char *text, size_t size) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

/* "conv 3x3 stride 2 padding 1": the kind and what is not evident from the shapes. */
static void write_kind(const struct node *node, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "%s", node_kind_name(node->kind));
    char *rest = text + used;
    size_t left = size - used;
    switch (node->kind) {
    case NODE_CONV:
        used = (size_t)snprintf(rest, left, " %dx%d", node->conv.kernel, node->conv.kernel);
        if (node->conv.stride > 1)
            used += (size_t)snprintf(rest + used, left - used, " stride %d", node->conv.stride);
        if (node->conv.padding > 0)
            used += (size_t)snprintf(rest + used, left - used, " padding %d", node->conv.padding);
        if (!node->conv.bias)
            snprintf(rest + used, left - used, " no bias");
        break;
    case NODE_DENSE:
        if (!node->dense.bias)
            snprintf(rest, left, " no bias");
        break;
    case NODE_MAXPOOL:
    case NODE_AVGPOOL:
        used = (size_t)snprintf(rest, left, " %dx%d", node->pool.size, node->pool.size);
        if (node->pool.stride != node->pool.size)
            snprintf(rest + used, left - used, " stride %d", node->pool.stride);
        break;
    case NODE_DROPOUT:
        snprintf(rest, left, " %g%s", (double)node->dropout.rate,
                 node->dropout.spatial ? " spatial" : "");
        break;
    default:
        break;
    }
}

static void write_inputs(const struct net *net, const struct node *node, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int k = 0; k < node->input_count && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", k ? ", " : "",
                                 net->nodes[node->inputs[k]].name);
    if (used >= size)
        strcpy(text + size - 4, "...");
}

/* Trainable floats and running statistics. */
static uint64_t parameters_of(const struct net *net, const struct node *node) {
    uint64_t count = 0;
    for (int p = 0; p < node->parameter_count; p++)
        count += net->parameters[node->parameter_first + p].count;
    return count;
}

static void write_row(const struct net *net, const struct node *node,
                      char row[static COLUMNS][CELL]) {
    snprintf(row[0], CELL, "%s", node->name);
    write_kind(node, row[1], CELL);
    write_inputs(net, node, row[2], CELL);
    shape_text(node->shape, row[3]);
    write_count(parameters_of(net, node), row[4], CELL);
    write_count(node_multiply_adds(net, node), row[5], CELL);
}

static uint64_t whole_cost(const struct net *net) {
    uint64_t cost = 0;
    for (int i = 0; i < net->node_count; i++)
        cost += node_multiply_adds(net, &net->nodes[i]);
    return cost;
}

static void write_totals(const struct net *net, char row[static COLUMNS][CELL]) {
    snprintf(row[0], CELL, "total");
    write_count(net->total, row[4], CELL);
    write_count(whole_cost(net), row[5], CELL);
}

static void print_rows(FILE *file, char rows[][COLUMNS][CELL], int count) {
    int widths[COLUMNS] = {0};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < COLUMNS; k++)
            if ((int)strlen(rows[i][k]) > widths[k])
                widths[k] = (int)strlen(rows[i][k]);
    for (int i = 0; i < count; i++)
        fprintf(file, "  %-*s  %-*s  %-*s  %*s  %*s  %*s\n", widths[0], rows[i][0], widths[1],
                rows[i][1], widths[2], rows[i][2], widths[3], rows[i][3], widths[4], rows[i][4],
                widths[5], rows[i][5]);
}

static void print_summary(FILE *file, const struct net *net) {
    char trainable[32], statistics[32], cost[32];
    write_count(net->trainable, trainable, sizeof trainable);
    write_count(net->total - net->trainable, statistics, sizeof statistics);
    write_count(whole_cost(net), cost, sizeof cost);
    fprintf(file,
            "network %s: %s trainable parameters, %s running statistics, %s multiply-adds per "
            "sample; digit from %s, sum from %s%s\n",
            net->name, trainable, statistics, cost, net->nodes[net->digit_output].name,
            net->nodes[net->sum_output].name, net->regression ? " (regression)" : "");
}

char *net_describe(const struct net *net) {
    static const char *const heading[COLUMNS] = {"node",   "kind",       "input",
                                                 "output", "parameters", "multiply-adds"};
    char *text = NULL;
    size_t size;
    FILE *file = NULL;
    char(*rows)[COLUMNS][CELL] = calloc((size_t)net->node_count + 2, sizeof *rows);
    if (rows)
        file = open_memstream(&text, &size);
    if (!file)
        goto done;
    for (int k = 0; k < COLUMNS; k++)
        snprintf(rows[0][k], CELL, "%s", heading[k]);
    for (int i = 0; i < net->node_count; i++)
        write_row(net, &net->nodes[i], rows[i + 1]);
    write_totals(net, rows[net->node_count + 1]);
    print_summary(file, net);
    print_rows(file, rows, net->node_count + 2);
    if (fclose(file)) {
        free(text);
        text = NULL;
    }
done:
    free(rows);
    return text;
}

static void print_dot_node(FILE *file, const struct net *net, int index) {
    const struct node *node = &net->nodes[index];
    char kind[CELL], shape[SHAPE_TEXT];
    write_kind(node, kind, sizeof kind);
    const char *output = index == net->digit_output ? "digit"
                         : index == net->sum_output ? "sum"
                                                    : NULL;
    fprintf(file, "    \"%s\" [label=\"%s\\n%s\\n%s\"%s];\n", node->name, node->name, kind,
            shape_text(node->shape, shape),
            node->input_count == 0 ? ", shape=ellipse"
            : output               ? ", penwidth=2"
                                   : "");
    for (int k = 0; k < node->input_count; k++)
        fprintf(file, "    \"%s\" -> \"%s\";\n", net->nodes[node->inputs[k]].name, node->name);
    if (output) /* a node may not have a space in its name, so these two are free */
        fprintf(file,
                "    \"output %s\" [label=\"%s\", shape=ellipse];\n"
                "    \"%s\" -> \"output %s\";\n",
                output, output, node->name, output);
}

char *net_dot(const struct net *net) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    fprintf(file, "digraph \"%s\" {\n    node [shape=box];\n", net->name);
    for (int i = 0; i < net->node_count; i++)
        print_dot_node(file, net, i);
    fputs("}\n", file);
    if (fclose(file)) {
        free(text);
        return NULL;
    }
    return text;
}
