/* What the CPU engine's tests share. */
#include "tests/cpu/rig.h"

#include "model/init.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

const char *const rig_small =
    "name = \"small\";\n"
    "nodes = (\n"
    "  { name = \"conv1\"; kind = \"conv\"; input = \"image\"; channels = 16; kernel = 5; },\n"
    "  { name = \"pool1\"; kind = \"maxpool\"; input = \"conv1\"; size = 2; },\n"
    "  { name = \"bn1\"; kind = \"batchnorm\"; input = \"pool1\"; },\n"
    "  { name = \"relu1\"; kind = \"relu\"; input = \"bn1\"; },\n"
    "  { name = \"conv2\"; kind = \"conv\"; input = \"relu1\"; channels = 6; kernel = 3;\n"
    "    padding = 1; stride = 2; },\n"
    "  { name = \"relu2\"; kind = \"relu\"; input = \"conv2\"; },\n"
    "  { name = \"logits\"; kind = \"dense\"; input = \"relu2\"; units = 10; },\n"
    "  { name = \"guess\"; kind = \"softmax\"; input = \"logits\"; },\n"
    "  { name = \"addend\"; kind = \"onehot\"; input = \"digit\"; },\n"
    "  { name = \"pairs\"; kind = \"outer\"; inputs = (\"guess\", \"addend\"); },\n"
    "  { name = \"sum\"; kind = \"dense\"; input = \"pairs\"; units = 19; rate = 5.0; }\n"
    ");\n"
    "outputs = { digit = \"logits\"; sum = \"sum\"; };\n";

const char *const rig_dropout =
    "name = \"dropped\";\n"
    "nodes = (\n"
    "  { name = \"conv1\"; kind = \"conv\"; input = \"image\"; channels = 3; kernel = 7;\n"
    "    stride = 3; },\n"
    "  { name = \"flat\"; kind = \"flatten\"; input = \"conv1\"; },\n"
    "  { name = \"drop\"; kind = \"dropout\"; input = \"flat\"; rate = 0.25; },\n"
    "  { name = \"logits\"; kind = \"dense\"; input = \"drop\"; units = 10; },\n"
    "  { name = \"addend\"; kind = \"onehot\"; input = \"digit\"; },\n"
    "  { name = \"both\"; kind = \"concat\"; inputs = (\"logits\", \"addend\"); },\n"
    "  { name = \"sum\"; kind = \"dense\"; input = \"both\"; units = 19; }\n"
    ");\n"
    "outputs = { digit = \"logits\"; sum = \"sum\"; };\n";

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
