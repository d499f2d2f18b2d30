/* See trial.h. */
#include "tests/conformance/trial.h"

#include "model/checkpoint.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMS_MAX 19

/* f32: the largest deviations that the CPU engine shows over all rows are 1.3e-6 for logits, 2e-7
 * for losses and 9e-6 for gradients, where sums cancel; an engine that adds in another order may be
 * some times as far off, and a wrong factor or edge is further off by orders of magnitude.
 *
 * bf16 has 8 significant bits: each stored value is off by up to 0.4 %, 0.1 to 0.2 % on average.
 * Logits then deviate by 0.5 %, and gradients by 2.5 % where sums cancel. Where a net has a relu
 * or a maxpool, values that are nearly equal fall the other way and send their gradient elsewhere:
 * 13 % of the gradient of a conv before a maxpool of the whole map. A twice that is allowed. */
const struct tolerance *trial_tolerance(enum precision precision) {
    static const struct tolerance tolerances[] = {
        [PRECISION_F32] = {1e-5, 2e-6, 5e-5, 5e-5, 1e-5},
        [PRECISION_BF16] = {2e-2, 1e-2, 5e-2, 2.5e-1, 2e-2},
    };
    return &tolerances[precision];
}

double trial_gradient_tolerance(const struct trial *trial) {
    const struct tolerance *tolerance = trial_tolerance(trial->config.precision);
    for (int i = 0; i < trial->net->node_count; i++)
        if (trial->net->nodes[i].kind == NODE_RELU || trial->net->nodes[i].kind == NODE_MAXPOOL)
            return tolerance->gradient_by_choice;
    return tolerance->gradient;
}

struct engine_config trial_config(enum precision precision, int batch) {
    return (struct engine_config){
        .precision = precision,
        .batch = batch,
        .threads = 2,
        .training = true,
        .seed = 11,
        .optimizer = {.kind = OPTIMIZER_SGD, .digit_weight = 1, .sum_weight = 1}};
}

/* Criterion runs tests side by side, and threads that spin while they wait for others then take the
 * processors from those. The program that starts the tests sets this; its children inherit it
 * before OpenMP reads it. */
__attribute__((constructor)) static void wait_without_spinning(void) {
    setenv("OMP_WAIT_POLICY", "passive", 0);
}

const struct engine_ops *trial_engine(const struct engine_config *config) {
    const char *name = getenv("DIGITSUM_ENGINE");
    char reason[256];
    struct error error = {0};
    const struct engine_ops *ops =
        engine_choose(name && *name ? name : "cpu", config, NULL, reason, sizeof reason, &error);
    if (!ops && error.code == ERROR_UNSUPPORTED && name && strcmp(name, "cuda") == 0)
        cr_skip_test("skipped: no CUDA device (%s)", error.text);
    if (!ops && error.code == ERROR_UNSUPPORTED && config->precision == PRECISION_BF16)
        cr_skip_test("skipped: no bf16 on this machine (%s)", error.text);
    cr_assert(ops, "%s", error.text);
    return ops;
}

int trial_open(struct trial *trial, const char *name, struct net **net,
               const struct engine_config *config) {
    struct error error = {0};
    *trial = (struct trial){.name = name, .config = *config, .net = *net};
    *net = NULL;
    trial->ops = trial_engine(config);
    if (trial->ops->create(trial->net, config, &trial->engine, &error)) {
        cr_expect_fail("%s: %s\n%s", name, error.text, trial->net->text);
        net_destroy(&trial->net);
        return -1;
    }
    trial->reference = reference_create(trial->net, config);
    must(state_alloc(&trial->before, trial->net, &config->optimizer, &error), error);
    must(state_alloc(&trial->state, trial->net, &config->optimizer, &error), error);
    random_parameters(trial->net, 3, trial->state.weights);
    struct engine_state start = {.weights = trial->state.weights};
    trial_import(trial, &start);
    return 0;
}

