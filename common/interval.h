/* How sure a counted share is: the interval that goes with every accuracy that people see. */
#ifndef COMMON_INTERVAL_H
#define COMMON_INTERVAL_H

#include <stdint.h>

/* Writes the 95 % interval of a share of which `hits` of `count` were seen, both 0-1, by Wilson's
 * score without continuity correction (JASA 22, 1927, 209-212). hits > count counts as count; 0 and
 * 1 for a count of 0. */
void interval_wilson(uint32_t hits, uint32_t count, double *low, double *high);

#endif
