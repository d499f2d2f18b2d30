/* How fast whole training steps are: one engine, one network, random data, no pipeline.
 *
 *     build/bench/train_step --net plain7 --precision bf16 --batch 128 --threads 2 --steps 50
 *
 * Prints images per second: the median step, and the spread (fastest and slowest tenth). */
#include "common/options.h"
#include "model/engine.h"
#include "model/init.h"
#include "model/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct settings {
    const char *net, *precision, *device, *optimizer;
    int64_t batch, threads, steps, warmup;
    double ema;
    bool predict, stream, tune;
};

#define FIELD(name) offsetof(struct settings, name)
// clang-format off
static const struct option_row rows[] = {
    {"net", 'n', OPTION_TEXT, FIELD(net), 0, 0, NULL, "quick", "NAME", "network file or name", 0},
    {"precision", 'p', OPTION_CHOICE, FIELD(precision), 0, 0, "f32|tf32|bf16", "f32", "TYPE", "of activations and products", 0},
    {"device", 'd', OPTION_CHOICE, FIELD(device), 0, 0, "auto|cpu|cuda", "cpu", "NAME", "engine", 0},
    {"optimizer", 'o', OPTION_CHOICE, FIELD(optimizer), 0, 0, "sgd|nesterov|adamw", "nesterov", "NAME", "update rule", 0},
    {"batch", 'b', OPTION_INT, FIELD(batch), 1, BATCH_MAX, NULL, "128", "N", "images in a step", 0},
    {"threads", 't', OPTION_INT, FIELD(threads), 0, 4096, NULL, "0", "N", "0: as many as there are", 0},
    {"steps", 's', OPTION_INT, FIELD(steps), 1, 1000000, NULL, "50", "N", "steps that are timed", 0},
    {"warmup", 'w', OPTION_INT, FIELD(warmup), 0, 1000000, NULL, "5", "N", "steps before", 0},
    {"ema", 'e', OPTION_REAL, FIELD(ema), 0, 1, NULL, "0.999", "X", "decay of the moving average; 0: none", 0},
    {"predict", 0, OPTION_FLAG, FIELD(predict), 0, 0, NULL, NULL, NULL, "time predict instead", 0},
    {"tune", 0, OPTION_FLAG, FIELD(tune), 0, 0, NULL, NULL, NULL, "measure a GPU's convolutions once and keep the choice", 0},
    {"stream", 0, OPTION_FLAG, FIELD(stream), 0, 0, NULL, NULL, NULL, "start steps without waiting for each, as the trainer does", 0},
};
// clang-format on
static const struct options_program program = {
    .name = "train_step",
    .summary = "Times whole training steps of one engine on random data.",
    .example = "train_step --net plain7 --precision bf16 --batch 128",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};

