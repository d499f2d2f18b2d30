/* The reference itself, part 1: its gradients against central differences of its own loss, for
 * every parameter of nets that have every kind of node among them. In float64 a difference over
 * 2e-6 is right to about 1e-9, so nothing but a right formula passes. */
#include "model/net.h"
#include "tests/conformance/random.h"
#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>

/* Every net ends in these, unless it names its own outputs. */
#define HEADS                                                                                      \
    "logits dense x units=10\n"                                                                    \
    "total dense x units=19\n"

static const struct engine_config config = {
    .batch = 3,
    .training = true,
    .seed = 7,
    .optimizer = {.label_smoothing = 0.1f, .digit_weight = 0.75f, .sum_weight = 1.5f}};

static double numeric_gradient(struct reference *r, const struct batch *batch, size_t i) {
    double was = r->weights[i], apart = 1e-6;
    r->weights[i] = was + apart;
    double above = reference_loss(r, batch, 5).loss;
    r->weights[i] = was - apart;
    double below = reference_loss(r, batch, 5).loss;
    r->weights[i] = was;
    return (above - below) / (2 * apart);
}

static void check_gradients(const char *nodes, const char *digit, const char *sum) {
    struct net *net = random_net_parse(nodes, digit, sum);
    struct random_batch data = random_batch_create(1, 5, (uint32_t)config.batch);
    struct reference *r = reference_create(net, &config);
    float *weights = malloc(sizeof(float) * net->total);
    cr_assert_not_null(weights);
    random_parameters(net, 3, weights);
    reference_import(r, &(struct engine_state){.weights = weights});

    reference_gradients(r, &data.batch, 5);
    double largest = 0;
    for (size_t i = 0; i < net->trainable; i++)
        largest = fmax(largest, fabs(r->gradients[i]));
    cr_expect(largest > 1e-4, "the gradient is almost nothing: %g", largest);
    for (int p = 0; p < net->parameter_count; p++) {
        const struct parameter *parameter = &net->parameters[p];
        if (parameter->offset >= net->trainable)
            continue;
        for (size_t i = 0; i < parameter->count; i++) {
            double analytic = r->gradients[parameter->offset + i];
            double numeric = numeric_gradient(r, &data.batch, parameter->offset + i);
            cr_assert(fabs(analytic - numeric) <= 1e-7 * fmax(1, largest),
                      "%s[%zu]: the formula gives %.12g, the difference %.12g", parameter->name, i,
                      analytic, numeric);
        }
    }
    free(weights);
    reference_destroy(&r);
    random_batch_destroy(&data);
    net_destroy(&net);
}

Test(reference, gradients_of_convs_and_pools) {
    check_gradients("p avgpool image size=3 stride=2\n"
                    "c1 conv p channels=3 kernel=3 stride=2 padding=2\n"
                    "r relu c1\n"
                    "c2 conv r channels=4 kernel=2 bias=false\n"
                    "m maxpool c2 size=3 stride=2\n"
                    "x avgpool m size=2 stride=1\n" HEADS,
                    "logits", "total");
}

Test(reference, gradients_of_batchnorm_and_dropout) {
    check_gradients("c1 conv image channels=3 kernel=5 stride=5\n"
                    "b1 batchnorm c1 epsilon=0.01\n"
                    "r relu b1\n"
                    "d1 dropout r rate=0.3\n"
                    "d2 dropout d1 rate=0.3 spatial=true\n"
                    "h dense d2 units=7 bias=false\n"
                    "b2 batchnorm h\n"
                    "x dropout b2 rate=0.5\n" HEADS,
                    "logits", "total");
}

Test(reference, gradients_of_joins) {
    check_gradients("p avgpool image size=4\n"
                    "c1 conv p channels=2 kernel=3 stride=2\n"
                    "c2 conv p channels=2 kernel=5 stride=1\n"
                    "a add c1 c2 c1\n"
                    "j concat a c1\n"
                    "c3 conv j channels=3 kernel=2\n"
                    "f flatten c3\n"
                    "logits dense f units=10\n"
                    "g softmax logits\n"
                    "o onehot digit\n"
                    "q outer g o\n"
                    "s outer f logits\n"
                    "k concat q s c3\n"
                    "total dense k units=19\n",
                    "logits", "total");
}

Test(reference, gradients_of_regression) {
    check_gradients("p maxpool image size=7\n"
                    "logits dense p units=10\n"
                    "o onehot digit size=11\n"
                    "j concat logits o\n"
                    "total dense j units=1\n",
                    "logits", "total");
}
