/* See masked.h. */
#include "cuda/masked.h"

void masked_plan(struct engine *engine, struct cuda_node *self) {
    self->dy_is_masked = true;
    for (int i = self->index + 1; self->links.relu && i < engine->net->node_count; i++)
        if (engine->nodes[i].node->kind == NODE_RELU &&
            engine->nodes[i].node->inputs[0] == self->index)
            self->dy_is_masked = !engine->nodes[i].links.relu_masks;
}

int masked_backward(struct engine *engine, struct cuda_node *self, size_t rows, int channels,
                    struct error *error) {
    float *bias = node_parameter(engine, self, PARAMETER_BIAS, engine->gradients);
    struct values mask = self->dy_is_masked ? (struct values){NULL, self->y.type} : self->y;
    if (bias)
        return node_check(engine, self,
                          kernel_sum_rows(bias, self->dy, mask, rows, channels, engine->partials,
                                          engine->compute),
                          "kernel_sum_rows", error);
    if (self->dy_is_masked)
        return 0;
    return node_check(engine, self,
                      kernel_relu_back(self->dy, self->dy, self->y, rows * (size_t)channels, false,
                                       engine->compute),
                      "kernel_relu_back", error);
}
