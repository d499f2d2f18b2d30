/* Conformance of the door itself (model/engine.h): equal bits in two runs and after a resume, what
 * import fills in, the order of results, fewer samples than a batch. Equality is of bits, so there
 * are no tolerances here. And that what is under test is really there. */
#include "model/checkpoint.h"
#include "model/engine_plugin.h"
#include "tests/conformance/rows.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* All that has state or draws numbers. */
static const char nodes[] =
    CONV("c1", "image", "channels=9 kernel=5") NODE("p1", "maxpool", "c1", "size=2")
        NODE("b1", "batchnorm", "p1", "") RELU("r1", "b1") NODE("k", "dropout", "r1", "rate=0.2")
            CONV("c2", "k", "channels=20 kernel=3 stride=2 padding=1") RELU("r2", "c2")
                DENSE("d", "r2", 10) NODE("g", "softmax", "d", "") NODE("o", "onehot", "digit", "")
                    JOIN2("q", "outer", "g", "o") DENSE("s", "q", 19);

static const struct optimizer optimizers[] = {
    {.kind = OPTIMIZER_NESTEROV,
     .momentum = 0.9f,
     .weight_decay = 1e-3f,
     .ema = 0.9f,
     .label_smoothing = 0.1f,
     .digit_weight = 1,
     .sum_weight = 1},
    {.kind = OPTIMIZER_ADAMW,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .epsilon = 1e-8f,
     .weight_decay = 1e-2f,
     .ema = 0.99f,
     .digit_weight = 1,
     .sum_weight = 1},
    {.kind = OPTIMIZER_ADADELTA,
     .rho = 0.9f,
     .epsilon = 1e-6f,
     .weight_decay = 1e-3f,
     .ema = 0.9f,
     .digit_weight = 1,
     .sum_weight = 1},
    {.kind = OPTIMIZER_RMSPROP, .rho = 0.99f, .epsilon = 1e-8f, .digit_weight = 1, .sum_weight = 1},
};

/* An engine without a reference beside it. */
struct run {
    const struct engine_ops *ops;
    struct engine *engine;
    const struct net *net; /* borrowed */
    struct engine_config config;
    struct engine_state state;
    struct step_result last;
};

static void run_open(struct run *run, const struct net *net, const struct engine_config *config,
                     const struct engine_state *start) {
    struct error error = {0};
    *run = (struct run){.ops = trial_engine(config), .net = net, .config = *config};
    must(run->ops->create(net, config, &run->engine, &error), error);
    must(state_alloc(&run->state, net, &config->optimizer, &error), error);
    if (start) {
        must(run->ops->import(run->engine, start, &error), error);
        return;
    }
    random_parameters(net, 3, run->state.weights);
    struct engine_state weights = {.weights = run->state.weights};
    must(run->ops->import(run->engine, &weights, &error), error);
}

static void run_steps(struct run *run, uint64_t first, uint64_t end) {
    struct error error = {0};
    for (uint64_t step = first; step < end; step++) {
        struct random_batch data = random_batch_create(4, step, (uint32_t)run->config.batch);
        struct step_settings settings = {.step = step, .rate = 0.01f / (float)(step + 1)};
        must(run->ops->train_step(run->engine, &data.batch, &settings, &error), error);
        random_batch_destroy(&data); /* the batch may be released on return */
    }
    struct step_result results[16];
    int taken = run->ops->collect(run->engine, results, 16, true, &error);
    cr_assert_eq(taken, (int)(end - first));
    run->last = results[taken - 1];
    must(run->ops->export(run->engine, &run->state, &error), error);
}

static void run_close(struct run *run) {
    state_free(&run->state);
    run->ops->destroy(&run->engine);
    cr_expect_null(run->engine);
    run->ops->destroy(&run->engine); /* twice is safe */
}

static void expect_equal_states(const struct engine_state *a, const struct engine_state *b,
                                const struct net *net, const char *what) {
    size_t all = net->total * sizeof(float), some = net->trainable * sizeof(float);
    cr_expect_eq(a->updates, b->updates, "%s: updates", what);
    cr_expect_eq(memcmp(a->weights, b->weights, all), 0, "%s: the weights differ", what);
    cr_expect_eq(memcmp(a->moment1, b->moment1, some), 0, "%s: the first moments differ", what);
    if (a->ema)
        cr_expect_eq(memcmp(a->ema, b->ema, all), 0, "%s: the averages differ", what);
    if (a->moment2)
        cr_expect_eq(memcmp(a->moment2, b->moment2, some), 0, "%s: the second moments differ",
                     what);
}

