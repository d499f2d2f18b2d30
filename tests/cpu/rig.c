/* What the CPU engine's tests share. */
#include "tests/cpu/rig.h"

#include "model/init.h"
#include "model/net.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

const char *const rig_small = "name = small\n"
                              "conv1 conv image channels=16 kernel=5\n"
                              "pool1 maxpool conv1 size=2\n"
                              "bn1 batchnorm pool1\n"
                              "relu1 relu bn1\n"
                              "conv2 conv relu1 channels=6 kernel=3 padding=1 stride=2\n"
                              "relu2 relu conv2\n"
                              "logits dense relu2 units=10\n"
                              "guess softmax logits\n"
                              "addend onehot digit\n"
                              "pairs outer guess addend\n"
                              "sum dense pairs units=19 rate=5\n"
                              "output digit = logits\noutput sum = sum\n";

const char *const rig_dropout = "name = dropped\n"
                                "conv1 conv image channels=3 kernel=7 stride=3\n"
                                "flat flatten conv1\n"
                                "drop dropout flat rate=0.25\n"
                                "logits dense drop units=10\n"
                                "addend onehot digit\n"
                                "both concat logits addend\n"
                                "sum dense both units=19\n"
                                "output digit = logits\noutput sum = sum\n";

struct engine_config rig_config(int batch) {
    return (struct engine_config){
        .precision = PRECISION_F32,
        .batch = batch,
        .threads = 2,
        .training = true,
        .seed = 11,
        .optimizer = {.kind = OPTIMIZER_NESTEROV,
                      .momentum = 0.9f,
                      .beta1 = 0.9f,
                      .beta2 = 0.99f,
                      .epsilon = 1e-6f,
                      .digit_weight = 1,
                      .sum_weight = 1},
    };
}

struct rig rig_open(const char *text, struct engine_config config) {
    struct rig rig = {.config = config};
    size_t batch = (size_t)config.batch;
    rig.net = net_parse(text, strlen(text), "rig", &rig.error);
    cr_assert(rig.net, "%s", rig.error.text);
    cr_assert_eq(cpu_engine.create(rig.net, &config, &rig.engine, &rig.error), 0, "%s",
                 rig.error.text);
    rig.images = malloc(batch * IMAGE_PIXELS);
    rig.labels = malloc(batch);
    rig.digits = malloc(batch);
    rig.sums = malloc(batch);
    uint32_t random = 12345;
    for (size_t i = 0; i < batch * IMAGE_PIXELS; i++) {
        random = random * 1664525 + 1013904223;
        rig.images[i] = random >> 30 ? 0 : (uint8_t)(random >> 20);
    }
    for (size_t i = 0; i < batch; i++) {
        rig.labels[i] = (uint8_t)(i * 7 % 10);
        rig.digits[i] = (uint8_t)(i * 3 / 2 % 10);
        rig.sums[i] = rig.labels[i] + rig.digits[i];
    }
    struct engine_state state = {.weights = calloc(rig.net->total, sizeof(float))};
    init_parameters(rig.net, 5, state.weights);
    cr_assert_eq(cpu_engine.import(rig.engine, &state, &rig.error), 0, "%s", rig.error.text);
    free(state.weights);
    return rig;
}

void rig_close(struct rig *rig) {
    cpu_engine.destroy(&rig->engine);
    net_destroy(&rig->net);
    free(rig->images);
    free(rig->labels);
    free(rig->digits);
    free(rig->sums);
}

struct step_result rig_step(struct rig *rig, uint64_t step, float rate) {
    struct batch batch = {.step = step,
                          .count = (uint32_t)rig->config.batch,
                          .images = rig->images,
                          .labels = rig->labels,
                          .digits = rig->digits,
                          .sums = rig->sums};
    struct step_settings settings = {.step = step, .rate = rate};
    struct step_result result = {0};
    cr_assert_eq(cpu_engine.train_step(rig->engine, &batch, &settings, &rig->error), 0, "%s",
                 rig->error.text);
    cr_assert_eq(cpu_engine.collect(rig->engine, &result, 1, true, &rig->error), 1);
    return result;
}

struct engine_state rig_export(struct rig *rig) {
    struct engine_state state = {
        .weights = calloc(rig->net->total, sizeof(float)),
        .ema = calloc(rig->net->total, sizeof(float)),
        .moment1 = calloc(rig->net->trainable, sizeof(float)),
        .moment2 = calloc(rig->net->trainable, sizeof(float)),
    };
    cr_assert_eq(cpu_engine.export(rig->engine, &state, &rig->error), 0, "%s", rig->error.text);
    return state;
}

void rig_state_free(struct engine_state *state) {
    free(state->weights);
    free(state->ema);
    free(state->moment1);
    free(state->moment2);
}
