/* How sure a counted share is: the interval that goes with every accuracy that people see. */
#ifndef COMMON_INTERVAL_H
#define COMMON_INTERVAL_H

#include <stdint.h>

struct interval {
    double low, high; /* 0-1 */
};

/* The 95 % interval of a share of which `hits` of `count` were seen: E. B. Wilson, "Probable
 * inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212, without
 * continuity correction. hits > count counts as count; [0, 1] for a count of 0. */
struct interval interval_wilson(uint32_t hits, uint32_t count);

#endif