/* Ten steps at once, ten steps again, and five, out, into a fresh engine, and five. */
static void check_bits(const struct net *net, const struct engine_config *config) {
    struct run whole, again, half, rest;
    run_open(&whole, net, config, NULL);
    run_steps(&whole, 0, 10);
    run_open(&again, net, config, NULL);
    run_steps(&again, 0, 10);
    expect_equal_states(&whole.state, &again.state, net, "the same run twice");
    cr_expect_eq(memcmp(&whole.last.loss, &again.last.loss, sizeof(float)), 0);
    run_close(&again);

    run_open(&half, net, config, NULL);
    run_steps(&half, 0, 5);
    run_open(&rest, net, config, &half.state);
    struct error error = {0};
    must(rest.ops->export(rest.engine, &rest.state, &error), error);
    expect_equal_states(&half.state, &rest.state, net, "out and in");
    cr_expect(memcmp(whole.state.weights, rest.state.weights, net->total * sizeof(float)) != 0,
              "five steps leave what ten leave: nothing is trained");
    run_steps(&rest, 5, 10);
    expect_equal_states(&whole.state, &rest.state, net, "resumed after five steps");
    cr_expect_eq(memcmp(&whole.last.loss, &rest.last.loss, sizeof(float)), 0);

    /* Into an engine that has done other things before. */
    must(half.ops->import(half.engine, &half.state, &error), error);
    run_steps(&half, 5, 10);
    expect_equal_states(&whole.state, &half.state, net, "gone on with");
    run_close(&half);
    run_close(&rest);
    run_close(&whole);
}

static void check_bits_of(enum precision precision, const struct optimizer *optimizer) {
    for (int threads = 1; threads <= 2; threads++) {
        struct engine_config config = trial_config(precision, 16);
        config.optimizer = *optimizer;
        config.threads = threads;
        trial_engine(&config);
        struct net *net = random_net_parse(nodes, "d", "s");
        check_bits(net, &config);
        net_destroy(&net);
    }
}

Test(bits, nesterov_f32) {
    check_bits_of(PRECISION_F32, &optimizers[0]);
}
Test(bits, nesterov_bf16) {
    check_bits_of(PRECISION_BF16, &optimizers[0]);
}
Test(bits, adamw_f32) {
    check_bits_of(PRECISION_F32, &optimizers[1]);
}
Test(bits, adamw_bf16) {
    check_bits_of(PRECISION_BF16, &optimizers[1]);
}

static void check_quick(enum precision precision) {
    struct engine_config config = trial_config(precision, 128);
    struct error error = {0};
    config.optimizer = optimizers[1];
    trial_engine(&config);
    struct net *net = net_load("quick", &error);
    cr_assert(net, "%s", error.text);
    check_bits(net, &config);
    net_destroy(&net);
}
Test(bits, quick_f32) {
    check_quick(PRECISION_F32);
}
Test(bits, quick_bf16) {
    check_quick(PRECISION_BF16);
}

/* --- the rest of the contract ------------------------------------------------------------------
 */

/* All tests here skip where there is no CUDA device. That may not hide an engine that cannot be
 * opened or was built for other headers; and the emulated device is always there. */
Test(door, the_engine_under_test_can_be_opened) {
    const char *name = getenv("DIGITSUM_ENGINE"), *path = getenv("DIGITSUM_CUDA");
    struct engine_config config = trial_config(PRECISION_F32, 16);
    struct error error = {0};
    char reason[256];
    if (!name || strcmp(name, "cuda") != 0 || !path || !*path) {
        trial_engine(&config); /* linked in */
        return;
    }
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    cr_assert(object, "%s", dlerror());
    const struct engine_plugin *plugin = dlsym(object, "digitsum_engine");
    cr_assert(plugin, "%s has no digitsum_engine", path);
    cr_expect_eq(plugin->door, ENGINE_DOOR);
    if (dlsym(object, "emulator_calls"))
        cr_expect(engine_choose("cuda", &config, NULL, reason, sizeof reason, &error), "%s",
                  error.text);
    dlclose(object);
}

Test(door, import_fills_in_zeros_and_a_copy) {
    struct engine_config config = trial_config(PRECISION_F32, 4);
    struct error error = {0};
    struct run run;
    config.optimizer = optimizers[1];
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    run_open(&run, net, &config, NULL);
    run_steps(&run, 0, 3); /* so that there is something to forget */
    float *weights = malloc(sizeof(float) * net->total);
    cr_assert_not_null(weights);
    random_parameters(net, 8, weights);
    struct engine_state start = {.updates = 7, .weights = weights};
    must(run.ops->import(run.engine, &start, &error), error);
    must(run.ops->export(run.engine, &run.state, &error), error);
    cr_expect_eq(run.state.updates, 7);
    cr_expect_eq(memcmp(run.state.weights, weights, sizeof(float) * net->total), 0);
    cr_expect_eq(memcmp(run.state.ema, weights, sizeof(float) * net->total), 0);
    for (size_t i = 0; i < net->trainable; i++)
        cr_assert(run.state.moment1[i] == 0 && run.state.moment2[i] == 0);
    free(weights);
    run_close(&run);
    net_destroy(&net);
}

