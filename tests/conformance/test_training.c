/* Conformance of training settings: optimizers, decay, average, rates, smoothing, loss weights.
 * Each case trains one small net for a few steps on both sides and compares the whole state after
 * every step: weights, moments, average, running statistics, losses. */
#include "tests/conformance/rows.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Smooth, so that no choice falls differently after a few steps: what deviates is the update. */
#define SMOOTH                                                                                     \
    CONV("c", "image", "channels=4 kernel=6 stride=3")                                             \
    NODE("b", "batchnorm", "c", "rate=2")                                                          \
    NODE("p", "avgpool", "b", "size=2")                                                            \
    DENSE("d", "p", 10)                                                                            \
    NODE("g", "softmax", "d", "")                                                                  \
    NODE("o", "onehot", "digit", "")                                                               \
    JOIN2("q", "outer", "g", "o")
#define NET SMOOTH NODE("s", "dense", "q", "units=19 rate=5")
#define REGRESSION SMOOTH NODE("s", "dense", "q", "units=1")
#define FROZEN SMOOTH NODE("s", "dense", "q", "units=19 rate=0")

struct training {
    const char *name;
    const char *nodes;
    float rate;
    struct optimizer optimizer;
};

// clang-format off
static const struct training trainings[] = {
    {"plain SGD", NET, 0.1f, {.digit_weight = 1, .sum_weight = 1}},
    {"momentum", NET, 0.1f, {.momentum = 0.9f, .digit_weight = 1, .sum_weight = 1}},
    {"momentum with decay", NET, 0.1f,
     {.momentum = 0.9f, .weight_decay = 0.05f, .digit_weight = 1, .sum_weight = 1}},
    {"Nesterov", NET, 0.1f,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .digit_weight = 1, .sum_weight = 1}},
    {"Nesterov with decay", NET, 0.1f,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .weight_decay = 0.05f, .digit_weight = 1,
      .sum_weight = 1}},
    {"AdamW", NET, 0.01f,
     {.kind = OPTIMIZER_ADAMW, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-3f,
      .digit_weight = 1, .sum_weight = 1}},
    {"AdamW with decay", NET, 0.01f,
     {.kind = OPTIMIZER_ADAMW, .beta1 = 0.7f, .beta2 = 0.9f, .epsilon = 1e-3f,
      .weight_decay = 0.2f, .digit_weight = 1, .sum_weight = 1}},
    {"average", NET, 0.1f,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .ema = 0.2f, .digit_weight = 1, .sum_weight = 1}},
    {"average, AdamW", NET, 0.01f,
     {.kind = OPTIMIZER_ADAMW, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-3f, .ema = 0.99f,
      .digit_weight = 1, .sum_weight = 1}},
    {"Adam with decay", NET, 0.01f,
     {.kind = OPTIMIZER_ADAM, .beta1 = 0.7f, .beta2 = 0.9f, .epsilon = 1e-3f,
      .weight_decay = 0.2f, .digit_weight = 1, .sum_weight = 1}},
    {"Adadelta", NET, 1,
     {.kind = OPTIMIZER_ADADELTA, .rho = 0.9f, .epsilon = 1e-4f, .digit_weight = 1, .sum_weight = 1}},
    {"Adadelta with decay and average", NET, 0.5f,
     {.kind = OPTIMIZER_ADADELTA, .rho = 0.7f, .epsilon = 1e-4f, .weight_decay = 0.1f, .ema = 0.3f,
      .digit_weight = 1, .sum_weight = 1}},
    {"RMSprop with decay", NET, 0.003f,
     {.kind = OPTIMIZER_RMSPROP, .rho = 0.9f, .epsilon = 1e-2f, .weight_decay = 0.1f,
      .digit_weight = 1, .sum_weight = 1}},
    {"Adagrad with decay", NET, 0.01f,
     {.kind = OPTIMIZER_ADAGRAD, .epsilon = 1e-2f, .weight_decay = 0.1f, .digit_weight = 1,
      .sum_weight = 1}},
    {"label smoothing", NET, 0.1f,
     {.label_smoothing = 0.2f, .digit_weight = 1, .sum_weight = 1}},
    {"loss weights", NET, 0.1f, {.digit_weight = 0.25f, .sum_weight = 1.5f}},
    {"only the digit counts", NET, 0.1f, {.digit_weight = 1, .sum_weight = 0}},
    {"only the sum counts", NET, 0.1f, {.digit_weight = 0, .sum_weight = 1}},
    {"regression", REGRESSION, 0.003f,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .label_smoothing = 0.1f, .digit_weight = 1,
      .sum_weight = 0.5f}},
    {"rate 0 for one node", FROZEN, 0.1f,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.5f, .weight_decay = 0.05f, .digit_weight = 1,
      .sum_weight = 1}},
    {"rate 0", NET, 0,
     {.kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .ema = 0.9f, .digit_weight = 1, .sum_weight = 1}},
    {"all at once", NET, 0.02f,
     {.kind = OPTIMIZER_ADAMW, .beta1 = 0.8f, .beta2 = 0.95f, .epsilon = 1e-2f,
      .weight_decay = 0.1f, .ema = 0.3f, .label_smoothing = 0.1f, .digit_weight = 0.5f,
      .sum_weight = 2}},
};
// clang-format on

/* Deviations grow with the steps: what is allowed is three times what is seen, 1e-5 in f32 and 4 %
 * in bf16, both of the moment of a bias before a batchnorm. */
static void run_training(const struct training *training, enum precision precision) {
    double allowed = precision == PRECISION_BF16 ? 1e-1 : 3e-5;
    struct net *net = random_net_parse(training->nodes, "d", "s");
    struct engine_config config = trial_config(precision, 7);
    struct trial trial;
    config.optimizer = training->optimizer;
    if (trial_open(&trial, training->name, &net, &config))
        return;
    for (uint64_t step = 0; step < 5; step++) {
        /* The rate is of the step, not of the run. */
        trial_step(&trial, step, training->rate / (float)(step + 1), allowed);
        trial_compare_state(&trial, allowed, allowed);
    }
    trial_predict(&trial, 9, 5, allowed);
    trial_close(&trial);
}

static void run_trainings(enum precision precision) {
    struct engine_config config = trial_config(precision, 7);
    trial_engine(&config);
    for (size_t i = 0; i < COUNT(trainings); i++)
        run_training(&trainings[i], precision);
}

Test(training, f32) {
    run_trainings(PRECISION_F32);
}
Test(training, bf16) {
    run_trainings(PRECISION_BF16);
}
