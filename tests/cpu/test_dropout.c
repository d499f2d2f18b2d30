/* Dropout through the engine's door. With all weights zero every logit is 0 whatever is dropped, so
 * the gradient of a logit is known, and the bias in front of the dropout shows which of them came
 * through and how they were scaled. */
#include "common/philox.h"
#include "tests/cpu/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 6

static const char *const text = "name = mask\n"
                                "scores dense image units=10\n"
                                "logits dropout scores rate=0.25\n"
                                "addend onehot digit\n"
                                "sum dense addend units=19\n"
                                "output digit = logits\noutput sum = sum\n";

static const struct parameter *find(const struct net *net, const char *name) {
    for (int i = 0; i < net->parameter_count; i++)
        if (strcmp(net->parameters[i].name, name) == 0)
            return &net->parameters[i];
    cr_assert(false, "no parameter %s", name);
    return NULL;
}

/* Gradient of the scores' bias at `step`, all weights being zero. */
static void bias_gradient(struct rig *rig, uint64_t step, float gradient[10]) {
    struct engine_state zero = {.weights = calloc(rig->net->total, sizeof(float))};
    cr_assert_eq(cpu_engine.import(rig->engine, &zero, &rig->error), 0);
    free(zero.weights);
    rig_step(rig, step, 0.0f);
    struct engine_state after = rig_export(rig);
    memcpy(gradient, after.moment1 + find(rig->net, "scores.bias")->offset, 10 * sizeof(float));
    rig_state_free(&after);
}

Test(cpu_dropout, follows_philox_and_scales_what_it_keeps) {
    struct rig rig = rig_open(text, rig_config(BATCH));
    const struct parameter *bias = find(rig.net, "scores.bias");
    for (uint64_t step = 3; step < 6; step++) {
        float gradient[10];
        bias_gradient(&rig, step, gradient);
        int dropped = 0;
        for (uint32_t c = 0; c < 10; c++) {
            double wanted = 0;
            for (uint32_t n = 0; n < BATCH; n++) {
                uint32_t words[4], element = n * 10 + c;
                philox_draw(rig.config.seed, PHILOX_DROPOUT, element / 4, (uint32_t)bias->node + 1,
                            (uint32_t)step, words);
                bool kept = philox_float(words[element % 4]) >= 0.25f;
                dropped += !kept;
                if (kept)
                    wanted += (0.1 - (rig.labels[n] == c)) / BATCH / 0.75;
            }
            cr_assert_float_eq(gradient[c], wanted, 1e-6, "step %d, class %u: wanted %g, got %g",
                               (int)step, c, wanted, (double)gradient[c]);
        }
        cr_assert(dropped > 3 && dropped < 30, "%d of 60 dropped", dropped);
    }
    rig_close(&rig);
}

Test(cpu_dropout, depends_on_the_step_and_on_nothing_else) {
    struct rig rig = rig_open(text, rig_config(BATCH));
    float first[10], again[10], next[10];
    bias_gradient(&rig, 8, first);
    bias_gradient(&rig, 9, next);
    bias_gradient(&rig, 8, again);
    cr_assert_eq(memcmp(first, again, sizeof first), 0);
    cr_assert_neq(memcmp(first, next, sizeof first), 0);
    rig_close(&rig);
}

Test(cpu_dropout, is_off_in_predict) {
    struct rig rig = rig_open(rig_dropout, rig_config(BATCH));
    float one[60], two[60], sums[19 * BATCH];
    struct engine_state state = rig_export(&rig);
    cr_assert_eq(
        cpu_engine.predict(rig.engine, rig.images, rig.digits, BATCH, one, sums, &rig.error), 0);
    rig_step(&rig, 4, 0.0f);
    cr_assert_eq(
        cpu_engine.predict(rig.engine, rig.images, rig.digits, BATCH, two, sums, &rig.error), 0);
    cr_assert_eq(memcmp(one, two, sizeof one), 0);
    rig_state_free(&state);
    rig_close(&rig);
}
