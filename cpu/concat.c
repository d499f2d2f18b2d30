/* Joins its inputs: maps of one size along the channels, anything else flattened, in channel, row,
 * column order. */
#include "cpu/engine_private.h"

/* Copies input `i` of a sample to or from its place in the joined values. Place of channel c and
 * pixel p: a map interleaves channels, a vector takes whole channels. */
static void piece(const struct cpu_node *self, struct shape in, int before, float *joined,
                  float *own, bool out_of) {
    int pixels = in.height * in.width;
    bool map = self->node->shape.height * self->node->shape.width > 1;
    int pixel_step = map ? self->node->shape.channels : 1, channel_step = map ? 1 : pixels;
    for (int p = 0; p < pixels; p++)
        for (int c = 0; c < in.channels; c++) {
            float *there = joined + before + p * pixel_step + c * channel_step;
            float *here = own + p * in.channels + c;
            if (out_of)
                *here = *there;
            else
                *there = *here;
        }
}

/* Values of the inputs before `i`: where its piece begins. */
static int begins(const struct engine *engine, const struct cpu_node *self, int i) {
    bool map = self->node->shape.height * self->node->shape.width > 1;
    int before = 0;
    for (int j = 0; j < i; j++) {
        struct shape in = node_input(engine, self, j)->node->shape;
        before += map ? in.channels : shape_values(in);
    }
    return before;
}

static int concat_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t values = (size_t)shape_values(self->node->shape);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *joined = thread_scratch(engine, thread), *own = joined + values;
            for (int i = 0; i < self->node->input_count; i++) {
                const struct cpu_node *input = node_input(engine, self, i);
                size_t count = (size_t)shape_values(input->node->shape);
                values_load(own, input->y, (size_t)sample * count, count);
                piece(self, input->node->shape, begins(engine, self, i), joined, own, false);
            }
            values_store(self->y, (size_t)sample * values, joined, values);
        }
    return 0;
}

static int concat_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    size_t values = (size_t)shape_values(self->node->shape);
    for (int i = 0; i < self->node->input_count; i++) {
        struct values dx = gradient_begin(engine, self, i);
        struct shape in = node_input(engine, self, i)->node->shape;
        size_t count = (size_t)shape_values(in);
        int before = begins(engine, self, i);
        if (!dx.data)
            continue;
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
        for (int thread = 0; thread < engine->threads; thread++)
            for (int sample = thread; sample < engine->batch; sample += engine->threads) {
                float *joined = thread_scratch(engine, thread), *own = joined + values;
                values_load(joined, self->dy, (size_t)sample * values, values);
                piece(self, in, before, joined, own, true);
                values_store(dx, (size_t)sample * count, own, count);
            }
        gradient_end(engine, self, i);
    }
    return 0;
}

const struct node_functions concat_functions = {NULL, concat_forward, concat_backward};
