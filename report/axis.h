/* Axes as pure functions: from a range of values to ticks and positions. Draws nothing. */
#ifndef REPORT_AXIS_H
#define REPORT_AXIS_H

#include <stdbool.h>

#define AXIS_TICKS 64 /* most ticks of one axis */

struct axis_tick {
    double value;
    bool major; /* gets a label; the others only a faint line */
};

struct axis {
    bool logarithmic;
    double low, high; /* the range shown, low < high; logarithmic: both above 0 */
    int count;
    struct axis_tick ticks[AXIS_TICKS]; /* rising, all within the range */
};

/* From 0 to `high` in steps of 1, 2 or 5 times a power of ten, at most about eight of them. The
 * range ends at `high` itself. Anything not above 1e-300, or not finite, becomes 1. */
struct axis axis_linear(double high);

/* A logarithmic axis that holds [low, high], widened to the next labelled ticks: 1, 2, 5 times the
 * powers of ten, only the powers where there are many, and more in between where there are few.
 * `low` and `high` are positive and finite, low ≤ high. */
struct axis axis_logarithmic(double low, double high);

/* Where a value lies: 0 at low, 1 at high; values outside are moved to the nearer end. */
double axis_position(const struct axis *axis, double value);

#endif
