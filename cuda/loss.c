/* Losses of both outputs, their gradients, and hits, in one kernel: kernels.h, kernel_loss. */
#include "cuda/engine_private.h"

static struct kernel_head head_of(const struct cuda_node *node, const uint8_t *labels, float weight,
                                  bool regression) {
    return (struct kernel_head){.logits = node->y,
                                .gradient = node->dy,
                                .labels = labels,
                                .classes = shape_values(node->node->shape),
                                .regression = regression,
                                .weight = weight};
}

int loss_record(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    const struct optimizer *optimizer = &engine->config.optimizer;
    struct kernel_head digit = head_of(&engine->nodes[net->digit_output], engine->places.labels,
                                       optimizer->digit_weight, false);
    struct kernel_head sum = head_of(&engine->nodes[net->sum_output], engine->places.sums,
                                     optimizer->sum_weight, net->regression);
    return cuda_check(kernel_loss(&digit, &sum, engine->batch, optimizer->label_smoothing,
                                  engine->places.arguments, engine->loss_scratch,
                                  engine->places.result, engine->compute),
                      "kernel_loss", "the losses", error);
}