Test(door, export_skips_what_is_not_asked_for) {
    struct engine_config config = trial_config(PRECISION_F32, 4);
    struct error error = {0};
    struct run run;
    config.optimizer = optimizers[1];
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    run_open(&run, net, &config, NULL);
    run_steps(&run, 0, 2);
    float *ema = calloc(net->total, sizeof(float));
    cr_assert_not_null(ema);
    struct engine_state part = {.ema = ema};
    must(run.ops->export(run.engine, &part, &error), error);
    cr_expect_eq(part.updates, 2);
    cr_expect_eq(memcmp(ema, run.state.ema, sizeof(float) * net->total), 0);
    free(ema);
    run_close(&run);
    net_destroy(&net);
}

Test(door, results_come_in_order_and_in_parts) {
    struct engine_config config = trial_config(PRECISION_F32, 4);
    struct error error = {0};
    struct run run;
    struct step_result results[8];
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    run_open(&run, net, &config, NULL);
    cr_expect_eq(run.ops->collect(run.engine, results, 8, true, &error), 0);
    for (uint64_t step = 40; step < 45; step++) {
        struct random_batch data = random_batch_create(4, step, 4);
        struct step_settings settings = {.step = step, .rate = 0.01f};
        must(run.ops->train_step(run.engine, &data.batch, &settings, &error), error);
        random_batch_destroy(&data);
    }
    cr_expect_eq(run.ops->collect(run.engine, results, 2, true, &error), 2);
    cr_expect_eq(results[0].step, 40);
    cr_expect_eq(results[1].step, 41);
    cr_expect_eq(results[1].count, 4);
    cr_expect_eq(run.ops->collect(run.engine, results, 8, true, &error), 3);
    cr_expect_eq(results[2].step, 44);
    cr_expect_eq(run.ops->collect(run.engine, results, 8, false, &error), 0);
    run_close(&run);
    net_destroy(&net);
}

/* Any number of samples up to the batch gives each the logits that it has alone: what lies behind
 * them in the engine's memory must not count. `training` is off, as in an evaluator. */
static void check_predict_counts(enum precision precision) {
    enum { BATCH = 16 };
    struct engine_config config = trial_config(precision, BATCH);
    struct error error = {0};
    struct run run;
    config.training = false;
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    struct random_batch data = random_batch_create(4, 0, BATCH);
    run_open(&run, net, &config, NULL);
    float whole[BATCH * 29], part[BATCH * 29];
    const uint8_t *images = data.batch.images, *digits = data.batch.digits;
    must(run.ops->predict(run.engine, images, digits, BATCH, whole, whole + BATCH * 10, &error),
         error);
    for (uint32_t count = 1; count < BATCH; count += 3) {
        must(run.ops->predict(run.engine, images + IMAGE_PIXELS, digits + 1, count, part,
                              part + BATCH * 10, &error),
             error);
        for (uint32_t i = 0; i < count * 10; i++)
            cr_assert_float_eq(part[i], whole[10 + i], 1e-5, "%u samples, digit logit %u", count,
                               i);
        for (uint32_t i = 0; i < count * 19; i++)
            cr_assert_float_eq(part[BATCH * 10 + i], whole[BATCH * 10 + 19 + i], 1e-5,
                               "%u samples, sum logit %u", count, i);
    }
    random_batch_destroy(&data);
    run_close(&run);
    net_destroy(&net);
}

Test(door, predict_takes_any_count_f32) {
    check_predict_counts(PRECISION_F32);
}
Test(door, predict_takes_any_count_bf16) {
    check_predict_counts(PRECISION_BF16);
}

/* Looking at the test set in the middle of training must not change the training. */
Test(door, predict_leaves_training_alone) {
    struct engine_config config = trial_config(PRECISION_F32, 16);
    struct error error = {0};
    struct run plain, looked;
    float logits[16 * 29];
    config.optimizer = optimizers[0];
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    struct random_batch data = random_batch_create(4, 77, 16);
    run_open(&plain, net, &config, NULL);
    run_steps(&plain, 0, 6);
    run_open(&looked, net, &config, NULL);
    run_steps(&looked, 0, 3);
    must(looked.ops->predict(looked.engine, data.batch.images, data.batch.digits, 5, logits,
                             logits + 160, &error),
         error);
    run_steps(&looked, 3, 6);
    expect_equal_states(&plain.state, &looked.state, net, "with a predict in the middle");
    random_batch_destroy(&data);
    run_close(&plain);
    run_close(&looked);
    net_destroy(&net);
}
