/* See fake_engine.h. */
#include "tests/trainer/fake_engine.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct fake fake;

struct engine {
    uint64_t updates;
    int count; /* uncollected */
    struct step_result results[FAKE_STEPS];
};

static int trouble(enum fake_call call, struct error *error) {
    return fake.broken == call ? error_set(error, ERROR_DEVICE, "fake trouble") : 0;
}

static int create(const struct net *net, const struct engine_config *config, struct engine **engine,
                  struct error *error) {
    (void)net, (void)config;
    *engine = NULL;
    if (trouble(FAKE_CREATE, error) != 0)
        return -1;
    *engine = calloc(1, sizeof **engine);
    fake.created++;
    return *engine ? 0 : error_set(error, ERROR_MEMORY, "no memory");
}

static int import(struct engine *engine, const struct engine_state *state, struct error *error) {
    engine->updates = state->updates;
    fake.first_weight = fake.now = state->weights[0];
    return trouble(FAKE_IMPORT, error);
}

static int train_step(struct engine *engine, const struct batch *batch,
                      const struct step_settings *settings, struct error *error) {
    assert(batch->step == settings->step && engine->count < FAKE_STEPS && fake.steps < FAKE_STEPS);
    if (settings->step == fake.broken_step && trouble(FAKE_STEP, error) != 0)
        return -1;
    bool bad = fake.bad_from > 0 && settings->step >= fake.bad_from &&
               (fake.good_from == 0 || settings->step < fake.good_from);
    engine->results[engine->count++] = (struct step_result){.step = settings->step,
                                                            .count = batch->count,
                                                            .loss = bad ? fake.bad_loss : 2,
                                                            .digit_hits = batch->count / 2,
                                                            .sum_hits = batch->count / 4};
    engine->updates++;
    fake.trained[fake.steps] = settings->step;
    fake.rates[fake.steps++] = settings->rate;
    fake.now++;
    return 0;
}

static int collect(struct engine *engine, struct step_result *results, int most, bool wait,
                   struct error *error) {
    int ready = wait ? engine->count : engine->count - fake.lag;
    if (trouble(FAKE_COLLECT, error) != 0)
        return -1;
    ready = ready < 0 ? 0 : ready < most ? ready : most;
    for (int i = 0; i < engine->count; i++)
        if (i < ready)
            results[i] = engine->results[i];
        else
            engine->results[i - ready] = engine->results[i];
    engine->count -= ready;
    return ready;
}

static int export(struct engine *engine, struct engine_state *state, struct error *error) {
    state->updates = engine->updates;
    state->weights[0] = fake.bad_weights ? NAN : fake.now;
    return trouble(FAKE_EXPORT, error);
}

static void destroy(struct engine **engine) {
    fake.destroyed += *engine != NULL;
    free(*engine);
    *engine = NULL;
}

const struct engine_ops fake_engine = {.name = "fake",
                                       .create = create,
                                       .import = import,
                                       .train_step = train_step,
                                       .collect = collect,
                                       .export = export,
                                       .destroy = destroy};
