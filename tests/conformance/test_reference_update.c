/* The reference itself, part 3: optimizers and average. Three steps with given gradients of a net
 * of which only two weights are looked at, against torch.optim (PyTorch 1.13, float64,
 * hyperparameters that are floats); Adam, Adadelta, RMSprop and Adagrad against the formulas of its
 * documentation, worked out apart by a script that gives torch's digits for AdamW. */
#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>

static const double gradients[3][2] = {{0.5, -1}, {0.25, 2}, {-1, 0.125}};

/* A net of one parameter with two values, and one running mean that only the average sees. */
struct tiny {
    struct parameter parameters[2];
    struct net net;
};

static const struct net *tiny_net(struct tiny *tiny, enum parameter_role role, float rate) {
    tiny->parameters[0] = (struct parameter){.role = role, .offset = 0, .count = 2, .rate = rate};
    tiny->parameters[1] =
        (struct parameter){.role = PARAMETER_MEAN, .offset = 2, .count = 1, .rate = 1};
    tiny->net = (struct net){
        .parameter_count = 2, .parameters = tiny->parameters, .trainable = 2, .total = 3};
    return &tiny->net;
}

/* expected[step][weight] */
static struct reference *run(const struct net *net, const struct optimizer *optimizer, float rate,
                             const double expected[3][2]) {
    struct engine_config config = {.batch = 1, .optimizer = *optimizer};
    struct reference *r = reference_create(net, &config);
    reference_import(r, &(struct engine_state){.weights = (float[]){1, -2, 4}});
    for (int step = 0; step < 3; step++) {
        for (int i = 0; i < 2; i++)
            r->gradients[i] = gradients[step][i];
        reference_update(r, (double)rate);
        for (int i = 0; i < 2; i++)
            cr_expect(fabs(r->weights[i] - expected[step][i]) < 1e-12,
                      "step %d: weight %d is %.15g, not %.15g", step, i, r->weights[i],
                      expected[step][i]);
    }
    cr_expect_eq(r->updates, 3);
    return r;
}

Test(reference, nesterov_as_pytorch) {
    static const double expected[3][2] = {{0.903099999814481, -1.80619999962896},
                                          {0.812574111328611, -2.10014822377481},
                                          {0.942869713227495, -2.20608691903896}};
    struct tiny tiny;
    const struct net *net = tiny_net(&tiny, PARAMETER_WEIGHT, 1);
    struct optimizer optimizer = {
        .kind = OPTIMIZER_NESTEROV, .momentum = 0.9f, .weight_decay = 0.01f};
    struct reference *r = run(net, &optimizer, 0.1f, expected);
    cr_expect(fabs(r->moment1[0] - -0.3456463874953354) < 1e-12);
    cr_expect(fabs(r->moment1[1] - 1.061542715481021) < 1e-12);
    reference_destroy(&r);
}

Test(reference, sgd_as_pytorch) {
    static const double expected[3][2] = {{0.948999999262393, -1.89799999852479},
                                          {0.87715099944976, -2.00430200262481},
                                          {0.911609751828605, -2.11046950197897}};
    static const double plain[3][2] = {{0.949999999254942, -1.89999999850988},
                                       {0.924999998882413, -2.10000000149012},
                                       {1.02500000037253, -2.11250000167638}};
    struct tiny tiny;
    const struct net *net = tiny_net(&tiny, PARAMETER_WEIGHT, 1);
    struct optimizer optimizer = {.kind = OPTIMIZER_SGD, .momentum = 0.9f, .weight_decay = 0.01f};
    struct reference *r = run(net, &optimizer, 0.1f, expected);
    cr_expect(fabs(r->moment1[0] - -0.3445875186537036) < 1e-12);
    cr_expect(fabs(r->moment1[1] - 1.061674977721389) < 1e-12);
    reference_destroy(&r);
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_NESTEROV; kind++) {
        optimizer = (struct optimizer){.kind = (enum optimizer_kind)kind};
        r = run(net, &optimizer, 0.1f, plain);
        reference_destroy(&r);
    }
}

