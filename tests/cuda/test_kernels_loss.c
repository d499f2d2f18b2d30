/* The losses, against the formulas in double. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

/* One output: what goes in, and what should come out. */
struct side {
    struct kernel_head head;
    struct array logits, gradient;
    uint8_t *labels;
    double loss, *slopes;
    uint32_t hits;
};

static struct side side_of(struct rig *rig, enum element type, size_t batch, size_t classes,
                           bool regression, float weight, uint32_t salt) {
    struct side side = {.labels = rig_alloc(rig, batch)};
    double *values = rig_alloc(rig, batch * classes * sizeof *values);
    for (size_t i = 0; i < batch * classes; i++) /* with ties; regression: near whole numbers */
        values[i] = regression ? (double)(rig_word(salt, i) % 37) / 2
                               : (double)(rig_word(salt, i) % 31) / 4 - 3;
    for (size_t i = 0; i < batch; i++)
        side.labels[i] = (uint8_t)(rig_word(salt + 1, i) % (regression ? 19 : classes));
    side.logits = rig_array(rig, type, values, batch * classes);
    side.gradient = rig_empty(rig, type, batch * classes);
    side.slopes = rig_alloc(rig, batch * classes * sizeof(double));
    side.head = (struct kernel_head){.logits = side.logits.values,
                                     .gradient = side.gradient.values,
                                     .labels = rig_put(rig, side.labels, batch),
                                     .classes = (int)classes,
                                     .regression = regression,
                                     .weight = weight};
    return side;
}

static void entropy_here(struct side *side, size_t sample, size_t batch, double smoothing) {
    size_t classes = (size_t)side->head.classes, best = 0, label = side->labels[sample];
    const double *x = side->logits.host + sample * classes;
    double sum = 0;
    for (size_t i = 1; i < classes; i++)
        best = x[i] > x[best] ? i : best;
    for (size_t i = 0; i < classes; i++)
        sum += exp(x[i] - x[best]);
    for (size_t i = 0; i < classes; i++) {
        double target = smoothing / (double)classes + (i == label ? 1 - smoothing : 0);
        double probability = exp(x[i] - x[best]) / sum;
        if (target > 0)
            side->loss -= target * (x[i] - x[best] - log(sum)) / (double)batch;
        side->slopes[sample * classes + i] =
            (double)side->head.weight * (probability - target) / (double)batch;
    }
    side->hits += best == label;
}

static void error_here(struct side *side, size_t sample, size_t batch) {
    double away = side->logits.host[sample] - side->labels[sample];
    side->loss += away * away / (double)batch;
    side->slopes[sample] = (double)side->head.weight * 2 * away / (double)batch;
    side->hits += rint(side->logits.host[sample]) == side->labels[sample];
}

static void expect(struct rig *rig, struct side *side, size_t batch, double smoothing) {
    for (size_t sample = 0; sample < batch; sample++) {
        if (side->head.regression)
            error_here(side, sample, batch);
        else
            entropy_here(side, sample, batch, smoothing);
    }
    if (side->head.gradient.data)
        rig_expect(rig, &side->gradient, side->slopes, 1e-6, "gradient");
}

static void expect_near(float got, double wanted, const char *what) {
    cr_assert(fabs((double)got - wanted) <= 1e-5 * (1 + fabs(wanted)), "%s is %.9g, wanted %.9g",
              what, (double)got, wanted);
}

