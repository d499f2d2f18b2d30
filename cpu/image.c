/* The two inputs of a network: the image, normalised; the digit, which onehot reads itself. */
#include "cpu/engine_private.h"

#define IMAGE_MEAN 0.1307
#define IMAGE_DEVIATION 0.3081

/* Values of the 256 levels: one table instead of a division per pixel. */
struct image_state {
    float level[256];
    uint16_t level16[256];
};

static int image_plan(struct engine *engine, struct cpu_node *self, struct error *error) {
    struct image_state *state =
        engine_alloc(engine, sizeof *state, "the image's level table", error);
    if (!state)
        return -1;
    for (int i = 0; i < 256; i++) {
        state->level[i] = (float)((i / 255.0 - IMAGE_MEAN) / IMAGE_DEVIATION);
        state->level16[i] = float_to_bf16(state->level[i]);
    }
    self->state = state;
    return 0;
}

/* Samples beyond the ones that are real are left as they were: nobody reads what comes of them. */
static int image_forward(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)error;
    const struct image_state *state = self->state;
#pragma omp parallel for schedule(static) num_threads(engine->threads)
    for (uint32_t sample = 0; sample < engine->count; sample++) {
        const uint8_t *pixels = engine->images + (size_t)sample * IMAGE_PIXELS;
        size_t first = (size_t)sample * IMAGE_PIXELS;
        if (self->y.type == PRECISION_BF16) {
            uint16_t *y = (uint16_t *)self->y.data + first;
            for (int i = 0; i < IMAGE_PIXELS; i++)
                y[i] = state->level16[pixels[i]];
        } else {
            float *y = (float *)self->y.data + first;
            for (int i = 0; i < IMAGE_PIXELS; i++)
                y[i] = state->level[pixels[i]];
        }
    }
    return 0;
}

static int nothing(struct engine *engine, struct cpu_node *self, struct error *error) {
    (void)engine, (void)self, (void)error;
    return 0;
}

const struct node_functions image_functions = {image_plan, image_forward, nothing};
const struct node_functions digit_functions = {nothing, nothing, nothing};