Test(reference, adamw_as_pytorch) {
    static const double expected[3][2] = {{0.895000000360872, -1.88999999921186},
                                          {0.797180201576138, -1.91711077188545},
                                          {0.813776739313468, -1.93937727769657}};
    struct tiny tiny;
    const struct net *net = tiny_net(&tiny, PARAMETER_WEIGHT, 1);
    struct optimizer optimizer = {.kind = OPTIMIZER_ADAMW,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.99f,
                                  .epsilon = 1e-8f,
                                  .weight_decay = 0.05f};
    struct reference *r = run(net, &optimizer, 0.1f, expected);
    cr_expect(fabs(r->moment1[0] - -0.03700001156330171) < 1e-12);
    cr_expect(fabs(r->moment2[1] - 0.04955720330882018) < 1e-12);
    reference_destroy(&r);
}

Test(reference, optimizers_that_scale_as_pytorch) {
    static const struct {
        struct optimizer optimizer;
        float rate;
        double expected[3][2], first, second; /* moment1[0], moment2[1] */
    } rows[] = {
        {{.kind = OPTIMIZER_ADAM, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f},
         0.1f,
         {{0.900000000328066, -1.89999999941897},
          {0.805653613270052, -1.9309213729283},
          {0.819506324446521, -1.95570373562263}},
         -0.024871740745010557,
         0.047794608735144406},
        {{.kind = OPTIMIZER_ADADELTA, .rho = 0.9f, .epsilon = 1e-6f},
         1,
         {{0.996837774988534, -1.99683773578797},
          {0.994609594676996, -2.00075761640581},
          {0.998805847642433, -2.00082876360316}},
         3.0176584636485584e-06,
         0.4230264745128881},
        {{.kind = OPTIMIZER_RMSPROP, .rho = 0.99f, .epsilon = 1e-8f},
         0.1f,
         {{-3.09920344054859e-07, -0.999999599170502},
          {-0.41552882993155, -1.87203162042059},
          {0.447080398848609, -1.88614219629899}},
         0,
         0.04951377275449031},
        {{.kind = OPTIMIZER_ADAGRAD, .epsilon = 1e-10f},
         0.1f,
         {{0.899999998528066, -1.89999999851897},
          {0.852733399518118, -1.98659963187804},
          {0.936504388633133, -1.98776648894507}},
         0,
         4.839683947935895},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tiny tiny;
        const struct net *net = tiny_net(&tiny, PARAMETER_WEIGHT, 1);
        struct optimizer optimizer = rows[i].optimizer;
        optimizer.weight_decay = 0.05f;
        struct reference *r = run(net, &optimizer, rows[i].rate, rows[i].expected);
        cr_expect(fabs(r->moment1[0] - rows[i].first) < 1e-12, "row %zu", i);
        cr_expect(fabs(r->moment2[1] - rows[i].second) < 1e-12, "row %zu", i);
        reference_destroy(&r);
    }
}

/* Biases do not decay, and the multiplier is part of the rate: 0.05 · 2 as above without decay. */
Test(reference, only_weights_decay_and_rates_multiply) {
    static const double plain[3][2] = {{0.949999999254942, -1.89999999850988},
                                       {0.924999998882413, -2.10000000149012},
                                       {1.02500000037253, -2.11250000167638}};
    struct optimizer optimizer = {.kind = OPTIMIZER_SGD, .weight_decay = 0.01f};
    for (int role = PARAMETER_BIAS; role <= PARAMETER_SHIFT; role++) {
        struct tiny tiny;
        const struct net *net = tiny_net(&tiny, (enum parameter_role)role, 2);
        struct reference *r = run(net, &optimizer, 0.05f, plain);
        reference_destroy(&r);
    }
}

/* min(ema, t / (t + 9)) is 0.1, 2/11, then 0.2; running statistics are averaged too. */
Test(reference, average_by_hand) {
    static const double plain[3][2] = {{0.5, -1}, {0.25, -3}, {1.25, -3.125}};
    struct tiny tiny;
    const struct net *net = tiny_net(&tiny, PARAMETER_WEIGHT, 1);
    struct optimizer optimizer = {.kind = OPTIMIZER_SGD, .ema = 0.2f};
    struct reference *r = run(net, &optimizer, 1, plain);
    double average = 1;
    average = 0.1 * average + 0.9 * 0.5;
    average = 2.0 / 11 * average + 9.0 / 11 * 0.25;
    average = (double)0.2f * average + (1 - (double)0.2f) * 1.25;
    cr_expect(fabs(r->ema[0] - average) < 1e-12, "%.15g, not %.15g", r->ema[0], average);
    cr_expect(fabs(r->ema[2] - 4) < 1e-12, "what does not move is its own average");
    reference_destroy(&r);
}
