/* The reference itself, part 2: nodes, losses and updates against numbers that were worked out
 * elsewhere: by hand where that is short, otherwise by PyTorch 1.13 in float64 (the calls are named
 * in the comments; hyperparameters are floats there as here). */
#include "tests/reference/nodes.h"
#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define expect_values(got, expected) check_values(#got, got, expected, COUNT(expected))

static void check_values(const char *what, const double *got, const double *expected,
                         size_t count) {
    for (size_t i = 0; i < count; i++)
        cr_expect(fabs(got[i] - expected[i]) < 1e-9, "%s[%zu] is %.12g, not %.12g", what, i, got[i],
                  expected[i]);
}

/* F.conv2d(x, w, b, stride=2, padding=1) of 2x4x5, and its backward with dy = 0, 1, 2, … */
Test(reference, conv_as_pytorch) {
    static const double y_expected[] = {-2.5, -19.5, 12.5, -6.5, 9.5, 1.5, -15, 37, -8, 7, -9, -17};
    static const double dx_expected[] = {
        0,  0,   2,  -1,  4,  3,  -9, 2,  -11, 1,  6,  -3,  8,  -4,  10, -18, 10,  -20, 11,  -22,
        -6, -14, -6, -14, -6, 15, 16, 15, 16,  15, -6, -14, -6, -14, -6, 15,  -16, 16,  -19, 17};
    static const double dw_expected[] = {2, -11, 1, 17,  -6, 15,  0,  -1,  -1, -7,  5,   -6,
                                         5, 14,  7, -12, -9, -9,  8,  -23, 7,  29,  -30, 27,
                                         6, -13, 5, -13, 17, -12, -7, 38,  -5, -30, -15, -27};
    static const double db_expected[] = {15, 51};
    struct node node = {
        .kind = NODE_CONV, .shape = {2, 2, 3}, .conv = {2, 3, .stride = 2, .padding = 1, true}};
    double x[40], w[36], b[] = {0.5, -1}, y[12], dy[12], dx[40] = {0}, dw[36] = {0}, db[2] = {0};
    for (int i = 0; i < 40; i++)
        x[i] = i % 7 - 3;
    for (int i = 0; i < 36; i++)
        w[i] = i % 5 - 2;
    for (int i = 0; i < 12; i++)
        dy[i] = i;
    struct pass pass = {.node = &node,
                        .batch = 1,
                        .in = {{2, 4, 5}},
                        .x = {x},
                        .dx = {dx},
                        .y = y,
                        .dy = dy,
                        .p = {[PARAMETER_WEIGHT] = w, [PARAMETER_BIAS] = b},
                        .dp = {[PARAMETER_WEIGHT] = dw, [PARAMETER_BIAS] = db}};
    conv_forward(&pass);
    conv_backward(&pass);
    expect_values(y, y_expected);
    expect_values(dx, dx_expected);
    expect_values(dw, dw_expected);
    expect_values(db, db_expected);
}

