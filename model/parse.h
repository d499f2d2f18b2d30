/* The steps from the text of a network to its graph. Private to model/: net.c takes them in order,
 * read.c holds those that read libconfig's settings into drafts, graph.c those that make a graph of
 * the drafts. All return 0, or -1 with ERROR_INVALID and "origin:line: " before the sentence. */
#ifndef MODEL_PARSE_H
#define MODEL_PARSE_H

#include "common/suggest.h"
#include "model/net.h"
#include "model/node.h"

#include <libconfig.h>

#define PARSE_INPUTS 2 /* drafts[0] and drafts[1]: image and digit */

struct parser {
    const char *origin;
    struct error *error; /* never NULL */
    struct net *net;
    struct node_draft *drafts; /* [NET_NODES]: the two inputs, then the nodes in file order;
                                  net->node_count of them are in use */
    int order[NET_NODES];      /* drafts in the order of the graph */
    int place[NET_NODES];      /* its inverse; -1: not placed yet */
};

/* --- read.c: libconfig's settings → drafts --- */

/* Fills the error with "origin:line: sentence". Returns -1. */
int parse_fail(struct parser *parser, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int parse_line(const config_setting_t *setting);

/* The draft with this name, or -1. */
int parse_find(const struct parser *parser, const char *name);

/* "; did you mean 'pool1'?" for the name of a node that is not there, or "". Returns `hint`. */
const char *parse_hint(const struct parser *parser, const char *name,
                       char hint[static SUGGEST_HINT]);

/* The keys at the top level and the name of the network. */
int parse_top(struct parser *parser, const config_setting_t *root);

/* The two inputs and every node with its attributes, and its inputs by name. */
int parse_nodes(struct parser *parser, const config_setting_t *root);

/* The author's own count of trainable floats, where given, against the graph's. */
int parse_count(struct parser *parser, const config_setting_t *root);

/* --- graph.c: drafts → graph, in this order --- */

/* Input names become indices, and `order` and `place` are set: inputs before users, and otherwise
 * as the file has them. */
int graph_sort(struct parser *parser);

/* net->nodes with shapes. */
int graph_build(struct parser *parser);

/* net->digit_output, sum_output, regression; every node must be needed by one of them. */
int graph_outputs(struct parser *parser, const config_setting_t *root);

/* net->parameters with offsets, trainable, total. */
int graph_parameters(struct parser *parser);

#endif
