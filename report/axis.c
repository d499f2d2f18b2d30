/* Ticks that people count in: 1, 2, 5 and the powers of ten. */
#include "report/axis.h"

#include <assert.h>
#include <math.h>

#define AXIS_MIN 1e-300 /* below it a step between ticks would be rounded to nothing */

static void add_tick(struct axis *axis, double value, bool major) {
    /* Half a thousandth of slack, so that rounding does not lose the tick at an end. */
    double slack = axis->logarithmic ? 0.0005 * value : 0.0005 * (axis->high - axis->low);
    if (axis->count < AXIS_TICKS && value >= axis->low - slack && value <= axis->high + slack)
        axis->ticks[axis->count++] = (struct axis_tick){value, major};
}

struct axis axis_linear(double high) {
    struct axis axis = {.low = 0, .high = isfinite(high) && high > AXIS_MIN ? high : 1};
    double power = pow(10, floor(log10(axis.high / 8)));
    double step = power;
    const int factors[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++) {
        step = factors[i] * power;
        if (step * 8 >= axis.high)
            break;
    }
    for (int i = 0; i * step <= axis.high * 1.0005; i++)
        add_tick(&axis, i * step, true);
    return axis;
}

/* Whether mantissa · 10^exponent gets a label on an axis of so many decades. */
static bool is_labelled(int tenths, double decades) {
    if (decades > 5)
        return tenths == 10;
    if (decades > 0.8)
        return tenths == 10 || tenths == 20 || tenths == 50;
    return tenths == 10 || tenths == 15 || tenths == 20 || tenths == 30 || tenths == 40 ||
           tenths == 50 || tenths == 70;
}

static double tick_value(int tenths, int exponent) {
    /* Dividing by a power of ten is exact where multiplying by 0.001 is not: labels show it. */
    return exponent >= 1 ? tenths * pow(10, exponent - 1) : tenths / pow(10, 1 - exponent);
}

struct axis axis_logarithmic(double low, double high) {
    assert(low > 0 && low <= high && isfinite(high));
    static const int steps[] = {10, 15, 20, 30, 40, 50, 60, 70, 80, 90};
    enum { STEPS = sizeof steps / sizeof *steps };
    struct axis axis = {.logarithmic = true, .low = low, .high = high};
    double decades = log10(high / low);
    int first = (int)floor(log10(low)) - 1, last = (int)ceil(log10(high)) + 1;
    double below = 0, above = 0;
    for (int exponent = first; exponent <= last; exponent++)
        for (int i = 0; i < STEPS; i++) {
            double value = tick_value(steps[i], exponent);
            if (!is_labelled(steps[i], decades))
                continue;
            if (value <= low * 1.0005)
                below = value;
            if (above == 0 && value >= high * 0.9995 && value > below)
                above = value;
        }
    axis.low = below;
    axis.high = above;
    for (int exponent = first; exponent <= last; exponent++)
        for (int i = 0; i < STEPS; i++)
            if (is_labelled(steps[i], decades) || (steps[i] != 15 && decades <= 5))
                add_tick(&axis, tick_value(steps[i], exponent), is_labelled(steps[i], decades));
    return axis;
}

double axis_position(const struct axis *axis, double value) {
    double position = axis->logarithmic
                          ? (value > 0 ? log(value / axis->low) / log(axis->high / axis->low) : 0)
                          : (value - axis->low) / (axis->high - axis->low);
    return position > 0 ? (position < 1 ? position : 1) : 0;
}
