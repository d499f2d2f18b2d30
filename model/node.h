/* What is known of each kind of node: its word, its attributes, its shape rule, its parameters and
 * its cost. Knows nothing of text files, nor of how nodes are joined. */
#ifndef MODEL_NODE_H
#define MODEL_NODE_H

#include "common/error.h"
#include "model/graph.h"

#define NODE_PARAMETERS 4 /* max parameters of one node: batchnorm's */
#define SHAPE_TEXT 40     /* bytes that shape_text needs */

enum attribute_type { ATTRIBUTE_INT, ATTRIBUTE_REAL, ATTRIBUTE_BOOL };

/* One attribute of a node: an int, float or bool at `offset` in struct node. */
struct attribute {
    const char *name;
    enum attribute_type type;
    size_t offset;
    double min, max; /* numbers: both included */
    bool required;
    double fallback; /* the value where it is left out */
};

/* A parameter that a node needs, before it has a place. */
struct parameter_need {
    const char *suffix; /* "weight" */
    enum parameter_role role;
    int rank;
    int64_t dims[4];
    int64_t fan_in; /* 0 where it means nothing */
};

struct node_rule {
    const char *name; /* the file's word */
    int inputs_min, inputs_max;
    const struct attribute *attributes; /* ended by a NULL name; NULL: none */

    /* Sets node->shape from the attributes and the shapes of the inputs, in 64-bit arithmetic;
     * settles defaults that depend on others. -1 with a sentence that names the shapes, without
     * file, line or this node's name. NULL for the two inputs of the network. */
    int (*shape)(struct node *node, const struct node *const *inputs, struct error *error);

    /* Fills up to NODE_PARAMETERS needs, trainable ones first, and returns how many. NULL: none. */
    int (*parameters)(const struct node *node, const struct node *input,
                      struct parameter_need *needs);

    /* Of the forward pass, for one sample. NULL: none, since it only moves or compares values. */
    uint64_t (*multiply_adds)(const struct node *node, const struct node *input);
};

/* The row of a kind; every kind has one. */
const struct node_rule *node_rule(enum node_kind kind);

/* The kind that a file's word names, or -1. The words of the two inputs are not among them. */
int node_kind_of(const char *word);

/* The file's word for a kind ("conv"), "image" and "digit" for the inputs. */
const char *node_kind_name(enum node_kind kind);

/* Multiply-adds of one node's forward pass, for one sample. */
uint64_t node_multiply_adds(const struct net *net, const struct node *node);

/* "16x24x24", or "10" for a vector. Returns text. */
const char *shape_text(struct shape shape, char text[static SHAPE_TEXT]);

#endif