/* F.batch_norm on [2][2][1][2], first with running statistics, then training with momentum 0.1. */
Test(reference, batchnorm_as_pytorch) {
    static const double predicted[] = {0.78032876007,    1.84098628021, 1,
                                       -0.0606495653372, 2.90164380035, 7.14427388091,
                                       -1.12129913067,   1.70709971022};
    static const double y_expected[] = {-1.23181608161, -0.573231156447, 1.28867450619,
                                        0.793803924151, 0.0853537687106, 2.71969346934,
                                        0.298933342114, 1.61858822755};
    static const double mean_expected[] = {0.775, -0.9125};
    static const double variance_expected[] = {2.0 * 0.9 + 0.1 * 6.9166666666666667, 0.75625};
    static const double dx_expected[] = {1.43618908856,     -1.03151974291,  -0.345624727888,
                                         0.152613742389,    -0.864888873739, 0.460219528091,
                                         -0.00897523004905, 0.201986215548};
    static const double dgain_expected[] = {6.80537755996, -4.00020387147};
    static const double dshift_expected[] = {2, 5.5};
    struct node node = {
        .kind = NODE_BATCHNORM, .shape = {2, 1, 2}, .batchnorm = {0.1f, .epsilon = 1e-5f}};
    double x[] = {1, 2, -1, 0.5, 3, 7, 2, -2}, dy[] = {1, -2, 3, 0.5, -1, 4, 0, 2};
    double gain[] = {1.5, -0.5}, shift[] = {0.25, 1}, mean[] = {0.5, -1}, variance[] = {2, 0.5};
    double y[8], dx[8] = {0}, dgain[2] = {0}, dshift[2] = {0};
    struct pass pass = {.node = &node,
                        .batch = 2,
                        .in = {{2, 1, 2}},
                        .x = {x},
                        .dx = {dx},
                        .y = y,
                        .dy = dy,
                        .p = {[PARAMETER_GAIN] = gain,
                              [PARAMETER_SHIFT] = shift,
                              [PARAMETER_MEAN] = mean,
                              [PARAMETER_VARIANCE] = variance},
                        .dp = {[PARAMETER_GAIN] = dgain, [PARAMETER_SHIFT] = dshift}};
    /* 1e-5 and 0.1 are floats here: right to 1e-8 only, so compare a digit less. */
    batchnorm_forward(&pass);
    expect_values(y, predicted);
    pass.training = true;
    batchnorm_forward(&pass);
    batchnorm_backward(&pass);
    reference_batchnorm_track(&pass);
    expect_values(y, y_expected);
    expect_values(dx, dx_expected);
    expect_values(dgain, dgain_expected);
    expect_values(dshift, dshift_expected);
    for (int c = 0; c < 2; c++) {
        cr_expect(fabs(mean[c] - mean_expected[c]) < 1e-7);
        cr_expect(fabs(variance[c] - variance_expected[c]) < 1e-7);
    }
}

/* F.max_pool2d(x, 3, 2) of 5x5 with equal values in a window: the first of them is taken. */
Test(reference, maxpool_as_pytorch) {
    static const double y_expected[] = {12, 12, 12, 11};
    double x[25], y[4], dy[] = {1, 2, 3, 4}, dx[25] = {0}, dx_expected[25] = {0};
    struct node node = {.kind = NODE_MAXPOOL, .shape = {1, 2, 2}, .pool = {3, 2}};
    for (int i = 0; i < 25; i++)
        x[i] = i * 11 % 13;
    dx_expected[7] = 1 + 2;
    dx_expected[14] = 4;
    dx_expected[20] = 3;
    struct pass pass = {
        .node = &node, .batch = 1, .in = {{1, 5, 5}}, .x = {x}, .dx = {dx}, .y = y, .dy = dy};
    maxpool_forward(&pass);
    maxpool_backward(&pass);
    expect_values(y, y_expected);
    expect_values(dx, dx_expected);

    static const double flat[25] = {0}, first_expected[] = {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4};
    double first[25] = {0};
    pass.x[0] = flat;
    pass.dx[0] = first;
    maxpool_backward(&pass);
    expect_values(first, first_expected);
}

/* F.avg_pool2d(x, 2, 3) of 5x5: rows and columns between and behind the windows get nothing. */
Test(reference, avgpool_as_pytorch) {
    static const double y_expected[] = {3.75, 7.5, 9.5, 3.5};
    static const double dx_expected[] = {1, 1, 0, 2, 2, 1, 1, 0, 2, 2, 0, 0, 0,
                                         0, 0, 3, 3, 0, 4, 4, 3, 3, 0, 4, 4};
    double x[25], y[4], dy[] = {4, 8, 12, 16}, dx[25] = {0};
    struct node node = {.kind = NODE_AVGPOOL, .shape = {1, 2, 2}, .pool = {2, 3}};
    for (int i = 0; i < 25; i++)
        x[i] = i * 11 % 13;
    struct pass pass = {
        .node = &node, .batch = 1, .in = {{1, 5, 5}}, .x = {x}, .dx = {dx}, .y = y, .dy = dy};
    avgpool_forward(&pass);
    avgpool_backward(&pass);
    expect_values(y, y_expected);
    expect_values(dx, dx_expected);
}

