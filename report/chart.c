/* Layout: the plot area with room at the right for the lines' names, title and subtitle above. All
 * lengths are in points of a page of WIDTH × HEIGHT. */
#include "report/chart.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { WIDTH = 960, HEIGHT = 560, PNG_SCALE = 2 };
enum { LEFT = 84, RIGHT = 800, TOP = 112, BOTTOM = 494 }; /* the plot area */
enum { MARKERS = 40 };   /* points up to which each one is marked */
enum { LABEL_GAP = 46 }; /* least distance of two line labels */

static const double ink[3] = {0.11, 0.12, 0.14};
static const double gray[3] = {0.42, 0.44, 0.47};
static const double alarm_colour[3] = {0.75, 0.11, 0.11};

static void set_colour(cairo_t *cr, const double colour[static 3]) {
    cairo_set_source_rgb(cr, colour[0], colour[1], colour[2]);
}

static void set_series_colour(cairo_t *cr, const struct chart_series *series, double alpha) {
    cairo_set_source_rgba(cr, series->red, series->green, series->blue, alpha);
}

static void set_font(cairo_t *cr, double size, bool bold) {
    cairo_select_font_face(cr, "sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double text_width(cairo_t *cr, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

/* `anchor`: the share of the text's width that lies left of x. */
static void draw_text(cairo_t *cr, double x, double y, double anchor, const char *text) {
    cairo_move_to(cr, x - anchor * text_width(cr, text), y);
    cairo_show_text(cr, text);
    cairo_new_path(cr); /* the end of a text is a point that the next path would begin at */
}

static double x_of(const struct chart *chart, double x) {
    return LEFT + axis_position(&chart->x, x) * (RIGHT - LEFT);
}

static double y_of(const struct chart *chart, double y) {
    double position = axis_position(&chart->y, y);
    return TOP + (chart->downwards ? position : 1 - position) * (BOTTOM - TOP);
}

/* Shrinks the font until the text fits: run names may be long. */
static void draw_fitting_text(cairo_t *cr, double x, double y, double room, double size, bool bold,
                              const char *text) {
    set_font(cr, size, bold);
    double width = text_width(cr, text);
    if (width > room)
        set_font(cr, size * room / width, bold);
    draw_text(cr, x, y, 0, text);
}

static void draw_heading(cairo_t *cr, const struct chart *chart) {
    double room = WIDTH - 2 * 28;
    if (chart->warning) {
        set_font(cr, 14, true);
        double width = text_width(cr, chart->warning) + 24;
        set_colour(cr, alarm_colour);
        cairo_rectangle(cr, WIDTH - 28 - width, 20, width, 28);
        cairo_fill(cr);
        cairo_set_source_rgb(cr, 1, 1, 1);
        draw_text(cr, WIDTH - 28 - 12, 39, 1, chart->warning);
        room -= width + 20;
    }
    set_colour(cr, ink);
    draw_fitting_text(cr, 28, 42, room, 22, true, chart->title);
    set_colour(cr, gray);
    draw_fitting_text(cr, 28, 66, WIDTH - 2 * 28, 14, false, chart->subtitle);
}

static void draw_line(cairo_t *cr, double x0, double y0, double x1, double y1) {
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

static void draw_axes(cairo_t *cr, const struct chart *chart) {
    char label[CHART_LABEL];
    set_font(cr, 13, false);
    for (int i = 0; i < chart->y.count; i++) {
        const struct axis_tick *tick = &chart->y.ticks[i];
        double y = round(y_of(chart, tick->value)) + 0.5; /* on whole pixels: sharp */
        cairo_set_line_width(cr, 1);
        cairo_set_source_rgb(cr, tick->major ? 0.86 : 0.95, tick->major ? 0.87 : 0.95,
                             tick->major ? 0.88 : 0.96);
        draw_line(cr, LEFT, y, RIGHT, y);
        if (tick->major) {
            chart->y_label(tick->value, label);
            set_colour(cr, gray);
            draw_text(cr, LEFT - 10, y + 4.5, 1, label);
        }
    }
    set_colour(cr, gray);
    cairo_set_line_width(cr, 1);
    draw_line(cr, LEFT, BOTTOM + 0.5, RIGHT, BOTTOM + 0.5);
    for (int i = 0; i < chart->x.count; i++) {
        double x = round(x_of(chart, chart->x.ticks[i].value)) + 0.5;
        draw_line(cr, x, BOTTOM + 0.5, x, BOTTOM + 6.5);
        snprintf(label, sizeof label, "%.6g", chart->x.ticks[i].value);
        draw_text(cr, x, BOTTOM + 23, 0.5, label);
    }
    draw_text(cr, (LEFT + RIGHT) / 2.0, BOTTOM + 46, 0.5, chart->x_name);
    draw_text(cr, 28, TOP - 16, 0, chart->y_name);
}

/* One past the last point of the run of points with a value that begins at `start`. */
static size_t run_end(const struct chart *chart, const struct chart_point *points, size_t start) {
    size_t end = start;
    while (end < chart->count && isfinite(points[end].y))
        end++;
    return end;
}

static void draw_band(cairo_t *cr, const struct chart *chart, const struct chart_series *series) {
    const struct chart_point *points = series->points;
    for (size_t start = 0, end; start < chart->count; start = end + 1) {
        end = run_end(chart, points, start);
        for (size_t i = start; i < end; i++)
            cairo_line_to(cr, x_of(chart, points[i].x), y_of(chart, points[i].high));
        for (size_t i = end; i-- > start;)
            cairo_line_to(cr, x_of(chart, points[i].x), y_of(chart, points[i].low));
        set_series_colour(cr, series, 0.15);
        cairo_fill(cr);
        if (end == start + 1) { /* a band of no width: show it as a bar */
            double x = x_of(chart, points[start].x);
            set_series_colour(cr, series, 0.5);
            cairo_set_line_width(cr, 2);
            draw_line(cr, x, y_of(chart, points[start].low), x, y_of(chart, points[start].high));
        }
    }
}

/* Circles for the first series, diamonds for the second: told apart without colours. */
static void draw_marker(cairo_t *cr, const struct chart *chart, int index, double x, double y) {
    if (index == 0)
        cairo_arc(cr, x, y, 4.2, 0, 2 * acos(-1));
    else {
        cairo_move_to(cr, x, y - 4.2);
        cairo_line_to(cr, x + 4.2, y);
        cairo_line_to(cr, x, y + 4.2);
        cairo_line_to(cr, x - 4.2, y);
        cairo_close_path(cr);
    }
    set_series_colour(cr, &chart->series[index], 1);
    cairo_fill_preserve(cr);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_set_line_width(cr, 1);
    cairo_stroke(cr);
}

static void draw_gap(cairo_t *cr, double x) {
    set_colour(cr, alarm_colour);
    cairo_set_line_width(cr, 1.6);
    draw_line(cr, x - 3.5, TOP - 3.5, x + 3.5, TOP + 3.5);
    draw_line(cr, x - 3.5, TOP + 3.5, x + 3.5, TOP - 3.5);
}

static void draw_series(cairo_t *cr, const struct chart *chart, int index) {
    const struct chart_series *series = &chart->series[index];
    const struct chart_point *points = series->points;
    for (size_t start = 0, end; start < chart->count; start = end + 1) {
        end = run_end(chart, points, start);
        for (size_t i = start; i < end; i++)
            cairo_line_to(cr, x_of(chart, points[i].x), y_of(chart, points[i].y));
        /* The first line is the wider one, so that it shows where the second lies upon it. */
        set_series_colour(cr, series, 1);
        cairo_set_line_width(cr, (index == 0 ? 3 : 1.6) * (chart->count > 400 ? 0.6 : 1));
        cairo_stroke(cr);
        for (size_t i = start; i < end; i++)
            if (chart->count <= MARKERS || end == start + 1)
                draw_marker(cr, chart, index, x_of(chart, points[i].x), y_of(chart, points[i].y));
        if (end < chart->count)
            draw_gap(cr, x_of(chart, points[end].x));
    }
}

static void draw_end_label(cairo_t *cr, const struct chart *chart, int index, double y) {
    const struct chart_series *series = &chart->series[index];
    const struct chart_point *last = &series->points[chart->count - 1];
    double x = RIGHT + 22;
    if (isfinite(last->y)) {
        set_series_colour(cr, series, 0.6);
        cairo_set_line_width(cr, 1);
        draw_line(cr, x_of(chart, last->x) + 6, y_of(chart, last->y), x - 4, y);
    }
    set_series_colour(cr, series, 1);
    set_font(cr, 14, true);
    draw_text(cr, x, y + 5, 0, series->name);
    draw_text(cr, x + text_width(cr, series->name) + 6, y + 5, 0, series->value);
    set_font(cr, 12, false);
    set_colour(cr, gray);
    draw_text(cr, x, y + 22, 0, series->detail);
}

/* Each label at the height of its line's end, moved apart where they would overlap. */
static void draw_end_labels(cairo_t *cr, const struct chart *chart) {
    double y[CHART_SERIES];
    for (int i = 0; i < chart->series_count; i++) {
        double value = chart->series[i].points[chart->count - 1].y;
        y[i] = isfinite(value) ? y_of(chart, value) : TOP;
    }
    if (chart->series_count == 2 && fabs(y[0] - y[1]) < LABEL_GAP) {
        int upper = y[1] < y[0];
        double middle = (y[0] + y[1]) / 2;
        double most = BOTTOM - LABEL_GAP / 2.0;
        middle = fmin(fmax(middle, TOP + LABEL_GAP / 2.0), most - 10);
        y[upper] = middle - LABEL_GAP / 2.0;
        y[!upper] = middle + LABEL_GAP / 2.0;
    }
    for (int i = 0; i < chart->series_count; i++)
        draw_end_label(cr, chart, i, fmin(y[i], BOTTOM - 20));
}

static void draw_chart(cairo_t *cr, const struct chart *chart) {
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    draw_heading(cr, chart);
    draw_axes(cr, chart);
    if (chart->count == 0) {
        set_font(cr, 16, false);
        draw_text(cr, (LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0, 0.5, chart->empty);
        return;
    }
    for (int i = 0; i < chart->series_count; i++)
        draw_band(cr, chart, &chart->series[i]);
    for (int i = 0; i < chart->series_count; i++)
        draw_series(cr, chart, i);
    draw_end_labels(cr, chart);
}

/* --- the two forms --- */

/* Draws upon `surface`, finishes it and consumes it. `png`: the file an image is written to. */
static cairo_status_t draw_surface(cairo_surface_t *surface, const struct chart *chart,
                                   double scale, const char *png) {
    cairo_t *cr = cairo_create(surface);
    cairo_font_options_t *options = cairo_font_options_create();
    /* Without hinting the letters have the same widths in both forms. */
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, options);
    cairo_scale(cr, scale, scale);
    draw_chart(cr, chart);
    cairo_status_t status = cairo_status(cr);
    if (status == CAIRO_STATUS_SUCCESS && png)
        status = cairo_surface_write_to_png(surface, png);
    cairo_font_options_destroy(options);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return status;
}

static int write_form(const struct chart *chart, const char *path, bool svg, struct error *error) {
    const char *suffix = svg ? "svg" : "png";
    char name[PATH_MAX], aside[PATH_MAX];
    if (snprintf(name, sizeof name, "%s.%s", path, suffix) >= PATH_MAX ||
        snprintf(aside, sizeof aside, "%s.%s.part", path, suffix) >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "%s: the path is too long", path);
    cairo_status_t status =
        svg ? draw_surface(cairo_svg_surface_create(aside, WIDTH, HEIGHT), chart, 1, NULL)
            : draw_surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, PNG_SCALE * WIDTH,
                                                      PNG_SCALE * HEIGHT),
                           chart, PNG_SCALE, aside);
    int result = 0;
    if (status == CAIRO_STATUS_NO_MEMORY)
        result = error_set(error, ERROR_MEMORY, "%s: no memory to draw it", aside);
    else if (status != CAIRO_STATUS_SUCCESS)
        result = error_set(error, ERROR_IO, "%s: %s", aside, cairo_status_to_string(status));
    else if (rename(aside, name) != 0)
        result = error_set_errno(error, "%s: cannot take its place", name);
    if (result != 0)
        unlink(aside);
    return result;
}

int chart_write(const struct chart *chart, const char *path, struct error *error) {
    return write_form(chart, path, true, error) != 0 || write_form(chart, path, false, error) != 0
               ? -1
               : 0;
}
