/* In the place of report/chart.c: cairo would take a tenth of a second for each input. Holds a
 * chart to what its header promises to whoever draws it. */
#include "report/chart.h"

#include <math.h>
#include <stdlib.h>

static void check_axis(const struct axis *axis) {
    if (!(axis->low < axis->high) || (axis->logarithmic && axis->low <= 0) || axis->count < 2 ||
        axis->count > AXIS_TICKS)
        abort();
    for (int i = 1; i < axis->count; i++)
        if (!(axis->ticks[i - 1].value < axis->ticks[i].value))
            abort();
}

static void check_value(const struct axis *axis, double value) {
    double position = axis_position(axis, value);
    if (!(position >= 0 && position <= 1))
        abort();
}

int chart_write(const struct chart *chart, const char *path, struct error *error) {
    (void)path;
    (void)error;
    char label[CHART_LABEL];
    check_axis(&chart->x);
    check_axis(&chart->y);
    for (int i = 0; i < chart->y.count; i++)
        chart->y_label(chart->y.ticks[i].value, label);
    for (int series = 0; series < chart->series_count; series++)
        for (size_t i = 0; i < chart->count; i++) {
            const struct chart_point *point = &chart->series[series].points[i];
            check_value(&chart->x, point->x);
            if (isnan(point->y))
                continue;
            check_value(&chart->y, point->y);
            check_value(&chart->y, point->low);
            check_value(&chart->y, point->high);
        }
    return 0;
}
