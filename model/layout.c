/* See layout.h. */
#include "model/layout.h"

#include <string.h>

/* The shape that a dense weight's input columns stand for: the map that was flattened. */
static struct shape dense_source(const struct net *net, const struct node_links *links, int node) {
    int input = net->nodes[node].inputs[0];
    while (net->nodes[input].kind == NODE_FLATTEN && links[input].alias)
        input = net->nodes[input].inputs[0];
    return net->nodes[input].shape;
}

static void plan_weight(const struct net *net, const struct node_links *links,
                        enum weight_order order, const struct parameter *parameter,
                        struct parameter_layout *layout) {
    int64_t out = parameter->dims[0], in, height, width;
    if (parameter->rank == 4) {
        in = parameter->dims[1];
        height = parameter->dims[2];
        width = parameter->dims[3];
    } else {
        struct shape source = dense_source(net, links, parameter->node);
        in = source.channels;
        height = source.height;
        width = source.width;
    }
    if (order == ORDER_HWIO)
        *layout = (struct parameter_layout){
            .dims = {out, in, height, width},
            .strides = {1, out, width * in * out, in * out},
        };
    else
        *layout = (struct parameter_layout){
            .dims = {out, in, height, width},
            .strides = {height * width * in, 1, width * in, in},
        };
}

struct layout_sizes layout_plan(const struct net *net, const struct node_links *links,
                                enum weight_order order, size_t alignment,
                                struct parameter_layout *layouts) {
    struct layout_sizes sizes = {0};
    size_t at = 0;
    for (int pass = 0; pass < 2; pass++) { /* the trainable ones, then the others */
        for (int i = 0; i < net->parameter_count; i++) {
            const struct parameter *parameter = &net->parameters[i];
            if ((parameter->offset >= net->trainable) != (pass == 1))
                continue;
            layouts[i] = (struct parameter_layout){.identity = true};
            if (parameter->role == PARAMETER_WEIGHT)
                plan_weight(net, links, order, parameter, &layouts[i]);
            layouts[i].offset = alignment == 1 ? parameter->offset : at;
            at += (parameter->count + alignment - 1) / alignment * alignment;
        }
        if (pass == 0)
            sizes.trainable = at;
    }
    sizes.total = at;
    return sizes;
}

/* Copies one parameter; the one of the two that is read is not written. */
static void permute(const struct parameter_layout *layout, float *own, float *flat, bool import) {
    size_t at = 0;
    for (int64_t o = 0; o < layout->dims[0]; o++)
        for (int64_t i = 0; i < layout->dims[1]; i++)
            for (int64_t y = 0; y < layout->dims[2]; y++)
                for (int64_t x = 0; x < layout->dims[3]; x++, at++) {
                    float *place = own + o * layout->strides[0] + i * layout->strides[1] +
                                   y * layout->strides[2] + x * layout->strides[3];
                    if (import)
                        *place = flat[at];
                    else
                        flat[at] = *place;
                }
}

static void convert(const struct net *net, const struct parameter_layout *layouts, float *own,
                    float *flat, bool all, int threads, bool import) {
    (void)threads; /* of no use in a build without OpenMP */
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < net->parameter_count; i++) {
        const struct parameter *parameter = &net->parameters[i];
        if (parameter->offset >= net->trainable && !all)
            continue;
        float *there = flat + parameter->offset, *here = own + layouts[i].offset;
        if (!layouts[i].identity)
            permute(&layouts[i], here, there, import);
        else if (import)
            memcpy(here, there, parameter->count * sizeof(float));
        else
            memcpy(there, here, parameter->count * sizeof(float));
    }
}

void layout_import(const struct net *net, const struct parameter_layout *layouts, float *own,
                   const float *flat, bool all, int threads) {
    convert(net, layouts, own, (float *)flat, all, threads, true); /* only read */
}

void layout_export(const struct net *net, const struct parameter_layout *layouts, const float *own,
                   float *flat, bool all, int threads) {
    convert(net, layouts, (float *)own, flat, all, threads, false); /* `own` is only read */
}