void trial_close(struct trial *trial) {
    if (!(trial->worst <= 1))
        cr_log_warn("the net of '%s':\n%s", trial->name, trial->net->text);
    cr_log_info("%s, %s: at most %.2g of what is allowed (%.2g, %s)", trial->name,
                trial->config.precision == PRECISION_BF16 ? "bf16" : "f32", trial->worst,
                trial->deviation, trial->place);
    state_free(&trial->state);
    state_free(&trial->before);
    reference_destroy(&trial->reference);
    trial->ops->destroy(&trial->engine);
    net_destroy(&trial->net);
}

void trial_import(struct trial *trial, const struct engine_state *state) {
    struct error error = {0};
    must(trial->ops->import(trial->engine, state, &error), error);
    reference_import(trial->reference, state);
}

void trial_export(struct trial *trial) {
    struct error error = {0};
    must(trial->ops->export(trial->engine, &trial->state, &error), error);
}

void trial_check(struct trial *trial, const char *place, double deviation, double allowed) {
    if (!(deviation / allowed <= trial->worst)) {
        trial->worst = deviation / allowed;
        trial->deviation = deviation;
        snprintf(trial->place, sizeof trial->place, "%s", place);
    }
    cr_expect(deviation <= allowed, "%s (%s, batch %d): %s deviates by %.3g, allowed %.3g",
              trial->name, trial->config.precision == PRECISION_BF16 ? "bf16" : "f32",
              trial->config.batch, place, deviation, allowed);
}

/* --- passes ------------------------------------------------------------------------------------
 */

static double length(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

/* |got - expected| / max(|expected|, least) */
static double apart(const float *got, const double *expected, size_t count, double least) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
    if (sum == 0)
        return 0;
    return sqrt(sum) / fmax(length(expected, count), least);
}

void trial_predict(struct trial *trial, uint64_t step, uint32_t count, double allowed) {
    struct random_batch data = random_batch_create(2, step, count);
    struct error error = {0};
    size_t sums = trial->net->regression ? 1 : SUMS_MAX;
    float *got = calloc(count, sizeof(float) * (10 + SUMS_MAX));
    double *expected = calloc(count, sizeof(double) * (10 + SUMS_MAX));
    cr_assert(got && expected);
    must(trial->ops->predict(trial->engine, data.batch.images, data.batch.digits, count, got,
                             got + 10 * count, &error),
         error);
    reference_predict(trial->reference, data.batch.images, data.batch.digits, count, expected,
                      expected + 10 * count);
    trial_check(trial, "digit logits", apart(got, expected, 10 * count, 1e-3), allowed);
    trial_check(trial, "sum logits",
                apart(got + 10 * count, expected + 10 * count, sums * count, 1e-3), allowed);
    free(got);
    free(expected);
    random_batch_destroy(&data);
}

struct step_result trial_engine_step(struct trial *trial, const struct batch *batch,
                                     const struct step_settings *settings) {
    struct error error = {0};
    struct step_result result = {0};
    must(trial->ops->train_step(trial->engine, batch, settings, &error), error);
    int taken = trial->ops->collect(trial->engine, &result, 1, true, &error);
    cr_assert_eq(taken, 1, "%s: %d results of one step: %s", trial->name, taken, error.text);
    return result;
}

/* Samples whose hit may fall either way: the best and the second best logit (or the scalar and the
 * nearest half) are less apart than the logits may be off. */
static uint32_t doubtful(const double *logits, int n, uint32_t count, double allowed) {
    uint32_t doubts = 0;
    double scale = length(logits, (size_t)n * count) / sqrt((double)n * count);
    for (uint32_t s = 0; s < count; s++) {
        const double *row = logits + (size_t)s * (size_t)n;
        double first = -INFINITY, second = -INFINITY;
        for (int i = 0; i < n; i++) {
            second = fmax(second, fmin(first, row[i]));
            first = fmax(first, row[i]);
        }
        double margin = n == 1 ? fabs(row[0] - floor(row[0]) - 0.5) : first - second;
        doubts += margin < 4 * allowed * scale;
    }
    return doubts;
}

