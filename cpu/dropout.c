/* Dropout: sets values to zero while training and scales the others by 1/(1-rate).
 *
 * The mask is a pure function: element e of a batch, counted in exchange order (sample, channel,
 * row, column), is kept when word e%4 of philox_draw(seed, PHILOX_DROPOUT, e/4, node index, step),
 * as a float in [0, 1), is at least the rate. A spatial mask is the same with a feature map as the
 * element, counted (sample, channel). */
#include "common/philox.h"
#include "cpu/engine_private.h"

struct dropout_state {
    uint8_t *kept; /* [batch][height][width][channels] */
};

static int dropout_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct dropout_state *state = engine_alloc(engine, sizeof *state, self->node->name, error);
    if (!state)
        return -1;
    self->state = state;
    if (!engine->config.training)
        return 0;
    state->kept =
        engine_alloc(engine, (size_t)engine->batch * (size_t)shape_values(self->node->shape),
                     self->node->name, error);
    return state->kept ? 0 : -1;
}

static void draw_mask(const struct engine *engine, const struct cpu_node *self, int sample) {
    struct dropout_state *state = self->state;
    struct shape shape = self->node->shape;
    size_t channels = (size_t)shape.channels, pixels = (size_t)(shape.height * shape.width);
    size_t drawn = self->node->dropout.spatial ? 1 : pixels, elements = channels * drawn;
    uint8_t *kept = state->kept + (size_t)sample * channels * pixels;
    uint32_t words[4];
    for (size_t i = 0; i < elements; i++) {
        size_t element = (size_t)sample * elements + i;
        if (i == 0 || element % 4 == 0)
            philox_draw(engine->config.seed, PHILOX_DROPOUT, (uint32_t)(element / 4),
                        (uint32_t)self->index, (uint32_t)engine->step, words);
        size_t channel = i / drawn, pixel = i % drawn;
        kept[pixel * channels + channel] =
            philox_float(words[element % 4]) >= self->node->dropout.rate;
    }
    for (size_t pixel = drawn; pixel < pixels; pixel++)
        memcpy(kept + pixel * channels, kept, channels);
}

CLONES static void apply_f32(float *restrict to, const float *restrict from,
                             const uint8_t *restrict kept, float scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = kept[i] ? from[i] * scale : 0.0f;
}
CLONES static void apply_bf16(uint16_t *restrict to, const uint16_t *restrict from,
                              const uint8_t *restrict kept, float scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = kept[i] ? float_to_bf16(bf16_to_float(from[i]) * scale) : 0;
}

static void apply(struct engine *engine, const struct cpu_node *self, struct values to,
                  struct values from, bool draw) {
    struct dropout_state *state = self->state;
    size_t values = (size_t)shape_values(self->node->shape);
    float scale = 1.0f / (1.0f - self->node->dropout.rate);
#pragma omp parallel for schedule(static) num_threads(node_team(engine, self))
    for (int sample = 0; sample < engine->batch; sample++) {
        size_t first = (size_t)sample * values;
        if (draw)
            draw_mask(engine, self, sample);
        if (to.type == PRECISION_BF16)
            apply_bf16(values_at(to, first), values_at(from, first), state->kept + first, scale,
                       values);
        else
            apply_f32(values_at(to, first), values_at(from, first), state->kept + first, scale,
                      values);
    }
}

static int dropout_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct values x = node_input(engine, self, 0)->y;
    if (engine->training)
        apply(engine, self, self->y, x, true);
    else
        memcpy(self->y.data, x.data,
               (size_t)engine->batch * (size_t)shape_values(self->node->shape) *
                   precision_size(x.type));
    return 0;
}

static int dropout_backward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    struct values dx = gradient_begin(engine, self, 0);
    if (dx.data)
        apply(engine, self, dx, self->dy, false);
    gradient_end(engine, self, 0);
    return 0;
}

const struct node_functions dropout_functions = {dropout_plan, dropout_forward, dropout_backward};
