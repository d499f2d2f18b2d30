/* The CUDA engine on the emulated device: what its own door cannot show. Any call may fail, memory
 * may be short, the device may go; steps may start in groups; a run may be cut. That each node
 * computes the right thing is tests/conformance. */
#include "model/checkpoint.h"
#include "model/engine_plugin.h"
#include "model/init.h"
#include "tests/emulator/emulator.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 4

static const char text[] = "name = small\n"
                           "conv conv image channels=8 kernel=5 stride=3\n"
                           "relu0 relu conv\n"
                           "conv2 conv relu0 channels=8 kernel=3\n"
                           "bn batchnorm conv2\n"
                           "relu relu bn\n"
                           "pool maxpool relu size=2\n"
                           "drop dropout pool rate=0.1\n"
                           "logits dense drop units=10\n"
                           "addend onehot digit\n"
                           "both concat logits addend\n"
                           "sum dense both units=19\n"
                           "output digit = logits\noutput sum = sum\n";

struct rig {
    struct net *net;
    struct engine_config config;
    struct engine_state state;
    struct batch batch;
    uint8_t images[BATCH * IMAGE_PIXELS], labels[BATCH], digits[BATCH], sums[BATCH];
};

static void rig_open(struct rig *rig) {
    struct error error = {0};
    emulator_reset();
    emulator_set_late_null_stream(true); /* what nobody waits for is late */
    *rig = (struct rig){.config = {.batch = BATCH,
                                   .training = true,
                                   .seed = 5,
                                   .optimizer = {.kind = OPTIMIZER_ADAMW,
                                                 .beta1 = 0.9f,
                                                 .beta2 = 0.99f,
                                                 .epsilon = 1e-8f,
                                                 .weight_decay = 0.01f,
                                                 .ema = 0.9f,
                                                 .digit_weight = 1,
                                                 .sum_weight = 1}}};
    rig->net = net_parse(text, strlen(text), "small.net", &error);
    cr_assert(rig->net, "%s", error.text);
    cr_assert_eq(state_alloc(&rig->state, rig->net, &rig->config.optimizer, &error), 0);
    init_parameters(rig->net, 1, rig->state.weights);
}

static void rig_close(struct rig *rig) {
    char alive[200];
    cr_expect_eq(emulator_alive(alive, sizeof alive), 0, "left behind: %s", alive);
    state_free(&rig->state);
    net_destroy(&rig->net);
}

/* Batch `step`: a function of it alone. */
static const struct batch *rig_batch(struct rig *rig, uint64_t step) {
    uint32_t word = (uint32_t)step * 2654435761u + 1;
    for (size_t i = 0; i < sizeof rig->images; i++) {
        word = word * 1664525u + 1013904223u;
        rig->images[i] = (uint8_t)(word >> 24);
    }
    for (int i = 0; i < BATCH; i++) {
        rig->labels[i] = (uint8_t)((step + (uint64_t)i) % 10);
        rig->digits[i] = (uint8_t)((3 * step + (uint64_t)i) % 10);
        rig->sums[i] = (uint8_t)(rig->labels[i] + rig->digits[i]);
    }
    rig->batch = (struct batch){.step = step,
                                .count = BATCH,
                                .images = rig->images,
                                .labels = rig->labels,
                                .digits = rig->digits,
                                .sums = rig->sums};
    return &rig->batch;
}

/* Steps [from, to), collecting as a trainer does; then everything out. -1 with error. */
static int train(struct rig *rig, const struct engine_ops *ops, uint64_t from, uint64_t to,
                 struct error *error) {
    struct engine *engine = NULL;
    struct step_result results[256];
    struct engine_state start = {.weights = rig->state.weights};
    float logits[BATCH * 29];
    uint64_t expected = from;
    int status = -1, taken = 0;
    if (ops->create(rig->net, &rig->config, &engine, error) ||
        ops->import(engine, from ? &rig->state : &start, error))
        goto end;
    for (uint64_t step = from; step <= to; step++) {
        struct step_settings settings = {.step = step, .rate = 0.01f};
        if (step < to && ops->train_step(engine, rig_batch(rig, step), &settings, error))
            goto end;
        if (step % 3 == 2 || step == to)
            taken = ops->collect(engine, results, 256, step == to, error);
        if (taken < 0)
            goto end;
        for (int i = 0; i < taken; i++)
            cr_expect_eq(results[i].step, expected++);
        taken = 0;
    }
    cr_expect_eq(expected, to);
    rig_batch(rig, 99);
    if (ops->predict(engine, rig->images, rig->digits, BATCH, logits, logits + BATCH * 10, error) ||
        ops->export(engine, &rig->state, error))
        goto end;
    status = 0;
end:
    ops->destroy(&engine);
    return status;
}

