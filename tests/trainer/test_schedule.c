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
    struct schedule schedule = {SCHEDULE_CONSTANT, 0.5f, 0.1f, 0, 100};
    expect_rate(&schedule, 0, 0.5);
    expect_rate(&schedule, 1000, 0.5);
}

/* As PyTorch's OneCycleLR (div_factor 25, cosine) except that its final rate is a share of the
 * peak here: from peak/25 up over the first quarter, then down. */
Test(schedule, onecycle) {
    struct schedule schedule = {SCHEDULE_ONECYCLE, 1.0f, 0.25f, 0.001f, 401};
    expect_rate(&schedule, 0, 0.04);
    expect_rate(&schedule, 50, 0.52);
    expect_rate(&schedule, 100, 1.0);
    expect_rate(&schedule, 250, 0.5005);
    expect_rate(&schedule, 400, 0.001);
    expect_rate(&schedule, 999, 0.001);
}

Test(schedule, cosine_with_warm_up) {
    struct schedule schedule = {SCHEDULE_COSINE, 2.0f, 0.5f, 0.1f, 101};
    expect_rate(&schedule, 0, 2.0 / 51);
    expect_rate(&schedule, 49, 2.0 * 50 / 51);
    expect_rate(&schedule, 50, 2.0);
    expect_rate(&schedule, 75, 1.1);
    expect_rate(&schedule, 100, 0.2);
}

Test(schedule, runs_of_one_step_and_all_warm_up) {
    struct schedule one = {SCHEDULE_ONECYCLE, 1.0f, 0.25f, 0.5f, 1};
    cr_expect(isfinite(schedule_rate(&one, 0)));
    struct schedule all = {SCHEDULE_ONECYCLE, 1.0f, 1.0f, 0.5f, 11};
    expect_rate(&all, 5, 0.52);
    cr_expect(isfinite(schedule_rate(&all, 10)));
    struct schedule none = {SCHEDULE_COSINE, 1.0f, 0.0f, 0.5f, 11};
    expect_rate(&none, 0, 1.0);
}
