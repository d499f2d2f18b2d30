/* How the nodes of a network hang together while an engine runs it: which share memory, which do
 * another's work on the way, whose gradients flow, and who adds to a gradient that is there
 * already. The same for every engine. */
#ifndef MODEL_LINKS_H
#define MODEL_LINKS_H

#include "model/graph.h"

struct node_links {
    int users;
    bool is_output;
    bool alias;           /* the output is the input's own memory: nothing to compute forward */
    bool relu;            /* conv, dense, batchnorm: does the relu that is its only user as well */
    bool relu_masks;      /* relu: its gradient must be masked by it or by the node before it; else
                             the pool behind it or the batchnorm before it does so */
    bool input_is_masked; /* maxpool: the input is such a relu, so mask while scattering */
    bool learns;          /* has parameters, or an ancestor has */
    bool written;         /* some user or the loss sets the gradient of the output */
    bool accumulates[NET_INPUTS]; /* an earlier writer has set this input's gradient: add to it */
};

/* Fills links[net->node_count]. */
void net_link(const struct net *net, struct node_links *links);

/* Whether the output has the element type of the input: what leaves each value in its place. */
bool node_keeps_type(enum node_kind kind);

/* Whether a conv's kernel covers its whole input without padding, which makes it a dense node. */
bool conv_is_dense(const struct net *net, const struct node *node);

/* Offset of node `index`'s parameter with this role, as an index into net->parameters, or -1. */
int net_parameter(const struct net *net, int index, enum parameter_role role);

#endif
