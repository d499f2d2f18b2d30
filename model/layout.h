/* Where each parameter lies in an engine's own flat array, and copies between that and the exchange
 * order of net.h. Activations lie [height][width][channels] in every engine, so weights that
 * multiply them do too, and no map is permuted in a step. */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H

#include "model/links.h"

enum weight_order {
    ORDER_HWIO, /* [height][width][in][out] */
    ORDER_OHWI  /* [out][height][width][in] */
};

/* One parameter: exchange dims [0..3], and the engine's stride of each, in floats. */
struct parameter_layout {
    int64_t dims[4], strides[4];
    bool identity; /* the same order */
    size_t offset; /* of its first float in the engine's array */
};

/* Sizes of the engine's flat arrays: trainable parameters first, as in net.h. */
struct layout_sizes {
    size_t trainable, total;
};

/* Fills layouts[net->parameter_count]. Each parameter begins at a multiple of `alignment` floats; 1
 * keeps the offsets of the net. */
struct layout_sizes layout_plan(const struct net *net, const struct node_links *links,
                                enum weight_order order, size_t alignment,
                                struct parameter_layout *layouts);

/* Copies all parameters, or only the trainable ones, between the engine's order (`own`) and the
 * exchange order (`flat`). What lies between parameters in `own` is left alone. */
void layout_import(const struct net *net, const struct parameter_layout *layouts, float *own,
                   const float *flat, bool all, int threads);
void layout_export(const struct net *net, const struct parameter_layout *layouts, const float *own,
                   float *flat, bool all, int threads);

#endif