/* The weights after `steps`, in the caller's array. */
static void weights_after(struct rig *rig, uint64_t steps, float *weights) {
    struct error error = {0};
    rig_open(rig);
    cr_assert_eq(train(rig, digitsum_engine.ops, 0, steps, &error), 0, "%s", error.text);
    memcpy(weights, rig->state.weights, rig->net->total * sizeof(float));
}

Test(engine, any_call_may_fail) {
    struct rig rig;
    struct error error = {0};
    rig_open(&rig);
    uint64_t before = emulator_calls();
    cr_assert_eq(train(&rig, digitsum_engine.ops, 0, 3, &error), 0, "%s", error.text);
    uint64_t calls = emulator_calls() - before, refused = 0;
    for (uint64_t n = 1; n <= calls; n += n < 60 ? 1 : 17) {
        char alive[200];
        error = (struct error){0};
        init_parameters(rig.net, 1, rig.state.weights);
        emulator_fail_after(n);
        if (train(&rig, digitsum_engine.ops, 0, 3, &error)) {
            refused++;
            cr_expect_neq(error.code, ERROR_NONE);
            cr_expect_gt(strlen(error.text), 20, "call %llu: '%s'", (unsigned long long)n,
                         error.text);
        }
        emulator_fail_after(0);
        cr_assert_eq(emulator_alive(alive, sizeof alive), 0, "after call %llu failed (%s): %s",
                     (unsigned long long)n, error.text, alive);
    }
    cr_expect_gt(refused, 50, "only %llu of %llu calls matter", (unsigned long long)refused,
                 (unsigned long long)calls);
    rig_close(&rig);
}

Test(engine, says_what_would_fit) {
    struct rig rig;
    struct error error = {0};
    struct engine *engine = NULL;
    rig_open(&rig);
    rig.config.batch = 512;
    emulator_set_memory((size_t)36 << 20);
    cr_assert_neq(digitsum_engine.ops->create(rig.net, &rig.config, &engine, &error), 0);
    cr_expect_eq(error.code, ERROR_MEMORY, "%s", error.text);
    const char *fits = strstr(error.text, "a batch of ");
    cr_assert(fits, "%s", error.text);
    rig.config.batch = atoi(fits + strlen("a batch of "));
    cr_expect(rig.config.batch > 0 && rig.config.batch < 512, "%s", error.text);
    error = (struct error){0};
    cr_expect_eq(digitsum_engine.ops->create(rig.net, &rig.config, &engine, &error), 0, "%s",
                 error.text);
    digitsum_engine.ops->destroy(&engine);
    rig.config.batch = 512;
    emulator_set_memory((size_t)1 << 16);
    cr_expect_neq(digitsum_engine.ops->create(rig.net, &rig.config, &engine, &error), 0);
    cr_expect(strstr(error.text, "no batch would fit"), "%s", error.text);
    rig_close(&rig);
}

Test(engine, a_lost_device_is_an_error_of_its_own) {
    struct rig rig;
    struct error error = {0};
    rig_open(&rig);
    emulator_lose_after(3);
    cr_assert_neq(train(&rig, digitsum_engine.ops, 0, 30, &error), 0);
    cr_expect_eq(error.code, ERROR_DEVICE, "%s", error.text);
    cr_expect(strstr(error.text, "cudaErrorIllegalAddress"), "%s", error.text);
    rig_close(&rig);
}

Test(engine, names_what_its_bits_depend_on) {
    struct rig rig;
    struct error error = {0};
    struct engine_traits traits;
    rig_open(&rig);
    cr_assert_eq(digitsum_engine.ops->probe(&rig.config, &traits, &error), 0, "%s", error.text);
    cr_expect_eq(traits.threads, 0);
    cr_expect_str_eq(traits.instructions, "compute capability 9.0, 132 multiprocessors");
    cr_expect_eq(strncmp(traits.built_on, "CUDA ", 5), 0, "%s", traits.built_on);
    cr_expect(strstr(traits.built_on, ", cuDNN 9."), "%s", traits.built_on);
    cr_expect(strstr(traits.processor, "emulated device"), "%s", traits.processor);
    rig_close(&rig);
}

Test(engine, without_a_device_or_memory_it_says_so) {
    struct rig rig;
    struct error error = {0};
    rig_open(&rig);
    emulator_set_devices(0);
    cr_assert_neq(digitsum_engine.ops->probe(&rig.config, NULL, &error), 0);
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect(strstr(error.text, "no CUDA device"), "%s", error.text);
    emulator_set_devices(1);
    emulator_set_memory((size_t)100 << 20);
    cr_assert_neq(digitsum_engine.ops->probe(&rig.config, NULL, &error), 0);
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect(strstr(error.text, "100 MiB of memory free"), "%s", error.text);
    rig_close(&rig);
}

