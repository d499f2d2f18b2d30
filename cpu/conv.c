/* Convolution: chooses how each one is computed, by a rule on its shape alone, so that results do
 * not depend on timings.
 *
 * - The kernel covers the whole input without padding: it is a dense node (dense.c).
 * - Small maps with many channels, bf16: im2col and matrix products (conv_matmul.c). oneDNN's
 * direct kernels tile along a row of the output; a row of 5 or 3 pixels leaves most of a 16-row AMX
 * tile empty, and the weight gradient of a layer with millions of weights has few pixels to share
 * each load. As one product the rows of the whole batch fill the tiles.
 * - 1×1 kernels that step over pixels: the same. oneDNN 2.6 to 3.7, with AVX2 and with AVX512,
 * write past the scratch memory that they asked for when they compute this weight gradient, so that
 * it or anything else may be wrong.
 * - Else oneDNN's direct convolution (conv_direct.c). */
#include "cpu/engine_private.h"

#define MATMUL_WIDTH 6      /* widest output row */
#define MATMUL_CHANNELS 128 /* fewest input channels: im2col copies whole pixels */

static const struct node_functions *formulation(const struct engine *engine,
                                                const struct cpu_node *self) {
    const struct node *node = self->node;
    struct shape in = node_input(engine, self, 0)->node->shape;
    if (conv_is_dense(engine->net, node))
        return &dense_functions;
    if (engine->bf16 && node->shape.width <= MATMUL_WIDTH && in.channels >= MATMUL_CHANNELS)
        return &conv_matmul_functions;
    if (node->conv.kernel == 1 && node->conv.stride > 1)
        return &conv_matmul_functions;
    return &conv_direct_functions;
}

static int conv_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    self->functions = formulation(engine, self);
    return self->functions->plan(engine, self, error);
}

/* plan replaces these functions with those of the formulation. */
const struct node_functions conv_functions = {conv_plan, NULL, NULL};
