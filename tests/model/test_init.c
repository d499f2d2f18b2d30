/* Initial parameters are a pure function of network and seed, with the bounds of their fan-in. */
#include "common/philox.h"
#include "model/init.h"
#include "model/net.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *fill(const struct net *net, uint64_t seed) {
    float *flat = malloc(net->total * sizeof *flat);
    for (size_t i = 0; i < net->total; i++)
        flat[i] = NAN; /* what is forgotten shows */
    init_parameters(net, seed, flat);
    return flat;
}

static struct net *quick(void) {
    struct error error = {0};
    struct net *net = net_load("quick", &error);
    cr_assert_not_null(net, "%s", error.text);
    return net;
}

Test(init, every_value_is_set_within_its_bound) {
    struct net *net = quick();
    float *flat = fill(net, 1);
    for (int p = 0; p < net->parameter_count; p++) {
        const struct parameter *parameter = &net->parameters[p];
        const float *values = flat + parameter->offset;
        double sum = 0, squares = 0, bound = 0;
        if (parameter->fan_in > 0)
            bound = 1 / sqrt(parameter->fan_in);
        for (size_t i = 0; i < parameter->count; i++) {
            sum += values[i];
            squares += (double)values[i] * values[i];
            if (parameter->fan_in > 0)
                cr_assert(values[i] >= -bound - 1e-7 && values[i] < bound + 1e-7);
        }
        double n = (double)parameter->count;
        if (parameter->role == PARAMETER_GAIN || parameter->role == PARAMETER_VARIANCE)
            cr_expect(sum == n && squares == n, "%s starts at 1", parameter->name);
        else if (parameter->role == PARAMETER_SHIFT || parameter->role == PARAMETER_MEAN)
            cr_expect(squares == 0, "%s starts at 0", parameter->name);
        else if (n >= 400) { /* five standard errors of a uniform variable's mean and square */
            double variance = bound * bound / 3;
            cr_expect_lt(fabs(sum / n), 5 * sqrt(variance / n), "%s", parameter->name);
            cr_expect_lt(fabs(squares / n - variance), 5 * variance * sqrt(0.8 / n), "%s",
                         parameter->name);
        }
    }
    free(flat);
    net_destroy(&net);
}

Test(init, the_same_seed_gives_the_same_bits) {
    struct net *net = quick();
    float *a = fill(net, 7), *b = fill(net, 7), *c = fill(net, 8);
    cr_expect_eq(memcmp(a, b, net->total * sizeof *a), 0);
    size_t equal = 0;
    for (size_t i = 0; i < 400; i++)
        equal += a[i] == c[i];
    cr_expect_lt(equal, 3);
    free(a);
    free(b);
    free(c);
    net_destroy(&net);
}

/* Written out, so that a change of the rule is seen: weights of old seeds would change. */
Test(init, element_5_of_parameter_6) {
    struct net *net = must_parse(tiny_text);
    float *flat = fill(net, 3);
    uint32_t words[4];
    philox_draw(3, PHILOX_INIT, 6, 0, 1, words);
    float expected = (2 * philox_float(words[1]) - 1) / sqrtf(8);
    cr_expect_str_eq(net->parameters[6].name, "logits.weight");
    cr_expect_float_eq(flat[net->parameters[6].offset + 5], expected, 1e-7);
    free(flat);
    net_destroy(&net);
}
