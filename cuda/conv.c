/* Convolution on cuDNN.
 *
 * - The kernel covers the whole input without padding: it is a dense node (dense.c).
 * - Forward: product, bias and relu in one kernel where cuDNN has one, else our own kernel does the
 *   last two.
 * - Gradient of the input: where the input is a relu that only this node uses, its mask is part of
 *   the same kernel if cuDNN has one.
 * - Gradient of the weights: in the type of the maps, since cuDNN's fast engines give no other,
 *   then widened to f32. */
#include "cuda/conv_plan.h"
#include "cuda/masked.h"
#include "cuda/tune.h"

#include <stdlib.h>

struct conv_state {
    char label[LABEL_SIZE];
    struct conv_problem problems[3];
    struct conv_plan plans[3]; /* by conv_pass */
    bool fused;                /* forward does bias and relu */
    struct values dw;          /* [out][kernel][kernel][in]; the gradient itself in f32 mode */
    size_t weights;
};

/* --- plans ----------------------------------------------------------------------------------- */

static struct conv_problem problem_of(const struct engine *engine, const struct cuda_node *self,
                                      enum conv_pass pass) {
    return (struct conv_problem){.pass = pass,
                                 .batch = engine->batch,
                                 .in = node_input(engine, self, 0)->node->shape,
                                 .out = self->node->shape,
                                 .kernel = self->node->conv.kernel,
                                 .stride = self->node->conv.stride,
                                 .padding = self->node->conv.padding,
                                 .type = engine->maps,
                                 .tf32 = engine->config.tf32};
}

/* Where each pass finds its arrays. */
static struct conv_arrays arrays_of(const struct engine *engine, const struct cuda_node *self,
                                    enum conv_pass pass) {
    const struct conv_state *state = self->state;
    return (struct conv_arrays){.x = node_input(engine, self, 0)->y.data,
                                .w = node_weight(engine, self, engine->maps),
                                .dy = self->dy.data,
                                .bias =
                                    node_parameter(engine, self, PARAMETER_BIAS, engine->weights),
                                .result = pass == CONV_FORWARD ? self->y.data
                                          : pass == CONV_DATA ? gradient_begin(engine, self, 0).data
                                                              : state->dw.data};
}

static int make(struct engine *engine, struct cuda_node *self, const struct conv_problem *wanted,
                struct error *error) {
    struct conv_state *state = self->state;
    struct conv_plan *plan = &state->plans[wanted->pass];
    struct conv_problem problem = *wanted;
    struct conv_arrays arrays = arrays_of(engine, self, wanted->pass);
    if (tune_choice(engine, &problem, &arrays, state->label, &problem.choice, error) ||
        conv_plan_create(plan, &problem, engine->properties, state->label, error))
        return -1;
    state->problems[problem.pass] = problem;
    engine_need_workspace(engine, plan->workspace);
    return 0;
}

static int plan_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct conv_state *state = self->state;
    struct conv_problem problem = problem_of(engine, self, CONV_FORWARD);
    problem.bias = self->node->conv.bias;
    problem.relu = self->links.relu;
    state->fused = true;
    if (make(engine, self, &problem, error) == 0)
        return 0;
    state->fused = false;
    problem.bias = problem.relu = false;
    return make(engine, self, &problem, error);
}

/* The node whose relu this conv may mask while it computes the gradient: the conv or dense node
 * that did it, when nobody else reads what it gave. */
static struct cuda_node *maskable(const struct engine *engine, const struct cuda_node *self) {
    const struct cuda_node *relu = node_input(engine, self, 0);
    if (relu->node->kind != NODE_RELU || !relu->links.alias || !relu->links.relu_masks ||
        relu->links.users != 1 || relu->links.is_output || self->links.accumulates[0])
        return NULL;
    return node_input(engine, relu, 0);
}

static int plan_data(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct conv_problem problem = problem_of(engine, self, CONV_DATA);
    struct cuda_node *masked = maskable(engine, self);
    problem.mask = masked != NULL;
    if (masked && make(engine, self, &problem, error) == 0) {
        masked->dy_is_masked = true;
        return 0;
    }
    problem.mask = false;
    return make(engine, self, &problem, error);
}