/* However steps are grouped, staged and scheduled, and in whatever order threads run. */
Test(engine, grouping_changes_no_bit) {
    static const struct {
        int ahead, group;
        bool reverse;
    } ways[] = {{0, 0, false}, {1, 1, false}, {3, 1, false},
                {8, 3, false}, {2, 5, false}, {0, 0, true}};
    struct rig rig;
    float *first = NULL, *weights = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct error error = {0};
        rig_open(&rig);
        first = first ? first : malloc(rig.net->total * sizeof(float));
        weights = weights ? weights : malloc(rig.net->total * sizeof(float));
        rig.config.ahead = ways[i].ahead;
        rig.config.graph_steps = ways[i].group;
        emulator_set_reverse(ways[i].reverse);
        cr_assert_eq(train(&rig, digitsum_engine.ops, 0, 23, &error), 0, "%s", error.text);
        memcpy(i == 0 ? first : weights, rig.state.weights, rig.net->total * sizeof(float));
        cr_expect(i == 0 || memcmp(first, weights, rig.net->total * sizeof(float)) == 0,
                  "ahead %d, %d steps in a graph%s: other weights", ways[i].ahead, ways[i].group,
                  ways[i].reverse ? ", backwards" : "");
        rig_close(&rig);
    }
    free(first);
    free(weights);
}

Test(engine, a_cut_run_goes_on_bit_for_bit) {
    struct rig rig;
    struct error error = {0};
    rig_open(&rig);
    float *whole = malloc(rig.net->total * sizeof(float));
    rig_close(&rig);
    weights_after(&rig, 14, whole);
    rig_close(&rig);
    rig_open(&rig);
    cr_assert_eq(train(&rig, digitsum_engine.ops, 0, 5, &error), 0, "%s", error.text);
    cr_assert_eq(train(&rig, digitsum_engine.ops, 5, 14, &error), 0, "%s", error.text);
    cr_expect_eq(memcmp(whole, rig.state.weights, rig.net->total * sizeof(float)), 0);
    cr_expect_eq(rig.state.updates, 14);
    rig_close(&rig);
    free(whole);
}

/* The choice is kept: one line for each product, read again by the next engine; a file that cannot
 * be written is an error, since the next run would have other bits. */
Test(engine, tuned_plans_are_kept) {
    struct rig rig;
    struct error error = {0};
    char folder[64], path[SCRATCH_PATH], line[600];
    int lines = 0;
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/plans", folder);
    setenv("DIGITSUM_PLANS", path, 1);
    for (int i = 0; i < 2; i++) {
        rig_open(&rig);
        rig.config.tune = true;
        cr_assert_eq(train(&rig, digitsum_engine.ops, 0, 2, &error), 0, "%s", error.text);
        rig_close(&rig);
    }
    FILE *file = fopen(path, "re");
    cr_assert(file);
    for (; fgets(line, sizeof line, file); lines++)
        cr_expect(strstr(line, "emulated device | cuDNN ") == line && strstr(line, " : 0\n"), "%s",
                  line);
    fclose(file);
    cr_expect_eq(lines, 5, "%d lines for 5 products of two convolutions", lines);
    snprintf(path, sizeof path, "%s/missing/plans", folder);
    setenv("DIGITSUM_PLANS", path, 1);
    rig_open(&rig);
    rig.config.tune = true;
    cr_assert_neq(train(&rig, digitsum_engine.ops, 0, 2, &error), 0);
    cr_expect_eq(error.code, ERROR_IO, "%s", error.text);
    cr_expect(strstr(error.text, "cannot keep tuned plans"), "%s", error.text);
    rig_close(&rig);
    scratch_end(folder);
}

/* The emulated cuDNN's tensor cores round f32 inputs: f32 must refuse them, and tf32 takes them. */
Test(engine, tf32_rounds_and_f32_does_not) {
    struct rig rig;
    struct error error = {0};
    double apart = 0, size = 0;
    rig_open(&rig);
    float *exact = malloc(rig.net->total * sizeof(float));
    rig_close(&rig);
    weights_after(&rig, 3, exact);
    rig_close(&rig);
    rig_open(&rig);
    rig.config.tf32 = true;
    cr_assert_eq(train(&rig, digitsum_engine.ops, 0, 3, &error), 0, "%s", error.text);
    for (size_t i = 0; i < rig.net->trainable; i++) {
        apart += fabs((double)exact[i] - (double)rig.state.weights[i]);
        size += fabs((double)exact[i]);
    }
    cr_expect(apart > 1e-7 * size && apart < 0.1 * size, "%g of %g", apart, size);
    rig_close(&rig);
    free(exact);
}
