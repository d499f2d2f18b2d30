/* Updates against their formulas in double. The gradient is known: the first step of SGD without
 * decay shows it as the first moment. */
#include "tests/cpu/rig.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* The gradient of the rig's batch at its initial weights, and those weights. */
static struct engine_state gradient_at_start(struct engine_config config) {
    config.optimizer.kind = OPTIMIZER_SGD;
    config.optimizer.weight_decay = 0;
    struct rig rig = rig_open(rig_small, config);
    struct engine_state start = rig_export(&rig);
    rig_step(&rig, 0, 0.0f);
    struct engine_state after = rig_export(&rig);
    for (size_t i = 0; i < rig.net->trainable; i++)
        start.moment1[i] = after.moment1[i];
    rig_state_free(&after);
    rig_close(&rig);
    return start;
}

static const struct parameter *parameter_at(const struct net *net, size_t i) {
    for (int p = 0; p < net->parameter_count; p++)
        if (i >= net->parameters[p].offset &&
            i < net->parameters[p].offset + net->parameters[p].count)
            return &net->parameters[p];
    return NULL;
}

static void close_to(double wanted, float got, const char *what, size_t i) {
    cr_assert_float_eq(got, wanted, 1e-6 + 2e-6 * fabs(wanted), "%s %zu: wanted %.9g, got %.9g",
                       what, i, wanted, (double)got);
}

static void check_momentum(enum optimizer_kind kind) {
    struct engine_config config = rig_config(8);
    config.optimizer.kind = kind;
    config.optimizer.weight_decay = 0.01f;
    struct engine_state start = gradient_at_start(config);
    struct rig rig = rig_open(rig_small, config);
    rig_step(&rig, 0, 0.1f);
    struct engine_state after = rig_export(&rig);
    for (size_t i = 0; i < rig.net->trainable; i++) {
        const struct parameter *parameter = parameter_at(rig.net, i);
        double w = start.weights[i], g = start.moment1[i];
        g += parameter->role == PARAMETER_WEIGHT ? 0.01 * w : 0;
        double v = g;
        w -= 0.1 * parameter->rate * (kind == OPTIMIZER_NESTEROV ? g + 0.9 * v : v);
        close_to(v, after.moment1[i], "momentum", i);
        close_to(w, after.weights[i], "weight", i);
    }
    cr_assert_eq(after.updates, 1);
    rig_state_free(&start);
    rig_state_free(&after);
    rig_close(&rig);
}

Test(cpu_update, sgd_follows_its_formula) {
    check_momentum(OPTIMIZER_SGD);
}

Test(cpu_update, nesterov_follows_its_formula) {
    check_momentum(OPTIMIZER_NESTEROV);
}

Test(cpu_update, adamw_follows_its_formula) {
    struct engine_config config = rig_config(8);
    struct engine_state start = gradient_at_start(config);
    config.optimizer.kind = OPTIMIZER_ADAMW;
    config.optimizer.weight_decay = 0.1f;
    struct rig rig = rig_open(rig_small, config);
    struct engine_state later = {.updates = 4,
                                 .weights = start.weights,
                                 .moment1 = calloc(rig.net->trainable, sizeof(float)),
                                 .moment2 = calloc(rig.net->trainable, sizeof(float))};
    for (size_t i = 0; i < rig.net->trainable; i++) {
        later.moment1[i] = (float)(i % 7) * 1e-3f - 3e-3f;
        later.moment2[i] = (float)(i % 5) * 1e-5f;
    }
    cr_assert_eq(cpu_engine.import(rig.engine, &later, &rig.error), 0);
    rig_step(&rig, 4, 0.01f);
    struct engine_state after = rig_export(&rig);
    for (size_t i = 0; i < rig.net->trainable; i++) {
        const struct parameter *parameter = parameter_at(rig.net, i);
        double rate = 0.01 * parameter->rate, g = start.moment1[i];
        double w = start.weights[i];
        w -= parameter->role == PARAMETER_WEIGHT ? rate * 0.1 * w : 0;
        double m = 0.9 * later.moment1[i] + 0.1 * g;
        double v = 0.99 * later.moment2[i] + 0.01 * g * g;
        double m_hat = m / (1 - pow(0.9, 5)), v_hat = v / (1 - pow(0.99, 5));
        w -= rate * m_hat / (sqrt(v_hat) + 1e-6);
        close_to(m, after.moment1[i], "first moment", i);
        close_to(v, after.moment2[i], "second moment", i);
        cr_assert_float_eq(after.weights[i], w, 1e-5 * (1 + fabs(w)),
                           "weight %zu: wanted %.9g, got %.9g", i, w, (double)after.weights[i]);
    }
    free(later.moment1);
    free(later.moment2);
    rig_state_free(&start);
    rig_state_free(&after);
    rig_close(&rig);
}

/* Early on the decay is t / (t + 9); running statistics are averaged too. */
Test(cpu_update, the_average_follows_its_formula) {
    struct engine_config config = rig_config(8);
    config.optimizer.ema = 0.15f;
    struct rig rig = rig_open(rig_small, config);
    struct engine_state before = rig_export(&rig);
    for (uint64_t t = 1; t <= 3; t++) {
        rig_step(&rig, t - 1, 0.05f);
        struct engine_state after = rig_export(&rig);
        double decay = t == 1 ? 0.1 : 0.15; /* 1/10, then 2/11 and 3/12 are above the limit */
        bool moved = false;
        for (size_t i = 0; i < rig.net->total; i++) {
            close_to(decay * before.ema[i] + (1 - decay) * after.weights[i], after.ema[i],
                     "average", i);
            moved = moved || (i >= rig.net->trainable && after.ema[i] != before.ema[i]);
        }
        cr_assert(moved, "running statistics stand still");
        rig_state_free(&before);
        before = after;
    }
    rig_state_free(&before);
    rig_close(&rig);
}

Test(cpu_update, nothing_moves_at_rate_zero_but_the_statistics) {
    struct rig rig = rig_open(rig_small, rig_config(8));
    struct engine_state before = rig_export(&rig);
    rig_step(&rig, 0, 0.0f);
    struct engine_state after = rig_export(&rig);
    bool moved = false;
    for (size_t i = 0; i < rig.net->total; i++)
        if (i < rig.net->trainable)
            cr_assert_eq(before.weights[i], after.weights[i]);
        else
            moved = moved || before.weights[i] != after.weights[i];
    cr_assert(moved);
    rig_state_free(&before);
    rig_state_free(&after);
    rig_close(&rig);
}
