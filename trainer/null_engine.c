/* See null_engine.h. */
#include "trainer/null_engine.h"

#include <assert.h>
#include <stdlib.h>

struct engine {
    struct step_result last;
    bool pending;
};

static int probe(const struct engine_config *config, struct engine_traits *traits,
                 struct error *error) {
    (void)config;
    (void)error;
    if (traits)
        *traits = (struct engine_traits){.description = "discards every batch"};
    return 0;
}

static int create(const struct net *net, const struct engine_config *config, struct engine **engine,
                  struct error *error) {
    (void)net;
    (void)config;
    *engine = calloc(1, sizeof **engine);
    return *engine ? 0 : error_set(error, ERROR_MEMORY, "no memory for the null engine");
}

static int import(struct engine *engine, const struct engine_state *state, struct error *error) {
    (void)engine;
    (void)state;
    (void)error;
    return 0;
}

static int train_step(struct engine *engine, const struct batch *batch,
                      const struct step_settings *settings, struct error *error) {
    (void)error;
    assert(!engine->pending);
    engine->last = (struct step_result){.step = settings->step, .count = batch->count};
    engine->pending = true;
    return 0;
}

static int collect(struct engine *engine, struct step_result *results, int most, bool wait,
                   struct error *error) {
    (void)wait;
    (void)error;
    if (!engine->pending || most < 1)
        return 0;
    results[0] = engine->last;
    engine->pending = false;
    return 1;
}

static int predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                   uint32_t count, float *digit_logits, float *sum_logits, struct error *error) {
    (void)engine;
    (void)images;
    (void)digits;
    (void)count;
    (void)digit_logits;
    (void)sum_logits;
    return error_set(error, ERROR_UNSUPPORTED, "the null engine predicts nothing");
}

static int export(struct engine *engine, struct engine_state *state, struct error *error) {
    (void)engine;
    (void)state;
    return error_set(error, ERROR_UNSUPPORTED, "the null engine has no weights");
}

static void destroy(struct engine **engine) {
    free(*engine);
    *engine = NULL;
}

const struct engine_ops null_engine = {.name = "null",
                                       .probe = probe,
                                       .create = create,
                                       .import = import,
                                       .train_step = train_step,
                                       .collect = collect,
                                       .predict = predict,
                                       .export = export,
                                       .destroy = destroy};
