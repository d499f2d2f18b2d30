/* From evaluations to charts: what is shown, on which scale, under which words. */
#include "evaluator/plot.h"

#include "evaluator/chart.h"
#include "evaluator/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT 256
/* Losses beyond these are drawn at the edge; keeps the axis to a few decades. */
#define POINTS_MOST 1000 /* more than a picture has columns to tell apart */
#define LOSS_LEAST 1e-6
#define LOSS_MOST 1e6

/* Scored evaluations by step, with room for the points of both lines. */
struct picture {
    struct evaluation *list;
    size_t count;
    struct chart_point *points[CHART_SERIES];
    char title[TEXT], subtitle[TEXT], dataset[TEXT];
    char values[CHART_SERIES][TEXT], details[CHART_SERIES][TEXT];
};

static int by_step(const void *left, const void *right) {
    const struct evaluation *a = left, *b = right;
    int by_epoch = (a->epoch > b->epoch) - (a->epoch < b->epoch);
    return by_epoch ? by_epoch : (a->step > b->step) - (a->step < b->step);
}

static void picture_free(struct picture *picture) {
    free(picture->list);
    for (int i = 0; i < CHART_SERIES; i++)
        free(picture->points[i]);
}

static int picture_fill(struct picture *picture, const struct plot_title *title,
                        const struct evaluation *evaluations, size_t count, struct error *error) {
    /* A long run's are thinned out, or its evaluator and its pictures would grow without end. */
    size_t stride = count / POINTS_MOST + 1, room = count / stride + 2;
    *picture = (struct picture){.list = malloc(room * sizeof *picture->list)};
    bool enough = picture->list;
    for (int i = 0; i < CHART_SERIES; i++) {
        picture->points[i] = malloc(room * sizeof **picture->points);
        enough = enough && picture->points[i];
    }
    if (!enough) {
        picture_free(picture);
        return error_set(error, ERROR_MEMORY, "no memory to draw %zu evaluations", count);
    }
    for (size_t i = 0; i < count; i++)
        if ((i % stride == 0 || i == count - 1) && !evaluations[i].error[0] &&
            evaluations[i].count > 0)
            picture->list[picture->count++] = evaluations[i];
    qsort(picture->list, picture->count, sizeof *picture->list, by_step);
    report_clean_text(picture->title, TEXT, title->run);
    report_clean_text(picture->dataset, TEXT, title->dataset);
    return 0;
}

/* 10000 → "10,000" */
static const char *grouped(uint32_t number, char text[static 16]) {
    if (number >= 1000000)
        snprintf(text, 16, "%u,%03u,%03u", number / 1000000, number / 1000 % 1000, number % 1000);
    else if (number >= 1000)
        snprintf(text, 16, "%u,%03u", number / 1000, number % 1000);
    else
        snprintf(text, 16, "%u", number);
    return text;
}

static void begin_chart(struct chart *chart, struct picture *picture, bool synthetic,
                        const char *what) {
    const struct evaluation *last = picture->count ? &picture->list[picture->count - 1] : NULL;
    /* The dataset's name is all that tells us that these are not those of the test split. */
    const char *test = strstr(picture->dataset, " held out") ? "" : "test ";
    char pairs[16];
    if (last)
        snprintf(picture->subtitle, TEXT, "%s on %s %spairs of %.120s", what,
                 grouped(last->count, pairs), test, picture->dataset);
    else
        snprintf(picture->subtitle, TEXT, "%s on the %spairs of %.120s", what, test,
                 picture->dataset);
    *chart = (struct chart){.title = picture->title,
                            .subtitle = picture->subtitle,
                            .warning = synthetic ? "synthetic digits, not MNIST" : NULL,
                            .x_name = "epoch",
                            .empty = "no evaluation yet",
                            .x = axis_linear(last ? last->epoch : 1),
                            .count = picture->count};
}

static int write_chart(const struct chart *chart, const char *folder, const char *name,
                       struct error *error) {
    static const struct {
        const char *suffix;
        int (*draw)(const struct chart *, uint8_t **, size_t *, struct error *);
    } forms[] = {{"svg", chart_svg}, {"png", chart_png}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint8_t *bytes;
        size_t size;
        char *path;
        if (forms[i].draw(chart, &bytes, &size, error))
            return error_prefix(error, "%s/%s.%s", folder, name, forms[i].suffix);
        int result = -1;
        if (asprintf(&path, "%s/%s.%s", folder, name, forms[i].suffix) < 0)
            error_set(error, ERROR_MEMORY, "%s: no memory for a file name", folder);
        else {
            result = file_replace(path, bytes, size, error);
            free(path);
        }
        free(bytes);
        if (result)
            return -1;
    }
    return 0;
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

static int plot_accuracy(const char *folder, struct picture *picture, bool synthetic,
                         struct error *error) {
    struct chart chart;
    double low = 100, high = 0;
    begin_chart(&chart, picture, synthetic, "Accuracy with its 95 % Wilson interval,");
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
    chart.y_name = "accuracy, on a logarithmic scale of the error";
    chart.y = picture->count ? axis_logarithmic(low, high) : axis_logarithmic(0.5, 100);
    chart.y_label = accuracy_label;
    chart.downwards = true;
    chart.series_count = 2;
    chart.series[0] = (struct chart_series){
        "digit", picture->values[0], picture->details[0], 0.00, 0.42, 0.72, picture->points[0]};
    chart.series[1] = (struct chart_series){
        "sum", picture->values[1], picture->details[1], 0.90, 0.40, 0.00, picture->points[1]};
    return write_chart(&chart, folder, "accuracy", error);
}

/* --- loss --- */

static void loss_label(double value, char text[static CHART_LABEL]) {
    snprintf(text, CHART_LABEL, "%.8g", value);
}

static int plot_loss(const char *folder, struct picture *picture, bool synthetic,
                     struct error *error) {
    struct chart chart;
    double low = INFINITY, high = 0;
    size_t gaps = 0;
    begin_chart(&chart, picture, synthetic, "Mean loss");
    for (size_t i = 0; i < picture->count; i++) {
        double loss = picture->list[i].loss;
        double y = isfinite(loss) ? fmin(fmax(loss, LOSS_LEAST), LOSS_MOST) : NAN;
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
    chart.y_name = "loss, on a logarithmic scale";
    chart.y = low <= high ? axis_logarithmic(low, high) : axis_logarithmic(0.01, 10);
    chart.y_label = loss_label;
    chart.series_count = 1;
    chart.series[0] = (struct chart_series){
        "loss", picture->values[0], picture->details[0], 0.38, 0.24, 0.60, picture->points[0]};
    return write_chart(&chart, folder, "loss", error);
}

void plot_clean(const char *folder) {
    static const char *const names[] = {"accuracy.svg", "accuracy.png", "loss.svg", "loss.png"};
    char path[1200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((size_t)snprintf(path, sizeof path, "%s/%s.part", folder, names[i]) < sizeof path)
            unlink(path);
}

int plot_write(const char *folder, const struct plot_title *title,
               const struct evaluation *evaluations, size_t count, struct error *error) {
    struct picture picture;
    if (file_make_folder(folder, error) || picture_fill(&picture, title, evaluations, count, error))
        return -1;
    int result = plot_accuracy(folder, &picture, title->synthetic, error) ||
                         plot_loss(folder, &picture, title->synthetic, error)
                     ? -1
                     : 0;
    picture_free(&picture);
    return result;
}
