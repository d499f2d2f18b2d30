/* Where each parameter lies in the engine: matrices are stored [height][width][in][out], so that
 * activations in [height][width][channels] order multiply them without a permutation per step. */
#include "cpu/engine_private.h"

/* The shape that a dense weight's input columns stand for: the map that was flattened. */
static struct shape dense_source(const struct engine *engine, const struct cpu_node *self) {
    const struct cpu_node *input = node_input(engine, self, 0);
    while (input->node->kind == NODE_FLATTEN && input->alias)
        input = node_input(engine, input, 0);
    return input->node->shape;
}

void layout_plan(struct engine *engine) {
    for (int i = 0; i < engine->net->parameter_count; i++) {
        const struct parameter *parameter = &engine->net->parameters[i];
        struct parameter_layout *layout = &engine->layouts[i];
        *layout = (struct parameter_layout){.identity = true};
        if (parameter->role != PARAMETER_WEIGHT)
            continue;
        const struct cpu_node *node = &engine->nodes[parameter->node];
        int64_t out = parameter->dims[0], in, height, width;
        if (parameter->rank == 4) {
            in = parameter->dims[1];
            height = parameter->dims[2];
            width = parameter->dims[3];
        } else {
            struct shape source = dense_source(engine, node);
            in = source.channels;
            height = source.height;
            width = source.width;
        }
        *layout = (struct parameter_layout){
            .dims = {out, in, height, width},
            .strides = {1, out, width * in * out, in * out},
        };
    }
}

/* Copies one parameter between exchange order (`flat`) and engine order (`own`). */
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

/* `count` is net->trainable or net->total: parameters beyond it are left alone. */
static void convert(const struct engine *engine, float *own, float *flat, size_t count,
                    bool import) {
#pragma omp parallel for schedule(dynamic) num_threads(engine->threads)
    for (int i = 0; i < engine->net->parameter_count; i++) {
        const struct parameter *parameter = &engine->net->parameters[i];
        if (parameter->offset + parameter->count > count)
            continue;
        float *there = flat + parameter->offset, *here = own + parameter->offset;
        if (!engine->layouts[i].identity)
            permute(&engine->layouts[i], here, there, import);
        else if (import)
            memcpy(here, there, parameter->count * sizeof(float));
        else
            memcpy(there, here, parameter->count * sizeof(float));
    }
}

void layout_import(const struct engine *engine, float *to, const float *from, size_t count) {
    convert(engine, to, (float *)from, count, true); /* only read */
}

void layout_export(const struct engine *engine, float *to, const float *from, size_t count) {
    convert(engine, (float *)from, to, count, false); /* `from` is only read */
}
