/* The engine's gradients against differences of the engine's own losses: says that both halves of a
 * step belong together, without the reference. f32 only: a loss in f32 has seven digits, so a
 * difference over a distance that moves the loss by 1e-3 has four, and the distance itself makes it
 * wrong in the third. */
#include "tests/conformance/rows.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

/* Every kind of node that can have a gradient. Smooth but for one relu and one maxpool. */
static const char nodes[] = CONV("c1", "image", "channels=6 kernel=5 stride=2")
    NODE("b1", "batchnorm", "c1", "") NODE("p1", "maxpool", "b1", "size=2")
        CONV("c2", "p1", "channels=6 kernel=3 padding=1") JOIN2("a", "add", "p1", "c2")
            NODE("p2", "avgpool", "a", "size=3 stride=2") NODE("f", "flatten", "p2", "")
                DENSE("h", "f", 12) RELU("r", "h") NODE("k", "dropout", "r", "rate=0.1")
                    DENSE("e", "k", 12) NODE("t1", "tanh", "e", "") NODE("t2", "gelu", "t1", "")
                        NODE("t3", "sigmoid", "t2", "") DENSE("d", "t3", 10)
                            NODE("g", "softmax", "d", "") NODE("o", "onehot", "digit", "")
                                JOIN2("q", "outer", "g", "o") JOIN2("j", "concat", "q", "d")
                                    DENSE("s", "j", 19);

static double engine_loss(struct trial *trial, const struct batch *batch, size_t place,
                          float value) {
    float was = trial->before.weights[place];
    struct engine_state state = {.weights = trial->before.weights};
    struct step_settings settings = {.step = 4, .rate = 0};
    state.weights[place] = value;
    struct error error = {0};
    must(trial->ops->import(trial->engine, &state, &error), error);
    state.weights[place] = was;
    return (double)trial_engine_step(trial, batch, &settings).loss;
}

/* The place of the largest gradient in a parameter: what can be measured best. */
static size_t steepest(const struct trial *trial, const struct parameter *parameter,
                       double *gradient) {
    size_t best = parameter->offset;
    *gradient = 0;
    for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
        double here = (double)trial->before.weights[i] - (double)trial->state.weights[i];
        if (fabs(here) > fabs(*gradient)) {
            *gradient = here;
            best = i;
        }
    }
    return best;
}

static void check_parameter(struct trial *trial, const struct batch *batch,
                            const struct parameter *parameter) {
    double gradient;
    char place[160];
    size_t i = steepest(trial, parameter, &gradient);
    if (fabs(gradient) < 2e-3)
        return; /* the bias before a batchnorm: nothing to measure */
    float apart = 2e-3f, value = trial->before.weights[i];
    volatile float above = value + apart, below = value - apart;
    double difference = engine_loss(trial, batch, i, above) - engine_loss(trial, batch, i, below);
    snprintf(place, sizeof place, "the difference at %s[%zu]", parameter->name,
             i - parameter->offset);
    trial_check(trial, place, fabs(difference / ((double)above - (double)below) / gradient - 1),
                0.03);
}

Test(differences, f32) {
    struct engine_config config = trial_config(PRECISION_F32, 16);
    struct step_settings settings = {.step = 4, .rate = 1};
    struct trial trial;
    struct error error = {0};
    trial_engine(&config);
    struct net *net = random_net_parse(nodes, "d", "s");
    struct random_batch data = random_batch_create(2, 4, 16);
    if (trial_open(&trial, "every kind of node", &net, &config))
        return;
    must(trial.ops->export(trial.engine, &trial.before, &error), error);
    trial_engine_step(&trial, &data.batch, &settings);
    trial_export(&trial);
    int measured = 0;
    for (int i = 0; i < trial.net->parameter_count; i++)
        if (trial.net->parameters[i].offset < trial.net->trainable) {
            check_parameter(&trial, &data.batch, &trial.net->parameters[i]);
            measured++;
        }
    cr_expect(measured >= 12, "only %d parameters were looked at", measured);
    trial_close(&trial);
    random_batch_destroy(&data);
}
