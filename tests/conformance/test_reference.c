/* The reference itself, part 1: its gradients against central differences of its own loss, for
 * every parameter of nets that have every kind of node among them. In float64 a difference over
 * 2e-6 is right to about 1e-9, so nothing but a right formula passes. */
#include "tests/conformance/random.h"
#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>

/* Every net ends in these, unless it names its own outputs. */
#define HEADS                                                                                      \
    "{ name = \"logits\"; kind = \"dense\"; input = \"x\"; units = 10; },"                         \
    "{ name = \"total\"; kind = \"dense\"; input = \"x\"; units = 19; }"

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
    check_gradients(
        "{ name = \"p\"; kind = \"avgpool\"; input = \"image\"; size = 3; stride = 2; },"
        "{ name = \"c1\"; kind = \"conv\"; input = \"p\"; channels = 3; kernel = 3; stride = 2;"
        "  padding = 2; },"
        "{ name = \"r\"; kind = \"relu\"; input = \"c1\"; },"
        "{ name = \"c2\"; kind = \"conv\"; input = \"r\"; channels = 4; kernel = 2; bias = false; "
        "},"
        "{ name = \"m\"; kind = \"maxpool\"; input = \"c2\"; size = 3; stride = 2; },"
        "{ name = \"x\"; kind = \"avgpool\"; input = \"m\"; size = 2; stride = 1; }," HEADS,
        "logits", "total");
}

Test(reference, gradients_of_batchnorm_and_dropout) {
    check_gradients(
        "{ name = \"c1\"; kind = \"conv\"; input = \"image\"; channels = 3; kernel = 5;"
        "  stride = 5; },"
        "{ name = \"b1\"; kind = \"batchnorm\"; input = \"c1\"; epsilon = 0.01; },"
        "{ name = \"r\"; kind = \"relu\"; input = \"b1\"; },"
        "{ name = \"d1\"; kind = \"dropout\"; input = \"r\"; rate = 0.3; },"
        "{ name = \"d2\"; kind = \"dropout\"; input = \"d1\"; rate = 0.3; spatial = true; },"
        "{ name = \"h\"; kind = \"dense\"; input = \"d2\"; units = 7; bias = false; },"
        "{ name = \"b2\"; kind = \"batchnorm\"; input = \"h\"; },"
        "{ name = \"x\"; kind = \"dropout\"; input = \"b2\"; rate = 0.5; }," HEADS,
        "logits", "total");
}

Test(reference, gradients_of_joins) {
    check_gradients(
        "{ name = \"p\"; kind = \"avgpool\"; input = \"image\"; size = 4; },"
        "{ name = \"c1\"; kind = \"conv\"; input = \"p\"; channels = 2; kernel = 3; stride = 2; },"
        "{ name = \"c2\"; kind = \"conv\"; input = \"p\"; channels = 2; kernel = 5; stride = 1; },"
        "{ name = \"a\"; kind = \"add\"; inputs = (\"c1\", \"c2\", \"c1\"); },"
        "{ name = \"j\"; kind = \"concat\"; inputs = (\"a\", \"c1\"); },"
        "{ name = \"c3\"; kind = \"conv\"; input = \"j\"; channels = 3; kernel = 2; },"
        "{ name = \"f\"; kind = \"flatten\"; input = \"c3\"; },"
        "{ name = \"logits\"; kind = \"dense\"; input = \"f\"; units = 10; },"
        "{ name = \"g\"; kind = \"softmax\"; input = \"logits\"; },"
        "{ name = \"o\"; kind = \"onehot\"; input = \"digit\"; },"
        "{ name = \"q\"; kind = \"outer\"; inputs = (\"g\", \"o\"); },"
        "{ name = \"s\"; kind = \"outer\"; inputs = (\"f\", \"logits\"); },"
        "{ name = \"k\"; kind = \"concat\"; inputs = (\"q\", \"s\", \"c3\"); },"
        "{ name = \"total\"; kind = \"dense\"; input = \"k\"; units = 19; }",
        "logits", "total");
}

Test(reference, gradients_of_regression) {
    check_gradients("{ name = \"p\"; kind = \"maxpool\"; input = \"image\"; size = 7; },"
                    "{ name = \"logits\"; kind = \"dense\"; input = \"p\"; units = 10; },"
                    "{ name = \"o\"; kind = \"onehot\"; input = \"digit\"; size = 11; },"
                    "{ name = \"j\"; kind = \"concat\"; inputs = (\"logits\", \"o\"); },"
                    "{ name = \"total\"; kind = \"dense\"; input = \"j\"; units = 1; }",
                    "logits", "total");
}
