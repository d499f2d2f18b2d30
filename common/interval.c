/* See interval.h. */
#include "common/interval.h"

#include <math.h>

void interval_wilson(uint32_t hits, uint32_t count, double *low, double *high) {
    *low = 0;
    *high = 1;
    if (count == 0)
        return;
    const double z = 1.959963984540054; /* 97.5 % quantile of the normal distribution */
    double n = count, share = hits < count ? hits / n : 1, shrink = 1 + z * z / n;
    double centre = (share + z * z / (2 * n)) / shrink;
    double reach = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    /* At both ends the bound is exact; rounding must not move it. */
    if (hits > 0)
        *low = centre - reach;
    if (hits < count)
        *high = centre + reach;
}
