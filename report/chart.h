/* Draws one chart with cairo: lines over x with their bands, clean axes, the last value of each
 * line beside its end. Knows nothing of evaluations. */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "common/error.h"
#include "report/axis.h"

#include <stdbool.h>
#include <stddef.h>

#define CHART_SERIES 2 /* most lines of one chart */
#define CHART_LABEL 32 /* bytes of an axis label, NUL included */

struct chart_point {
    double x, y;      /* y NaN: a gap in the line, marked at the top edge */
    double low, high; /* the band around y, in units of y; both equal to y: no band */
};

struct chart_series {
    const char *name, *value, *detail; /* texts beside the line's end; detail may be "" */
    double red, green, blue;           /* 0-1 */
    const struct chart_point *points;  /* [count], x rising */
};

/* All texts are UTF-8 and borrowed. */
struct chart {
    const char *title, *subtitle;
    const char *warning; /* in a box that cannot be missed; NULL for none */
    const char *x_name, *y_name;
    const char *empty; /* shown instead of lines where count is 0 */
    struct axis x, y;
    bool downwards; /* y grows from the top down */
    void (*y_label)(double value, char text[static CHART_LABEL]);
    size_t count; /* points of each series */
    int series_count;
    struct chart_series series[CHART_SERIES];
};

/* Writes the chart to <path>.svg, 960×560, and <path>.png, 1920×1120: aside, as <file>.part, and
 * then renamed, so that a viewer never sees half of one. -1 with ERROR_IO (what cairo says),
 * ERROR_MEMORY or ERROR_INVALID; the file in question, if any, is then as it was. */
int chart_write(const struct chart *chart, const char *path, struct error *error);

#endif
