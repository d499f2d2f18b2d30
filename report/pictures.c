/* See pictures.h. What each chart shows, on which scale, under which words. */
#include "report/pictures.h"
#include "common/display.h"
#include "common/file.h"

#include "common/interval.h"
#include "common/signals.h"
#include "report/chart.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 256
#define POINTS_MAX 1000 /* more than a picture has columns to tell apart */
/* Losses beyond these are drawn at the edge; keeps the axis to a few decades. */
#define LOSS_MIN 1e-6
#define LOSS_MAX 1e6

/* What a chart is filled from, and room for its points and texts. */
struct picture {
    const struct results *results;
    struct evaluation *list; /* [count] by step, thinned out */
    size_t count;
    struct chart_point *points[CHART_SERIES];
    char subtitle[TEXT + 160], values[CHART_SERIES][TEXT], details[CHART_SERIES][TEXT];
};

static int by_step(const void *left, const void *right) {
    const struct evaluation *a = left, *b = right;
    int by_epoch = (a->epoch > b->epoch) - (a->epoch < b->epoch);
    return by_epoch ? by_epoch : (a->step > b->step) - (a->step < b->step);
}

static void picture_end(struct picture *picture) {
    free(picture->list);
    for (int i = 0; i < CHART_SERIES; i++)
        free(picture->points[i]);
}

static int picture_begin(struct picture *picture, const struct results *results,
                         struct error *error) {
    /* A long run's evaluations are thinned out, or its pictures would grow without bound. */
    size_t count = results->count, stride = count / POINTS_MAX + 1, room = count / stride + 2;
    *picture = (struct picture){.results = results, .list = malloc(room * sizeof *picture->list)};
    bool enough = picture->list;
    for (int i = 0; i < CHART_SERIES; i++) {
        picture->points[i] = malloc(room * sizeof **picture->points);
        enough = enough && picture->points[i];
    }
    if (!enough) {
        picture_end(picture);
        return error_set(error, ERROR_MEMORY, "no memory to draw %zu evaluations", count);
    }
    for (size_t i = 0; i < count; i++)
        if (i % stride == 0 || i == count - 1)
            picture->list[picture->count++] = results->list[i];
    qsort(picture->list, picture->count, sizeof *picture->list, by_step);
    return 0;
}

/* What all charts have in common; `what` begins the subtitle. */
static void begin_chart(struct picture *picture, struct chart *chart, const char *what) {
    const struct results *results = picture->results;
    const struct evaluation *last = picture->count ? &picture->list[picture->count - 1] : NULL;
    /* The dataset's name is all that tells us that these are not those of the test split. */
    const char *test = strstr(results->dataset, " held out") ? "" : "test ";
    char pairs[DISPLAY_NUMBER];
    snprintf(picture->subtitle, sizeof picture->subtitle, "%s on %s %spairs%s%.120s", what,
             last ? display_count(last->count, pairs) : "the", test,
             results->dataset[0] ? " of " : "", results->dataset);
    *chart = (struct chart){.title = results->run,
                            .subtitle = picture->subtitle,
                            .warning = results->synthetic     ? "synthetic digits, not MNIST"
                                       : !results->dataset[0] ? "no summary yet: dataset unknown"
                                                              : NULL,
                            .x_name = "epoch",
                            .empty = "no evaluation yet",
                            .x = axis_linear(last ? last->epoch : 1),
                            .count = picture->count};
}

/* --- accuracy --- */

static void accuracy_label(double value, char text[static CHART_LABEL]) {
    snprintf(text, CHART_LABEL, "%.8g %%", 100 - value);
}

/* Percent of error, never below that of half a pair: a logarithm has no zero. */
static double error_percent(double share_right, uint32_t count) {
    return 100 * fmax(1 - share_right, 0.5 / count);
}

static struct chart_point accuracy_point(const struct evaluation *evaluation, uint32_t hits) {
    struct interval interval = interval_wilson(hits, evaluation->count);
    return (struct chart_point){
        .x = evaluation->epoch,
        .y = error_percent((double)hits / evaluation->count, evaluation->count),
        .low = error_percent(interval.high, evaluation->count),
        .high = error_percent(interval.low, evaluation->count)};
}