/* By hand. [2][…]: the second sample tells whether strides between samples are right. */
Test(reference, vectors_by_hand) {
    double a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8, 9, 10}, y[16], dy[12] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct node node = {.kind = NODE_OUTER, .input_count = 2, .shape = {6, 1, 1}};
    struct pass pass = {
        .node = &node, .batch = 2, .in = {{2, 1, 1}, {3, 1, 1}}, .x = {a, b}, .y = y, .dy = dy};
    static const double outer[] = {5, 6, 7, 10, 12, 14, 24, 27, 30, 32, 36, 40};
    static const double concat[] = {1, 2, 5, 6, 7, 3, 4, 8, 9, 10};
    reference_node(NODE_OUTER)->forward(&pass);
    expect_values(y, outer);
    node.shape.channels = 5;
    reference_node(NODE_CONCAT)->forward(&pass);
    expect_values(y, concat);
    pass.in[1] = (struct shape){2, 1, 1};
    node.shape.channels = 2;
    static const double add[] = {6, 8, 10, 12};
    reference_node(NODE_ADD)->forward(&pass);
    expect_values(y, add);
    double weights[] = {1, -1, 0.5, 2, 0, 3}, bias[] = {0.25, 0, -1};
    node = (struct node){.kind = NODE_DENSE, .shape = {3, 1, 1}, .dense = {3, true}};
    pass.p[PARAMETER_WEIGHT] = weights;
    pass.p[PARAMETER_BIAS] = bias;
    static const double dense[] = {-0.75, 4.5, 5, -0.75, 9.5, 11};
    reference_node(NODE_DENSE)->forward(&pass);
    expect_values(y, dense);
}

Test(reference, inputs_softmax_and_relu_by_hand) {
    double x[] = {1, 2, 3, -1, 0, 1000}, y[2 * 784], digits_x[2];
    uint8_t images[2 * 784] = {0, 255}, digits[] = {9, 0};
    struct node node = {.kind = NODE_SOFTMAX, .shape = {3, 1, 1}};
    struct pass pass = {.node = &node,
                        .batch = 2,
                        .in = {{3, 1, 1}},
                        .x = {x},
                        .y = y,
                        .images = images,
                        .digits = digits};
    static const double softmax[] = {0.0900305731704, 0.244728471055, 0.665240955775, 0, 0, 1};
    static const double relu[] = {1, 2, 3, 0, 0, 1000};
    static const double onehot[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0};
    reference_node(NODE_SOFTMAX)->forward(&pass);
    expect_values(y, softmax);
    reference_node(NODE_RELU)->forward(&pass);
    expect_values(y, relu);
    reference_node(NODE_IMAGE)->forward(&pass);
    cr_expect(fabs(y[0] - -0.42421291788) < 1e-9);
    cr_expect(fabs(y[1] - 2.82148653035) < 1e-9);
    pass.y = digits_x;
    reference_node(NODE_DIGIT)->forward(&pass);
    node.shape.channels = 10;
    pass.x[0] = digits_x;
    pass.y = y;
    reference_node(NODE_ONEHOT)->forward(&pass);
    expect_values(y, onehot);
}

/* The share that is kept, the scale, and that a mask depends on all that it should depend on. */
Test(reference, dropout_by_count) {
    enum { VALUES = 40000 };
    static double x[VALUES], y[VALUES], other[VALUES];
    struct node node = {
        .kind = NODE_DROPOUT, .shape = {VALUES / 4, 2, 1}, .dropout = {.rate = 0.2f}};
    struct pass pass = {.node = &node,
                        .batch = 2,
                        .training = true,
                        .seed = 5,
                        .step = 3,
                        .index = 4,
                        .in = {{VALUES / 4, 2, 1}},
                        .x = {x},
                        .y = y};
    for (int i = 0; i < VALUES; i++)
        x[i] = 1;
    reference_node(NODE_DROPOUT)->forward(&pass);
    double kept = 0;
    for (int i = 0; i < VALUES; i++) {
        cr_assert(y[i] == 0 || fabs(y[i] - 1.25) < 1e-7, "value %d is %g", i, y[i]);
        kept += y[i] > 0;
    }
    /* Four standard deviations of 40,000 draws are 0.008. */
    cr_expect(fabs(kept / VALUES - 0.8) < 0.008, "%g of the values are kept", kept / VALUES);
    pass.y = other;
    for (int change = 0; change < 3; change++) {
        pass.seed = change == 0 ? 6 : 5;
        pass.step = change == 1 ? 4 : 3;
        pass.index = change == 2 ? 5 : 4;
        reference_node(NODE_DROPOUT)->forward(&pass);
        cr_expect(memcmp(y, other, sizeof y) != 0, "change %d leaves the mask as it was", change);
    }
    pass.training = false;
    reference_node(NODE_DROPOUT)->forward(&pass);
    expect_values(other, x);
}

