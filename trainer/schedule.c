/* See schedule.h. */
#include "trainer/schedule.h"

#include <math.h>

/* Half a cosine from `from` (share 0) to `to` (share 1). */
static double anneal(double from, double to, double share) {
    return to + (from - to) * 0.5 * (1.0 + cos(share * 3.14159265358979323846));
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
    case SCHEDULE_ONECYCLE:
        if (share < warmup)
            return (float)anneal(peak / 25.0, peak, share / warmup);
        return (float)anneal(peak, low, warmup < 1.0 ? (share - warmup) / (1.0 - warmup) : 1.0);
    default:
        return schedule->peak;
    }
}
