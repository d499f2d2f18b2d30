/* A network as a graph: nodes with their shapes, and the parameters that they need. Data only:
 * model/ net.h makes one of a text, model/node.h knows the kinds.
 *
 * Exchange layout: all parameters of a network lie in one flat float array. Trainable parameters
 * come first, in node order ([0, trainable)), then the running statistics ([trainable, total)).
 * Within it each has PyTorch's shape: conv weights [out][in][kernel][kernel], dense weights
 * [out][in], vectors [n]. Activations flatten in channel-height-width order, as in PyTorch. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_NAME 64              /* bytes of a name, NUL included */
#define NET_INPUTS 8             /* max inputs of one node */
#define NET_NODES 256            /* max nodes of a network, its two inputs included */
#define NET_VALUES_MAX (1 << 22) /* values of one node's output, per sample */
#define NET_PARAMETERS_MAX (1 << 28)

enum node_kind {
    NODE_IMAGE, /* input: 1×28×28, uint8 normalised to (x/255 − 0.1307) / 0.3081 */
    NODE_DIGIT, /* input: the random digit, a scalar 0-9; only onehot takes it */
    NODE_CONV,
    NODE_DENSE,
    NODE_BATCHNORM,
    NODE_RELU,
    NODE_TANH,
    NODE_SIGMOID, /* 1 / (1 + e^-x) */
    NODE_GELU,    /* x · Φ(x), exact: Hendrycks & Gimpel 2016, PyTorch's default */
    NODE_MAXPOOL,
    NODE_AVGPOOL,
    NODE_DROPOUT,
    NODE_ONEHOT,
    NODE_CONCAT,
    NODE_ADD,
    NODE_OUTER,
    NODE_SOFTMAX,
    NODE_FLATTEN,
    NODE_KINDS
};

/* Per sample. A vector of n is {n, 1, 1}. */
struct shape {
    int channels, height, width;
};

static inline int shape_values(struct shape shape) {
    return shape.channels * shape.height * shape.width;
}

/* What a conv does: cross-correlation with square kernel, zero padding. */
struct conv_attributes {
    int channels, kernel, stride, padding;
    bool bias;
};
struct dense_attributes { /* a linear map of the flattened input */
    int units;
    bool bias;
};
struct batchnorm_attributes {
    float momentum; /* weight of the newest batch in the running statistics; default 0.1 */
    float epsilon;  /* default 1e-5 */
};
struct pool_attributes { /* maxpool, avgpool: square window, no padding */
    int size, stride;    /* stride defaults to size */
};
struct dropout_attributes {
    float rate; /* fraction of the values set to zero in training; the others scale by 1/(1-rate) */
    bool spatial; /* whole feature maps are set to zero: Tompson et al. 2015, PyTorch's Dropout2d.
                     Default false; on a vector the same as without */
};
struct onehot_attributes {
    int size; /* 10 */
};

struct node {
    enum node_kind kind;
    char name[NET_NAME];
    int line;   /* in the file, for errors */
    float rate; /* learning-rate multiplier of its parameters; default 1 */
    int input_count;
    int inputs[NET_INPUTS]; /* indices into nodes, each below this node's own index */
    struct shape shape;     /* of the output */
    union {
        struct conv_attributes conv;
        struct dense_attributes dense;
        struct batchnorm_attributes batchnorm;
        struct pool_attributes pool;
        struct dropout_attributes dropout;
        struct onehot_attributes onehot;
    };
    int parameter_first, parameter_count; /* into net->parameters; running statistics included */
};

enum parameter_role {
    PARAMETER_WEIGHT,  /* conv, dense: decays */
    PARAMETER_BIAS,    /* conv, dense: does not decay */
    PARAMETER_GAIN,    /* batchnorm's scale: starts at 1 */
    PARAMETER_SHIFT,   /* batchnorm's offset: starts at 0 */
    PARAMETER_MEAN,    /* batchnorm's running mean: not trainable, starts at 0 */
    PARAMETER_VARIANCE /* batchnorm's running variance (unbiased): not trainable, starts at 1 */
};

struct parameter {
    char name[NET_NAME + 16]; /* "conv1.weight": PyTorch's words (weight, bias, running_mean, …) */
    enum parameter_role role;
    int node;
    int rank;
    int64_t dims[4];
    size_t offset, count; /* in the flat array, in floats */
    int fan_in;           /* weights and biases: inputs that one output sums over */
    float rate;           /* learning-rate multiplier from the node's `rate`; default 1 */
};

struct net {
    char name[NET_NAME];
    char *text; /* the file's text as read: travels in checkpoints */
    int node_count;
    struct node *nodes; /* [0] image, [1] digit, then file order (inputs precede users) */
    int parameter_count;
    struct parameter *parameters; /* in node order, so those of one node lie together; batchnorm's
                                     are weight, bias, running_mean, running_var, of which the last
                                     two have offsets in [trainable, total) */
    size_t trainable, total;      /* floats in the flat array */
    int digit_output;             /* node with 10 values: the digit's logits */
    int sum_output;               /* node with 19 values (logits) or 1 (regression) */
    bool regression;
};

#endif
