/* The learning rate against its formulas at the points that matter. */
#include "trainer/schedule.h"

#include <criterion/criterion.h>
#include <math.h>

static void expect_rate(const struct schedule *schedule, uint64_t step, double expected) {
    double got = schedule_rate(schedule, step);
    cr_expect(fabs(got - expected) <= 1e-6 * expected, "step %llu: expected %.9g, got %.9g",
              (unsigned long long)step, expected, got);
}

Test(schedule, constant) {
    struct schedule schedule = {
        .kind = SCHEDULE_CONSTANT, .peak = 0.5f, .warmup = 0.1f, .final = 0, .steps = 100};
    expect_rate(&schedule, 0, 0.5);
    expect_rate(&schedule, 1000, 0.5);
}

/* As PyTorch's OneCycleLR (div_factor 25, cosine) except that its final rate is a share of the
 * peak here: from peak/25 up over the first quarter, then down. */
Test(schedule, onecycle) {
    struct schedule schedule = {
        .kind = SCHEDULE_ONECYCLE, .peak = 1.0f, .warmup = 0.25f, .final = 0.001f, .steps = 401};
    expect_rate(&schedule, 0, 0.04);
    expect_rate(&schedule, 50, 0.52);
    expect_rate(&schedule, 100, 1.0);
    expect_rate(&schedule, 250, 0.5005);
    expect_rate(&schedule, 400, 0.001);
    expect_rate(&schedule, 999, 0.001);
}

Test(schedule, cosine_with_warm_up) {
    struct schedule schedule = {
        .kind = SCHEDULE_COSINE, .peak = 2.0f, .warmup = 0.5f, .final = 0.1f, .steps = 101};
    expect_rate(&schedule, 0, 2.0 / 51);
    expect_rate(&schedule, 49, 2.0 * 50 / 51);
    expect_rate(&schedule, 50, 2.0);
    expect_rate(&schedule, 75, 1.1);
    expect_rate(&schedule, 100, 0.2);
}

Test(schedule, linear_with_warm_up) {
    struct schedule schedule = {
        .kind = SCHEDULE_LINEAR, .peak = 2.0f, .warmup = 0.5f, .final = 0.1f, .steps = 101};
    expect_rate(&schedule, 0, 2.0 / 51);
    expect_rate(&schedule, 50, 2.0);
    expect_rate(&schedule, 75, 1.1);
    expect_rate(&schedule, 100, 0.2);
}

/* As StepLR(step_size=1, gamma=0.7) of PyTorch's example, whose epoch is 937.5 steps here. */
Test(schedule, step) {
    struct schedule schedule = {SCHEDULE_STEP,        1.0f,       0.25f,       0, 13125,
                                .epoch_steps = 937.5, .every = 1, .gamma = 0.7};
    expect_rate(&schedule, 0, 1.0);
    expect_rate(&schedule, 937, 1.0);
    expect_rate(&schedule, 938, 0.7);
    expect_rate(&schedule, 1874, 0.7);
    expect_rate(&schedule, 1875, 0.49);
    expect_rate(&schedule, 13124, 0.0096889010407);
    schedule.every = 3;
    expect_rate(&schedule, 2812, 1.0);
    expect_rate(&schedule, 2813, 0.7);
    schedule.every = 0.1; /* ten an epoch, at boundaries that are not exact in binary */
    schedule.epoch_steps = 100;
    for (uint64_t step = 0; step < 100; step++)
        expect_rate(&schedule, step, pow(0.7, (double)(step / 10)));
}

Test(schedule, milestones) {
    struct schedule schedule = {SCHEDULE_STEP,
                                1.0f,
                                0,
                                0,
                                1000,
                                .epoch_steps = 10,
                                .every = 1,
                                .gamma = 0.1,
                                .milestones = {3, 5.5},
                                .milestone_count = 2};
    expect_rate(&schedule, 29, 1.0);
    expect_rate(&schedule, 30, 0.1);
    expect_rate(&schedule, 54, 0.1);
    expect_rate(&schedule, 55, 0.01);
    expect_rate(&schedule, 999, 0.01);
}

Test(schedule, runs_of_one_step_and_all_warm_up) {
    struct schedule one = {
        .kind = SCHEDULE_ONECYCLE, .peak = 1.0f, .warmup = 0.25f, .final = 0.5f, .steps = 1};
    cr_expect(isfinite(schedule_rate(&one, 0)));
    struct schedule all = {
        .kind = SCHEDULE_ONECYCLE, .peak = 1.0f, .warmup = 1.0f, .final = 0.5f, .steps = 11};
    expect_rate(&all, 5, 0.52);
    cr_expect(isfinite(schedule_rate(&all, 10)));
    struct schedule none = {
        .kind = SCHEDULE_COSINE, .peak = 1.0f, .warmup = 0.0f, .final = 0.5f, .steps = 11};
    expect_rate(&none, 0, 1.0);
}