static void check_loss(size_t batch, enum element type, bool regression, float smoothing) {
    struct rig rig = rig_open();
    struct step_arguments arguments = {.step = 77};
    struct side digit = side_of(&rig, type, batch, 10, false, 1.0f, 1);
    struct side sum = side_of(&rig, type, batch, regression ? 1 : 19, regression, 0.375f, 3);
    size_t size = kernel_loss_scratch((int)batch);
    void *scratch = rig_put(&rig, rig_alloc(&rig, size), size);
    struct kernel_result *results[3], got[3];
    const struct step_arguments *device = rig_put(&rig, &arguments, sizeof arguments);
    for (int turn = 0; turn < 3; turn++) { /* also with what the launch before has left */
        results[turn] = rig_put(&rig, NULL, sizeof **results);
        rig_reverse(turn == 1);
        rig_done(&rig, kernel_loss(&digit.head, &sum.head, (int)batch, smoothing, device, scratch,
                                   results[turn], rig.stream));
        rig_get(&rig, &got[turn], results[turn], sizeof *got);
        cr_assert_eq(memcmp(&got[turn], &got[0], sizeof *got), 0, "turn %d differs", turn);
    }
    expect(&rig, &digit, batch, (double)smoothing);
    expect(&rig, &sum, batch, (double)smoothing);
    expect_near(got[0].digit_loss, digit.loss, "the digit's loss");
    expect_near(got[0].sum_loss, sum.loss, "the sum's loss");
    expect_near(got[0].loss, digit.loss + 0.375 * sum.loss, "the loss");
    cr_assert_eq(got[0].digit_hits, digit.hits, "%u hits of the digit, wanted %u",
                 got[0].digit_hits, digit.hits);
    cr_assert_eq(got[0].sum_hits, sum.hits, "%u hits of the sum, wanted %u", got[0].sum_hits,
                 sum.hits);
    cr_assert_eq(got[0].step, 77);
    rig_close(&rig);
}

Test(cuda_loss, losses_gradients_and_hits_of_both_outputs) {
    const size_t batches[] = {1, 3, 4, 5, 7, 128, 129};
    for (size_t s = 0; s < sizeof batches / sizeof *batches; s++)
        for (int k = 0; k < 8; k++)
            check_loss(batches[s], types[k & 1], k >> 1 & 1, k >> 2 ? 0.1f : 0.0f);
}

/* More samples than the most blocks take at once. */
Test(cuda_loss, walks_over_large_batches) {
    check_loss(1029, ELEMENT_BF16, false, 0.1f);
}

Test(cuda_loss, needs_no_gradient) {
    struct rig rig = rig_open();
    struct step_arguments arguments = {.step = 5};
    struct side digit = side_of(&rig, ELEMENT_F32, 9, 10, false, 1.0f, 1);
    struct side sum = side_of(&rig, ELEMENT_BF16, 9, 32, false, 1.0f, 3);
    size_t size = kernel_loss_scratch(9);
    struct kernel_result got, *result = rig_put(&rig, NULL, sizeof *result);
    digit.head.gradient.data = sum.head.gradient.data = NULL;
    rig_done(&rig, kernel_loss(&digit.head, &sum.head, 9, 0.0f,
                               rig_put(&rig, &arguments, sizeof arguments),
                               rig_put(&rig, rig_alloc(&rig, size), size), result, rig.stream));
    rig_get(&rig, &got, result, sizeof got);
    expect(&rig, &digit, 9, 0);
    expect(&rig, &sum, 9, 0);
    expect_near(got.loss, digit.loss + sum.loss, "the loss");
    rig_close(&rig);
}

/* In class 0 nothing beats it, in another it is passed over; the loss is NaN. */
Test(cuda_loss, a_nan_is_a_hit_only_in_class_0) {
    const double first[] = {NAN, 5, 6}, second[] = {4, NAN, 6};
    for (int k = 0; k < 2; k++)
        for (uint8_t label = 0; label < 3; label++) {
            struct rig rig = rig_open();
            struct step_arguments arguments = {.step = 5};
            struct array logits = rig_array(&rig, ELEMENT_F32, k ? second : first, 3);
            struct kernel_head head = {.logits = logits.values,
                                       .labels = rig_put(&rig, &label, 1),
                                       .classes = 3,
                                       .weight = 1.0f};
            size_t size = kernel_loss_scratch(1);
            struct kernel_result got, *result = rig_put(&rig, NULL, sizeof *result);
            rig_done(&rig,
                     kernel_loss(&head, &head, 1, 0.1f, rig_put(&rig, &arguments, sizeof arguments),
                                 rig_put(&rig, rig_alloc(&rig, size), size), result, rig.stream));
            rig_get(&rig, &got, result, sizeof got);
            cr_assert(isnan(got.loss) && isnan(got.digit_loss));
            cr_assert_eq(got.digit_hits, label == (k ? 2 : 0), "NaN in class %d, label %d", k,
                         label);
            rig_close(&rig);
        }
}
