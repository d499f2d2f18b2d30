/* See interval.h. */
#include "common/interval.h"

#include <math.h>

struct interval interval_wilson(uint32_t hits, uint32_t count) {
    struct interval interval = {0, 1};
    if (count == 0)
        return interval;
    const double z = 1.959963984540054; /* 97.5 % quantile of the normal distribution */
    double n = count, share = hits < count ? hits / n : 1, shrink = 1 + z * z / n;
    double centre = (share + z * z / (2 * n)) / shrink;
    double reach = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    /* At both ends the bound is exact; rounding must not move it. */
    if (hits > 0)
        interval.low = centre - reach;
    if (hits < count)
        interval.high = centre + reach;
    return interval;
}
