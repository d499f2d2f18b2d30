/* See schedule.h. */
#include "trainer/schedule.h"

#include <math.h>

/* Half a cosine from `from` (share 0) to `to` (share 1). */
static double anneal(double from, double to, double share) {
    return to + (from - to) * 0.5 * (1.0 + cos(share * 3.14159265358979323846));
}

/* base^n, by squaring: the same on every machine. */
static double power(double base, uint64_t n) {
    double result = 1.0;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1)
            result *= base;
    return result;
}

/* How often the rate of a step schedule has been cut before this step. Boundaries that are not
 * exact in binary belong to the step they mean. */
static uint64_t cuts(const struct schedule *schedule, uint64_t step) {
    double epoch = (double)step / schedule->epoch_steps + 1e-9;
    if (schedule->milestone_count == 0)
        return (uint64_t)(epoch / schedule->every);
    uint64_t passed = 0;
    for (int i = 0; i < schedule->milestone_count; i++)
        passed += schedule->milestones[i] <= epoch;
    return passed;
}

float schedule_rate(const struct schedule *schedule, uint64_t step) {
    double last = schedule->steps > 1 ? (double)(schedule->steps - 1) : 1.0;
    double share = (double)step >= last ? 1.0 : (double)step / last;
    double peak = schedule->peak, low = peak * schedule->final, warmup = schedule->warmup;
    switch (schedule->kind) {
    case SCHEDULE_COSINE:
        if (share < warmup)
            return (float)(peak * ((double)step + 1.0) / (warmup * last + 1.0));
        return (float)anneal(peak, low, warmup < 1.0 ? (share - warmup) / (1.0 - warmup) : 1.0);
    case SCHEDULE_LINEAR:
        if (share < warmup)
            return (float)(peak * ((double)step + 1.0) / (warmup * last + 1.0));
        return (float)(warmup < 1.0 ? peak + (low - peak) * (share - warmup) / (1.0 - warmup)
                                    : low);
    case SCHEDULE_STEP:
        return (float)(peak * power(schedule->gamma, cuts(schedule, step)));
    case SCHEDULE_ONECYCLE:
        if (share < warmup)
            return (float)anneal(peak / 25.0, peak, share / warmup);
        return (float)anneal(peak, low, warmup < 1.0 ? (share - warmup) / (1.0 - warmup) : 1.0);
    default:
        return schedule->peak;
    }
}
