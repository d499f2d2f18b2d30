/* Two engines side by side: the one under test, and the CPU engine as its judge. */
#include "model/init.h"
#include "model/net.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 100
#define BATCH 8

static const char nodes[] = "c1 conv image channels=8 kernel=5 stride=2\n"
                            "r1 relu c1\n"
                            "c2 conv r1 channels=8 kernel=3\n"
                            "b2 batchnorm c2\n"
                            "r2 relu b2\n"
                            "p2 avgpool r2 size=2\n"
                            "digit_head dense p2 units=10\n"
                            "addend onehot digit\n"
                            "both concat digit_head addend\n"
                            "sum_head dense both units=19\n";

static void train(const struct engine_ops *ops, const struct net *net,
                  const struct engine_config *config, float *weights) {
    struct error error = {0};
    struct engine *engine = NULL;
    struct step_result results[STEPS];
    struct engine_state state = {.weights = weights};
    must(ops->create(net, config, &engine, &error), error);
    must(ops->import(engine, &state, &error), error);
    for (uint64_t step = 0; step < STEPS; step++) {
        struct random_batch data = random_batch_create(4, step % 10, BATCH);
        struct step_settings settings = {.step = step, .rate = 0.01f};
        must(ops->train_step(engine, &data.batch, &settings, &error), error);
        random_batch_destroy(&data);
    }
    cr_expect_eq(ops->collect(engine, results, STEPS, true, &error), STEPS, "%s", error.text);
    must(ops->export(engine, &state, &error), error);
    ops->destroy(&engine);
}

/* Rounding differs from the first step on and grows as training goes (2e-6 of the weights' length
 * is usual here); a wrong factor anywhere is far beyond what is allowed. Not AdamW, which divides
 * by gradients of nearly nothing. */
Test(engines, a_hundred_steps_end_where_the_cpu_engine_ends) {
    struct engine_config config = trial_config(PRECISION_F32, BATCH);
    config.optimizer.kind = OPTIMIZER_NESTEROV;
    config.optimizer.momentum = 0.9f;
    const struct engine_ops *ops = trial_engine(&config);
    struct error error = {0};
    char reason[256];
    const struct engine_ops *judge =
        engine_choose("cpu", &config, NULL, reason, sizeof reason, &error);
    cr_assert(judge, "%s", error.text);
    struct net *net = random_net_parse(nodes, "digit_head", "sum_head");
    float *own = calloc(net->total, sizeof(float)), *other = calloc(net->total, sizeof(float));
    cr_assert(own && other);
    init_parameters(net, 1, own);
    memcpy(other, own, net->total * sizeof(float));
    train(ops, net, &config, own);
    train(judge, net, &config, other);
    double apart = 0, size = 0;
    for (size_t i = 0; i < net->total; i++) {
        apart += pow((double)own[i] - (double)other[i], 2);
        size += pow((double)other[i], 2);
    }
    cr_log_info("%s after %d steps: %.2g from the CPU engine", ops->name, STEPS,
                sqrt(apart / size));
    cr_expect_leq(sqrt(apart / size), 1e-3, "%s is %g from the CPU engine", ops->name,
                  sqrt(apart / size));
    free(own);
    free(other);
    net_destroy(&net);
}
