/* See reference.h. This file walks the graph; nodes.h has the nodes. */
#include "tests/reference/reference.h"

#include "tests/reference/nodes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static size_t node_values(const struct reference *r, int node) {
    return (size_t)r->config.batch * (size_t)shape_values(r->net->nodes[node].shape);
}

struct reference *reference_create(const struct net *net, const struct engine_config *config) {
    struct reference *r = zeroed(1, sizeof *r);
    r->net = net;
    r->config = *config;
    r->weights = zeroed(net->total, sizeof(double));
    r->ema = zeroed(net->total, sizeof(double));
    r->moment1 = zeroed(net->trainable, sizeof(double));
    r->moment2 = zeroed(net->trainable, sizeof(double));
    r->gradients = zeroed(net->trainable, sizeof(double));
    r->values = zeroed((size_t)net->node_count, sizeof(double *));
    r->dvalues = zeroed((size_t)net->node_count, sizeof(double *));
    for (int i = 0; i < net->node_count; i++) {
        r->values[i] = zeroed(node_values(r, i), sizeof(double));
        r->dvalues[i] = zeroed(node_values(r, i), sizeof(double));
    }
    return r;
}

void reference_destroy(struct reference **reference) {
    struct reference *r = *reference;
    if (!r)
        return;
    for (int i = 0; i < r->net->node_count; i++) {
        free(r->values[i]);
        free(r->dvalues[i]);
    }
    free(r->values);
    free(r->dvalues);
    free(r->gradients);
    free(r->moment2);
    free(r->moment1);
    free(r->ema);
    free(r->weights);
    free(r);
    *reference = NULL;
}

static void widen(double *to, const float *from, const float *otherwise, size_t count) {
    from = from ? from : otherwise;
    for (size_t i = 0; i < count; i++)
        to[i] = from ? (double)from[i] : 0;
}

void reference_import(struct reference *r, const struct engine_state *state) {
    r->updates = state->updates;
    widen(r->weights, state->weights, NULL, r->net->total);
    widen(r->ema, state->ema, state->weights, r->net->total);
    widen(r->moment1, state->moment1, NULL, r->net->trainable);
    widen(r->moment2, state->moment2, NULL, r->net->trainable);
}

/* --- passes ------------------------------------------------------------------------------------
 */

/* What all nodes of one pass share. */
struct walk {
    const uint8_t *images, *digits;
    int count;
    bool training;
    uint64_t step;
};

static struct pass pass_of(struct reference *r, const struct walk *walk, int index) {
    const struct node *node = &r->net->nodes[index];
    struct pass pass = {.node = node,
                        .index = index,
                        .batch = walk->count,
                        .training = walk->training,
                        .seed = r->config.seed,
                        .step = walk->step,
                        .images = walk->images,
                        .digits = walk->digits,
                        .y = r->values[index],
                        .dy = r->dvalues[index]};
    for (int i = 0; i < node->input_count; i++) {
        pass.in[i] = r->net->nodes[node->inputs[i]].shape;
        pass.x[i] = r->values[node->inputs[i]];
        pass.dx[i] = r->dvalues[node->inputs[i]];
    }
    for (int i = 0; i < node->parameter_count; i++) {
        const struct parameter *parameter = &r->net->parameters[node->parameter_first + i];
        pass.p[parameter->role] = r->weights + parameter->offset;
        if (parameter->offset < r->net->trainable)
            pass.dp[parameter->role] = r->gradients + parameter->offset;
    }
    return pass;
}

static void forward(struct reference *r, const struct walk *walk) {
    assert(walk->count <= r->config.batch);
    for (int i = 0; i < r->net->node_count; i++) {
        struct pass pass = pass_of(r, walk, i);
        reference_node(pass.node->kind)->forward(&pass);
    }
}

/* From the gradients of the outputs, which are there, to all others. */
static void backward(struct reference *r, const struct walk *walk) {
    memset(r->gradients, 0, sizeof(double) * r->net->trainable);
    for (int i = r->net->node_count - 1; i >= 0; i--) {
        struct pass pass = pass_of(r, walk, i);
        if (reference_node(pass.node->kind)->backward)
            reference_node(pass.node->kind)->backward(&pass);
    }
}

static struct walk training_walk(const struct batch *batch, uint64_t step) {
    return (struct walk){batch->images, batch->digits, (int)batch->count, true, step};
}

struct reference_result reference_loss(struct reference *r, const struct batch *batch,
                                       uint64_t step) {
    struct walk walk = training_walk(batch, step);
    int digit = r->net->digit_output, sum = r->net->sum_output;
    forward(r, &walk);
    for (int i = 0; i < r->net->node_count; i++)
        memset(r->dvalues[i], 0, sizeof(double) * node_values(r, i));
    return reference_losses(&r->config.optimizer, r->net->regression, batch, r->values[digit],
                            r->values[sum], r->dvalues[digit], r->dvalues[sum]);
}

struct reference_result reference_gradients(struct reference *r, const struct batch *batch,
                                            uint64_t step) {
    struct walk walk = training_walk(batch, step);
    struct reference_result result = reference_loss(r, batch, step);
    backward(r, &walk);
    return result;
}

struct reference_result reference_step(struct reference *r, const struct batch *batch,
                                       const struct step_settings *settings) {
    struct walk walk = training_walk(batch, settings->step);
    struct reference_result result = reference_gradients(r, batch, settings->step);
    for (int i = 0; i < r->net->node_count; i++) {
        struct pass pass = pass_of(r, &walk, i);
        if (pass.node->kind == NODE_BATCHNORM)
            reference_batchnorm_track(&pass);
    }
    reference_update(r, (double)settings->rate);
    return result;
}

void reference_predict(struct reference *r, const uint8_t *images, const uint8_t *digits,
                       uint32_t count, double *digit_logits, double *sum_logits) {
    struct walk walk = {images, digits, (int)count, false, 0};
    size_t sums = (size_t)shape_values(r->net->nodes[r->net->sum_output].shape);
    forward(r, &walk);
    memcpy(digit_logits, r->values[r->net->digit_output], sizeof(double) * 10 * count);
    memcpy(sum_logits, r->values[r->net->sum_output], sizeof(double) * sums * count);
}