static void check_hits(struct trial *trial, const char *place, uint32_t got, uint32_t expected,
                       int node, double allowed) {
    int n = shape_values(trial->net->nodes[node].shape);
    uint32_t count = (uint32_t)trial->config.batch;
    uint32_t doubts = doubtful(trial->reference->values[node], n, count, allowed);
    uint32_t away = got > expected ? got - expected : expected - got;
    cr_expect(away <= doubts, "%s: %u %s, but %u are expected and only %u are open to doubt",
              trial->name, got, place, expected, doubts);
}

void trial_step(struct trial *trial, uint64_t step, float rate, double allowed) {
    struct random_batch data = random_batch_create(2, step, (uint32_t)trial->config.batch);
    struct step_settings settings = {.step = step, .rate = rate};
    struct error error = {0};
    must(trial->ops->export(trial->engine, &trial->before, &error), error);
    struct step_result got = trial_engine_step(trial, &data.batch, &settings);
    struct reference_result expected = reference_step(trial->reference, &data.batch, &settings);
    cr_expect_eq(got.step, step);
    cr_expect_eq(got.count, data.batch.count);
    trial_check(trial, "the loss", fabs((double)got.loss / expected.loss - 1), allowed);
    trial_check(trial, "the digit loss", fabs((double)got.digit_loss / expected.digit_loss - 1),
                allowed);
    trial_check(trial, "the sum loss", fabs((double)got.sum_loss / expected.sum_loss - 1), allowed);
    check_hits(trial, "digit hits", got.digit_hits, expected.digit_hits, trial->net->digit_output,
               allowed);
    check_hits(trial, "sum hits", got.sum_hits, expected.sum_hits, trial->net->sum_output, allowed);
    trial_export(trial);
    random_batch_destroy(&data);
}

/* --- comparisons of state ----------------------------------------------------------------------
 */

static void check_parameter(struct trial *trial, const char *what,
                            const struct parameter *parameter, const float *got,
                            const double *expected, double least, double allowed) {
    char place[160];
    snprintf(place, sizeof place, "%s of %s", what, parameter->name);
    trial_check(
        trial, place,
        apart(got + parameter->offset, expected + parameter->offset, parameter->count, least),
        allowed);
}

void trial_compare_gradients(struct trial *trial, double allowed) {
    const struct net *net = trial->net;
    const double *expected = trial->reference->gradients;
    float *got = malloc(sizeof(float) * (net->trainable + 1));
    cr_assert_not_null(got);
    double least = 0.01 * length(expected, net->trainable);
    for (int i = 0; i < net->parameter_count; i++) {
        const struct parameter *parameter = &net->parameters[i];
        if (parameter->offset >= net->trainable)
            continue;
        for (size_t k = parameter->offset; k < parameter->offset + parameter->count; k++)
            got[k] = (trial->before.weights[k] - trial->state.weights[k]) / parameter->rate;
        check_parameter(trial, "the gradient", parameter, got, expected, least, allowed);
    }
    free(got);
}

void trial_compare_statistics(struct trial *trial, double allowed) {
    const struct net *net = trial->net;
    for (int i = 0; i < net->parameter_count; i++)
        if (net->parameters[i].offset >= net->trainable)
            check_parameter(trial, "the value", &net->parameters[i], trial->state.weights,
                            trial->reference->weights, 1e-3, allowed);
}

void trial_compare_state(struct trial *trial, double allowed, double moments) {
    const struct net *net = trial->net;
    const struct reference *r = trial->reference;
    const struct engine_state *state = &trial->state;
    double first = 0.01 * length(r->moment1, net->trainable);
    double second = 0.01 * length(r->moment2, net->trainable);
    cr_expect_eq(state->updates, r->updates);
    for (int i = 0; i < net->parameter_count; i++) {
        const struct parameter *parameter = &net->parameters[i];
        check_parameter(trial, "the value", parameter, state->weights, r->weights, 1e-3, allowed);
        if (state->ema)
            check_parameter(trial, "the average", parameter, state->ema, r->ema, 1e-3, allowed);
        if (parameter->offset >= net->trainable)
            continue;
        check_parameter(trial, "the first moment", parameter, state->moment1, r->moment1, first,
                        moments);
        if (state->moment2)
            check_parameter(trial, "the second moment", parameter, state->moment2, r->moment2,
                            second, moments);
    }
}
