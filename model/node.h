/* What is known of each kind of node: its word, its attributes, its shape rule, its parameters and
 * its cost. Private to model/: net.c drives it, nobody else includes it. Knows nothing of text
 * files beyond the settings of one node, nor of how nodes are joined. */
#ifndef MODEL_NODE_H
#define MODEL_NODE_H

#include "common/error.h"
#include "model/net.h"

#include <libconfig.h>

#define NODE_PARAMETERS 4 /* most parameters of one node: batchnorm's */
#define SHAPE_TEXT 40     /* bytes that shape_text needs */

/* A node while the text is being read. */
struct node_draft {
    struct node node;
    float rate; /* learning-rate multiplier of its parameters */
    const config_setting_t *setting;
    const char *input_names[NET_INPUTS];
    int input_lines[NET_INPUTS];
};

enum attribute_type { ATTRIBUTE_INT, ATTRIBUTE_REAL, ATTRIBUTE_BOOL };

/* One setting of a node: an int, float or bool at `offset` in struct node_draft. */
struct attribute {
    const char *name;
    enum attribute_type type;
    size_t offset;
    double least, most; /* numbers: both included */
    bool required;
    double standard; /* the value where it is left out */
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
    const char *name;                   /* the file's word */
    int inputs_least, inputs_most;      /* most > 1: the file says `inputs`, else `input` */
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

/* "16x24x24", or "10" for a vector. Returns text. */
const char *shape_text(struct shape shape, char text[static SHAPE_TEXT]);

#endif