static void accuracy_texts(struct picture *picture, int index, uint32_t hits, uint32_t count) {
    int decimals = count > 10000 ? 3 : 2;
    struct interval interval = interval_wilson(hits, count);
    snprintf(picture->values[index], TEXT, "%.*f %%", decimals, 100.0 * hits / count);
    snprintf(picture->details[index], TEXT, "[%.*f, %.*f]", decimals, 100 * interval.low, decimals,
             100 * interval.high);
}

static void fill_accuracy(struct picture *picture, struct chart *chart) {
    double low = 100, high = 0;
    begin_chart(picture, chart, "Accuracy with its 95 % Wilson interval,");
    for (size_t i = 0; i < picture->count; i++) {
        const struct evaluation *evaluation = &picture->list[i];
        const uint32_t hits[] = {evaluation->digit_hits, evaluation->sum_hits};
        for (int head = 0; head < 2; head++) {
            struct chart_point point = accuracy_point(evaluation, hits[head]);
            picture->points[head][i] = point;
            low = fmin(low, point.low);
            high = fmax(high, point.high);
            accuracy_texts(picture, head, hits[head], evaluation->count);
        }
    }
    chart->y_name = "accuracy, on a logarithmic scale of the error";
    chart->y = picture->count ? axis_logarithmic(low, high) : axis_logarithmic(0.5, 100);
    chart->y_label = accuracy_label;
    chart->downwards = true;
    chart->series_count = 2;
    chart->series[0] = (struct chart_series){
        "digit", picture->values[0], picture->details[0], 0.00, 0.42, 0.72, picture->points[0]};
    chart->series[1] = (struct chart_series){
        "sum", picture->values[1], picture->details[1], 0.90, 0.40, 0.00, picture->points[1]};
}

/* --- loss --- */

static void loss_label(double value, char text[static CHART_LABEL]) {
    snprintf(text, CHART_LABEL, "%.8g", value);
}

static void fill_loss(struct picture *picture, struct chart *chart) {
    double low = INFINITY, high = 0;
    size_t gaps = 0;
    begin_chart(picture, chart, "Mean loss");
    for (size_t i = 0; i < picture->count; i++) {
        double loss = picture->list[i].loss;
        double y = isfinite(loss) ? fmin(fmax(loss, LOSS_MIN), LOSS_MAX) : NAN;
        picture->points[0][i] = (struct chart_point){picture->list[i].epoch, y, y, y};
        if (isfinite(loss)) {
            low = fmin(low, y);
            high = fmax(high, y);
        } else
            gaps++;
        snprintf(picture->values[0], TEXT, isfinite(loss) ? "%.4g" : "not finite", loss);
    }
    picture->details[0][0] = '\0';
    if (gaps > 0)
        snprintf(picture->details[0], TEXT, "× not finite: %zu", gaps);
    chart->y_name = "loss, on a logarithmic scale";
    chart->y = low <= high ? axis_logarithmic(low, high) : axis_logarithmic(0.01, 10);
    chart->y_label = loss_label;
    chart->series_count = 1;
    chart->series[0] = (struct chart_series){
        "loss", picture->values[0], picture->details[0], 0.38, 0.24, 0.60, picture->points[0]};
}

/* --- all of them --- */

static const struct {
    const char *name; /* of its two files */
    void (*fill)(struct picture *picture, struct chart *chart);
} pictures[] = {{"accuracy", fill_accuracy}, {"loss", fill_loss}};

int pictures_draw(const struct results *results, const char *folder, struct error *error) {
    struct picture picture;
    struct chart chart;
    char path[PATH_MAX];
    int result = 0;
    if (file_make_folder(folder, error) != 0 || picture_begin(&picture, results, error) != 0)
        return -1;
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures && result == 0; i++) {
        pictures[i].fill(&picture, &chart);
        if (signals_stop())
            result = error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
        else if (path_join(path, folder, pictures[i].name, error) != 0)
            result = -1;
        else
            result = chart_write(&chart, path, error);
    }
    picture_end(&picture);
    return result;
}
