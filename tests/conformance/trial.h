/* One net on an engine and on the reference at once: same weights, same batches, and every number
 * that comes through the door compared. What a test leaves to this file is everything but its rows
 * and its settings.
 *
 * Deviations are relative: the length of the difference over the length of what is expected, or
 * over a hundredth of the whole gradient's length where that is more (the bias before a batchnorm
 * has a gradient of zero, and what comes out is rounding). */
#ifndef CONFORMANCE_TRIAL_H
#define CONFORMANCE_TRIAL_H

#include "model/engine.h"
#include "tests/conformance/random.h"
#include "tests/reference/reference.h"

/* Relative deviations that are allowed in one step from given weights. */
struct tolerance {
    double logits, loss;
    double gradient;           /* of a parameter, in nets without relu and maxpool */
    double gradient_by_choice; /* in nets with them */
    double statistics;
};
const struct tolerance *trial_tolerance(enum precision precision);

struct trial {
    const char *name; /* of the case, for messages; borrowed */
    const struct engine_ops *ops;
    struct engine *engine;
    struct engine_config config;
    struct net *net; /* own */
    struct reference *reference;
    struct engine_state before; /* as imported or exported before the last step */
    struct engine_state state;  /* as exported last */

    /* The comparison that came nearest to what is allowed, or furthest beyond. */
    double worst;     /* deviation / allowed */
    double deviation; /* of that comparison */
    char place[160];
};

/* SGD at rate 1 without momentum, decay, smoothing or average, so that a step subtracts the
 * gradient: what most tests start from. */
struct engine_config trial_config(enum precision precision, int batch);

/* The engine that DIGITSUM_ENGINE names ("cpu" where it is not set). Skips the test where this
 * machine or build has no such device, or not this precision; fails it where the name is unknown.
 */
const struct engine_ops *trial_engine(const struct engine_config *config);

/* Creates both sides and gives them the same random weights. Takes over *net. -1 where the engine
 * cannot: the test has failed then, with the engine's sentence, and there is nothing to close. */
int trial_open(struct trial *trial, const char *name, struct net **net,
               const struct engine_config *config);
void trial_close(struct trial *trial);

/* Predicts the first `count` samples of random batch `step` on both sides and compares the logits.
 */
void trial_predict(struct trial *trial, uint64_t step, uint32_t count, double allowed);

/* Trains both sides on random batch `step` and compares losses and hits; state is exported. */
void trial_step(struct trial *trial, uint64_t step, float rate, double allowed);

/* Compares the gradient that the last step subtracted at rate 1, parameter by parameter. */
void trial_compare_gradients(struct trial *trial, double allowed);

/* Compares the running statistics after the last step. */
void trial_compare_statistics(struct trial *trial, double allowed);

/* Compares, parameter by parameter, weights and averages (`allowed`) and moments, which hold what
 * gradients hold (`moments`). */
void trial_compare_state(struct trial *trial, double allowed, double moments);

/* Which of the two is this net's. */
double trial_gradient_tolerance(const struct trial *trial);

/* Notes a deviation, and fails the test where it is over `allowed` or not a number. */
void trial_check(struct trial *trial, const char *place, double deviation, double allowed);

/* Trains the engine only. The result of the step. */
struct step_result trial_engine_step(struct trial *trial, const struct batch *batch,
                                     const struct step_settings *settings);
void trial_export(struct trial *trial);
void trial_import(struct trial *trial, const struct engine_state *state); /* both sides */

/* Fails the test with the sentence where a call did not return 0. */
#define must(call, error)                                                                          \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            cr_assert_fail("%s: %s", #call, (error).text);                                         \
    } while (0)

#endif