struct bench {
    struct settings settings;
    struct options *options;
    struct net *net;
    const struct engine_ops *ops;
    struct engine *engine;
    struct engine_state state;
    uint8_t *images, *labels, *digits, *sums;
    float *digit_logits, *sum_logits;
    double *seconds;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum optimizer_kind optimizer_of(const char *name) {
    if (strcmp(name, "sgd") == 0)
        return OPTIMIZER_SGD;
    return strcmp(name, "nesterov") == 0 ? OPTIMIZER_NESTEROV : OPTIMIZER_ADAMW;
}

static int open_bench(struct bench *bench, struct error *error) {
    const struct settings *settings = &bench->settings;
    struct engine_config config = {
        .precision = strcmp(settings->precision, "bf16") == 0 ? PRECISION_BF16 : PRECISION_F32,
        .tf32 = strcmp(settings->precision, "tf32") == 0,
        .batch = (int)settings->batch,
        .threads = (int)settings->threads,
        .tune = settings->tune,
        .training = !settings->predict,
        .seed = 1,
        .optimizer = {.kind = optimizer_of(settings->optimizer),
                      .momentum = 0.9f,
                      .beta1 = 0.9f,
                      .beta2 = 0.999f,
                      .epsilon = 1e-8f,
                      .ema = (float)settings->ema,
                      .digit_weight = 1,
                      .sum_weight = 1},
    };
    char reason[ENGINE_REASON];
    size_t batch = (size_t)settings->batch;
    if (!(bench->net = net_load(settings->net, error)) ||
        !(bench->ops =
              engine_choose(settings->device, &config, NULL, reason, sizeof reason, error)) ||
        bench->ops->create(bench->net, &config, &bench->engine, error))
        return -1;
    fprintf(stderr, "%s\n", reason);
    bench->state.weights = calloc(bench->net->total, sizeof(float));
    bench->images = malloc(batch * IMAGE_PIXELS);
    bench->labels = malloc(batch);
    bench->digits = malloc(batch);
    bench->sums = malloc(batch);
    bench->digit_logits = malloc(batch * 10 * sizeof(float));
    bench->sum_logits = malloc(batch * 19 * sizeof(float));
    bench->seconds = calloc((size_t)settings->steps, sizeof(double));
    if (!bench->state.weights || !bench->images || !bench->labels || !bench->digits ||
        !bench->sums || !bench->digit_logits || !bench->sum_logits || !bench->seconds)
        return error_set(error, ERROR_MEMORY, "train_step: no memory for a batch of %zu", batch);
    init_parameters(bench->net, 1, bench->state.weights);
    srand(1);
    for (size_t i = 0; i < batch * IMAGE_PIXELS; i++)
        bench->images[i] = rand() % 5 ? 0 : (uint8_t)(rand() >> 3);
    for (size_t i = 0; i < batch; i++) {
        bench->labels[i] = (uint8_t)(rand() % 10);
        bench->digits[i] = (uint8_t)(rand() % 10);
        bench->sums[i] = bench->labels[i] + bench->digits[i];
    }
    return bench->ops->import(bench->engine, &bench->state, error);
}

static int one_step(struct bench *bench, uint64_t step, struct error *error) {
    uint32_t count = (uint32_t)bench->settings.batch;
    if (bench->settings.predict)
        return bench->ops->predict(bench->engine, bench->images, bench->digits, count,
                                   bench->digit_logits, bench->sum_logits, error);
    struct batch batch = {.step = step,
                          .count = count,
                          .images = bench->images,
                          .labels = bench->labels,
                          .digits = bench->digits,
                          .sums = bench->sums};
    struct step_settings settings = {.step = step, .rate = 0.01f};
    struct step_result result;
    if (bench->ops->train_step(bench->engine, &batch, &settings, error) ||
        bench->ops->collect(bench->engine, &result, 1, !bench->settings.stream, error) < 0)
        return -1;
    return 0;
}

/* Waits for what was started. */
static int finish(struct bench *bench, struct error *error) {
    struct step_result results[256];
    return bench->ops->collect(bench->engine, results, 256, true, error) < 0 ? -1 : 0;
}

/* All steps as one stretch of time: a device works on some while the host starts others. */
static int run_stream(struct bench *bench, struct error *error) {
    const struct settings *settings = &bench->settings;
    double start = 0;
    for (int64_t i = 0; i < settings->warmup + settings->steps; i++) {
        if (i == settings->warmup) {
            if (finish(bench, error))
                return -1;
            start = now();
        }
        if (one_step(bench, (uint64_t)i, error))
            return -1;
    }
    if (finish(bench, error))
        return -1;
    double seconds = (now() - start) / (double)settings->steps;
    printf("%s %s train batch %d: %.0f images/s (%d steps of %.4f ms, streamed)\n", settings->net,
           settings->precision, (int)settings->batch, (double)settings->batch / seconds,
           (int)settings->steps, 1e3 * seconds);
    return 0;
}

static int run_bench(struct bench *bench, struct error *error) {
    const struct settings *settings = &bench->settings;
    if (settings->stream && !settings->predict)
        return run_stream(bench, error);
    for (int64_t i = 0; i < settings->warmup + settings->steps; i++) {
        double start = now();
        if (one_step(bench, (uint64_t)i, error))
            return -1;
        if (i >= settings->warmup)
            bench->seconds[i - settings->warmup] = now() - start;
    }
    size_t steps = (size_t)settings->steps;
    qsort(bench->seconds, steps, sizeof *bench->seconds, ascending);
    double batch = (double)settings->batch, median = bench->seconds[steps / 2];
    printf("%s %s %s batch %d: %.0f images/s (median of %zu steps of %.3f ms; "
           "slowest and fastest tenth: %.0f, %.0f)\n",
           settings->net, settings->precision, settings->predict ? "predict" : "train",
           (int)settings->batch, batch / median, steps, 1e3 * median,
           batch / bench->seconds[steps * 9 / 10], batch / bench->seconds[steps / 10]);
    return 0;
}

static void close_bench(struct bench *bench) {
    if (bench->ops)
        bench->ops->destroy(&bench->engine);
    net_destroy(&bench->net);
    free(bench->state.weights);
    free(bench->images);
    free(bench->labels);
    free(bench->digits);
    free(bench->sums);
    free(bench->digit_logits);
    free(bench->sum_logits);
    free(bench->seconds);
    options_destroy(&bench->options);
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    struct error error = {0};
    bench.options = options_parse(&program, argc, argv, &bench.settings, &error);
    if (!bench.options || open_bench(&bench, &error) || run_bench(&bench, &error))
        fprintf(stderr, "train_step: %s\n", error.text);
    close_bench(&bench);
    return error_exit_status(error.code);
}