static int plan_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct conv_state *state = self->state;
    struct shape out = self->node->shape;
    struct conv_problem problem = problem_of(engine, self, CONV_WEIGHTS);
    masked_plan(engine, self);
    engine_need_partials(engine, (size_t)engine->batch * (size_t)(out.height * out.width),
                         out.channels);
    state->weights = (size_t)out.channels * (size_t)problem.in.channels *
                     (size_t)(problem.kernel * problem.kernel);
    state->dw = (struct values){node_parameter(engine, self, PARAMETER_WEIGHT, engine->gradients),
                                engine->maps};
    if (engine->maps == ELEMENT_BF16 &&
        !(state->dw.data =
              engine_alloc(engine, MEMORY_FIXED, state->weights * element_size(ELEMENT_BF16),
                           state->label, error)))
        return -1;
    if (make(engine, self, &problem, error))
        return -1;
    return node_input(engine, self, 0)->dy.data ? plan_data(engine, self, error) : 0;
}

static int conv_plan(struct engine *engine, struct cuda_node *self, struct error *error) {
    if (conv_is_dense(engine->net, self->node)) {
        self->functions = &dense_functions;
        return self->functions->plan(engine, self, error);
    }
    struct conv_state *state = calloc(1, sizeof *state);
    if (!state)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for %s", self->node->name);
    self->state = state;
    node_label(engine, self, state->label);
    if (plan_forward(engine, self, error))
        return -1;
    return self->dy.data ? plan_backward(engine, self, error) : 0;
}

/* --- passes ---------------------------------------------------------------------------------- */

/* The workspace's place is known only after planning, so arrays are bound at the first run. */
static int run(struct engine *engine, struct cuda_node *self, enum conv_pass pass,
               struct error *error) {
    struct conv_state *state = self->state;
    struct conv_plan *plan = &state->plans[pass];
    struct conv_arrays arrays = arrays_of(engine, self, pass);
    if (!plan->pack && conv_plan_bind(plan, &state->problems[pass], &arrays, engine->workspace,
                                      state->label, error))
        return -1;
    return cudnn_check(cudnnBackendExecute(engine->cudnn, plan->plan, plan->pack),
                       "cudnnBackendExecute", state->label, error);
}

static int conv_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct conv_state *state = self->state;
    struct shape out = self->node->shape;
    const float *bias = node_parameter(engine, self, PARAMETER_BIAS, engine->weights);
    if (run(engine, self, CONV_FORWARD, error))
        return -1;
    if (state->fused || (!bias && !self->links.relu))
        return 0;
    return node_check(engine, self,
                      kernel_bias(self->y, bias,
                                  (size_t)engine->batch * (size_t)(out.height * out.width),
                                  out.channels, self->links.relu, engine->compute),
                      "kernel_bias", error);
}

static int conv_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    struct conv_state *state = self->state;
    struct shape out = self->node->shape;
    struct values gradient = {node_parameter(engine, self, PARAMETER_WEIGHT, engine->gradients),
                              ELEMENT_F32};
    if (masked_backward(engine, self, (size_t)engine->batch * (size_t)(out.height * out.width),
                        out.channels, error) ||
        run(engine, self, CONV_WEIGHTS, error))
        return -1;
    if (state->dw.data != gradient.data &&
        node_check(engine, self,
                   kernel_copy(gradient, state->dw, state->weights, false, engine->compute),
                   "kernel_copy", error))
        return -1;
    struct values dx = gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
    if (run(engine, self, CONV_DATA, error))
        return -1;
    return gradient_end(engine, self, 0, error);
}

static void conv_destroy(struct cuda_node *self) {
    struct conv_state *state = self->state;
    if (!state)
        return;
    for (int i = 0; i < 3; i++)
        conv_plan_destroy(&state->plans[i]);
    free(state);
}

const struct node_functions conv_functions = {
    .plan = conv_plan, .forward = conv_forward, .backward = conv_backward, .destroy = conv_destroy};
