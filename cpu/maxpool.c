/* Maximum over square windows. Forward remembers the place of the first maximum in each window;
 * backward scatters to it. The 2×2 window with stride 2 has its own loops: no zeroing pass, and the
 * mask of a relu in front of the pool is applied on the way. */
#include "cpu/engine_private.h"

struct maxpool_state {
    bool pairs;       /* 2×2, stride 2, input and output of one type */
    uint8_t *quarter; /* pairs: [batch][height][width][channels], 0-3 */
    uint16_t *place;  /* otherwise: row * size + column within the window */
};

static int maxpool_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct maxpool_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    if (!state)
        return -1;
    self->state = state;
    size_t count = (size_t)engine->batch * (size_t)shape_values(self->node->shape);
    const struct cpu_node *input = node_input(engine, self, 0);
    state->pairs =
        self->node->pool.size == 2 && self->node->pool.stride == 2 && input->y.type == self->y.type;
    if (state->pairs)
        state->quarter = engine_alloc(engine, count, self->node->name, error);
    else
        state->place = engine_alloc(engine, 2 * count, self->node->name, error);
    return state->quarter || state->place ? 0 : -1;
}

/* NaN wins, as in PyTorch. */
static bool beats(float value, float best) {
    return value > best || value != value;
}

/* Any window and any mix of types, one sample. */
static void sample_max(const struct engine *engine, const struct cpu_node *self, int sample) {
    const struct maxpool_state *state = self->state;
    const struct cpu_node *input = node_input(engine, self, 0);
    struct shape in = input->node->shape, out = self->node->shape;
    int size = self->node->pool.size, stride = self->node->pool.stride;
    size_t from = (size_t)sample * (size_t)shape_values(in);
    size_t to = (size_t)sample * (size_t)shape_values(out);
    for (int i = 0; i < out.height; i++)
        for (int j = 0; j < out.width; j++)
            for (int c = 0; c < out.channels; c++, to++) {
                float best = 0;
                int place = -1;
                for (int k = 0; k < size * size; k++) {
                    int y = i * stride + k / size, x = j * stride + k % size;
                    float value = value_get(input->y.data,
                                            from + (size_t)((y * in.width + x) * in.channels + c),
                                            input->y.type);
                    if (place < 0 || beats(value, best)) {
                        place = k;
                        best = value;
                    }
                }
                value_set(self->y.data, to, self->y.type, best);
                state->place[to] = (uint16_t)place;
            }
}

static int maxpool_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    const struct maxpool_state *state = self->state;
    struct values x = node_input(engine, self, 0)->y;
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    size_t row = (size_t)(in.width * in.channels);
    if (!state->pairs) {
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
        for (int sample = 0; sample < engine->batch; sample++)
            sample_max(engine, self, sample);
        return 0;
    }
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int line = 0; line < engine->batch * out.height; line++) {
        size_t to = (size_t)line * (size_t)(out.width * out.channels);
        size_t from =
            ((size_t)(line / out.height) * (size_t)in.height + (size_t)(line % out.height * 2)) *
            row;
        engine->loops->pairs_max(values_at(self->y, to), state->quarter + to, values_at(x, from),
                                 out.width, row, (size_t)out.channels, x.type);
    }
    return 0;
}

static void pairs_scatter(struct engine *engine, const struct cpu_node *self, struct values dx) {
    const struct maxpool_state *state = self->state;
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    size_t row = (size_t)(in.width * in.channels), bytes = precision_size(dx.type);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int line = 0; line < engine->batch * out.height; line++) {
        size_t from = (size_t)line * (size_t)(out.width * out.channels);
        int i = line % out.height;
        size_t to = ((size_t)(line / out.height) * (size_t)in.height + (size_t)(2 * i)) * row;
        engine->loops->pairs_scatter(values_at(dx, to), values_at(self->dy, from),
                                     values_at(self->y, from), state->quarter + from, out.width,
                                     row, (size_t)out.channels, self->links.input_is_masked,
                                     dx.type);
        if (in.width % 2)
            for (int k = 1; k <= 2; k++)
                memset(values_at(dx, to + (size_t)k * row - (size_t)in.channels), 0,
                       (size_t)in.channels * bytes);
        if (in.height % 2 && i == out.height - 1)
            memset(values_at(dx, to + 2 * row), 0, row * bytes);
    }
}

/* Windows may overlap, so a sample's gradients are summed in f32 first. */
static void sample_scatter(struct engine *engine, const struct cpu_node *self, struct values dx,
                           int sample, float *sums) {
    const struct maxpool_state *state = self->state;
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    int size = self->node->pool.size, stride = self->node->pool.stride;
    size_t at = (size_t)sample * (size_t)shape_values(out);
    memset(sums, 0, sizeof *sums * (size_t)shape_values(in));
    for (int i = 0; i < out.height; i++)
        for (int j = 0; j < out.width; j++)
            for (int c = 0; c < out.channels; c++, at++) {
                int y = i * stride + state->place[at] / size;
                int x = j * stride + state->place[at] % size;
                if (!self->links.input_is_masked ||
                    value_get(self->y.data, at, self->y.type) > 0.0f)
                    sums[(y * in.width + x) * in.channels + c] +=
                        value_get(self->dy.data, at, self->dy.type);
            }
    values_store(dx, (size_t)sample * (size_t)shape_values(in), sums, (size_t)shape_values(in));
}

static int maxpool_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    const struct maxpool_state *state = self->state;
    struct values dx = gradient_begin(engine, self, 0);
    if (!dx.data)
        return 0;
    if (state->pairs) {
        pairs_scatter(engine, self, dx);
    } else {
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
        for (int thread = 0; thread < engine->threads; thread++)
            for (int sample = thread; sample < engine->batch; sample += engine->threads)
                sample_scatter(engine, self, dx, sample, thread_scratch(engine, thread));
    }
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions maxpool_functions = {maxpool_plan, maxpool_forward, maxpool_backward};