/* F.cross_entropy(…, label_smoothing=0.1) and F.mse_loss. */
Test(reference, losses_as_pytorch) {
    static const double ddigit_expected[] = {
        0.0095030543495, 0.0344233890954, 0.102163882194, -0.431088505804, 0.0599981801647,
        0.0095030543495, 0.0344233890954, 0.102163882194, 0.0189114941961, 0.0599981801647,
        0.0095030543495, 0.0344233890954, 0.102163882194, 0.0189114941961, 0.0599981801647,
        0.0095030543495, 0.0344233890954, 0.102163882194, 0.0189114941961, -0.390001819835};
    struct optimizer optimizer = {.label_smoothing = 0.1f, .digit_weight = 1, .sum_weight = 0.5f};
    uint8_t labels[] = {3, 9}, sums[] = {3, 18};
    struct batch batch = {.count = 2, .labels = labels, .sums = sums};
    double digit[20], sum[38], ddigit[20], dsum[38], scalars[] = {4.25, 17.5}, dscalars[2];
    for (int i = 0; i < 20; i++)
        digit[i] = (i * 7 % 5 - 2) / 2.0;
    for (int i = 0; i < 38; i++)
        sum[i] = (i * 5 % 7 - 3) / 2.0;
    struct reference_result r =
        reference_losses(&optimizer, false, &batch, digit, sum, ddigit, dsum);
    cr_expect(fabs(r.digit_loss - 2.5402488263850955) < 1e-7);
    cr_expect(fabs(r.sum_loss - 3.8376647296291133) < 1e-7);
    cr_expect(fabs(r.loss - (r.digit_loss + 0.5 * r.sum_loss)) < 1e-12);
    for (int i = 0; i < 20; i++)
        cr_expect(fabs(ddigit[i] - ddigit_expected[i]) < 1e-8);

    optimizer.sum_weight = 2;
    r = reference_losses(&optimizer, true, &batch, digit, scalars, ddigit, dscalars);
    cr_expect(fabs(r.sum_loss - 0.90625) < 1e-12);
    static const double dscalars_expected[] = {2 * 1.25, 2 * -0.5};
    expect_values(dscalars, dscalars_expected);
    cr_expect_eq(r.sum_hits, 1, "17.5 rounds to 18, 4.25 not to 3");
    digit[3] = 9;
    cr_expect_eq(
        reference_losses(&optimizer, true, &batch, digit, scalars, ddigit, dscalars).digit_hits, 1);
}

/* The mask of the maps is that of a vector with a value for each of them. */
Test(reference, spatial_dropout_by_count) {
    enum { CHANNELS = 4000, PIXELS = 6, MAPS = 2 * CHANNELS };
    static double x[MAPS * PIXELS], y[MAPS * PIXELS], vectors[MAPS];
    struct node node = {.kind = NODE_DROPOUT,
                        .shape = {CHANNELS, 3, 2},
                        .dropout = {.rate = 0.2f, .spatial = true}};
    struct pass pass = {.node = &node,
                        .batch = 2,
                        .training = true,
                        .seed = 5,
                        .step = 3,
                        .index = 4,
                        .in = {{CHANNELS, 3, 2}},
                        .x = {x},
                        .y = y};
    for (int i = 0; i < MAPS * PIXELS; i++)
        x[i] = 1;
    reference_node(NODE_DROPOUT)->forward(&pass);
    node.shape = pass.in[0] = (struct shape){CHANNELS, 1, 1};
    node.dropout.spatial = false;
    pass.y = vectors;
    reference_node(NODE_DROPOUT)->forward(&pass);
    double kept = 0;
    for (int map = 0; map < MAPS; map++) {
        for (int i = 0; i < PIXELS; i++)
            cr_assert_eq(y[map * PIXELS + i], vectors[map], "map %d, value %d is %g, not %g", map,
                         i, y[map * PIXELS + i], vectors[map]);
        cr_assert(vectors[map] == 0 || fabs(vectors[map] - 1.25) < 1e-7);
        kept += vectors[map] > 0;
    }
    /* Four standard deviations of 8,000 draws are 0.018. */
    cr_expect(fabs(kept / MAPS - 0.8) < 0.018, "%g of the maps are kept", kept / MAPS);
}
