/* See form.h. */
#include "deploy/form.h"

#include "common/interval.h"
#include "deploy/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_LEAST = 8, BAR_MOST = 40 };

void form_take_progress(struct form_state *state, const Digitsum__Progress *progress) {
    state->step = progress->step;
    state->steps = progress->steps;
    state->epoch = progress->epoch;
    state->images_per_second = progress->images_per_second;
    state->seconds = progress->seconds;
    if (progress->loss > 0)
        state->loss = progress->loss;
    if (!state->tested && progress->samples > 0) {
        state->digit = progress->digit_accuracy;
        state->sum = progress->sum_accuracy;
    }
    text_fit(state->waiting, sizeof state->waiting, progress->waiting ? progress->waiting : "",
             (int)sizeof state->waiting - 1, false);
}

struct form_scores form_take_report(const Digitsum__Report *report, uint64_t step) {
    struct form_scores scores = {
        .step = step, .epoch = report->epoch, .loss = report->loss, .seconds = report->seconds};
    uint32_t count = report->count;
    const char *failure = NULL;
    if (report->failed)
        failure = report->error && report->error[0] ? report->error : "no reason was given";
    else if (count == 0 || report->digit_hits > count || report->sum_hits > count)
        failure = "the report makes no sense";
    if (failure) {
        text_fit(scores.failure, sizeof scores.failure, failure, sizeof scores.failure - 1, false);
        return scores;
    }
    scores.digit = (double)report->digit_hits / count;
    scores.sum = (double)report->sum_hits / count;
    struct interval digit = interval_wilson(report->digit_hits, count);
    struct interval sum = interval_wilson(report->sum_hits, count);
    scores.digit_low = digit.low;
    scores.digit_high = digit.high;
    scores.sum_low = sum.low;
    scores.sum_high = sum.high;
    return scores;
}

void form_take_scores(struct form_state *state, const struct form_scores *scores) {
    if (scores->failure[0])
        return;
    state->tested = true;
    state->digit = scores->digit;
    state->sum = scores->sum;
}

static bool usable(double value) {
    return isfinite(value) && value >= 0 && value < 1e15;
}

/* How many epochs the whole run has; 0 while that cannot be told. */
static double epochs_of(const struct form_state *state) {
    if (state->step == 0 || state->steps == 0 || !usable(state->epoch) || state->epoch <= 0)
        return 0;
    return state->epoch * (double)state->steps / (double)state->step;
}

/* Whether a run of `total` epochs in `steps` steps means the whole number below: batches are full,
 * so the last one runs over the end of the last epoch by less than a step. */
static bool is_whole(double total, uint64_t steps) {
    return floor(total) > 0 && total - floor(total) < total / (double)steps;
}

/* How many epochs a run begins. */
static double count_epochs(double total, uint64_t steps) {
    return is_whole(total, steps) ? floor(total) : ceil(total);
}

/* A run's length: 10 and not 10.00; 0.25 as it is. */
static void write_total(char *out, size_t size, double total, uint64_t steps) {
    if (is_whole(total, steps))
        snprintf(out, size, "%.0f", floor(total));
    else
        snprintf(out, size, "%.2f", total);
}

/* The epoch that is under way, 1 for the first, and the share of it that is done. */
static void split_epoch(const struct form_state *state, double *number, double *done) {
    double epoch = usable(state->epoch) ? state->epoch : 0;
    double whole = floor(epoch), total = epochs_of(state);
    *number = whole + 1;
    *done = epoch - whole;
    if (total <= 0)
        return;
    double count = count_epochs(total, state->steps);
    if (state->step >= state->steps || *number > count) { /* the end, and not a beginning */
        *number = count;
        *done = 1;
    } else if (total < *number) { /* the last epoch ends before its time */
        *done = fmin(1, (epoch - whole) / (total - whole));
    }
}

/* The parts of a line from left to right, and in the order of their importance: what is told first
 * keeps its place when the line is narrow. The epoch always stays. */
enum part { EPOCH, BAR, PERCENT, RATE, LOSS, ACCURACY, SECONDS, PARTS };
static const enum part by_importance[] = {ACCURACY, BAR, RATE, LOSS, PERCENT, SECONDS};

struct line {
    char parts[PARTS][160]; /* "" where there is nothing to tell */
};

static void write_accuracy(char *out, size_t size, const struct form_state *state, bool narrow) {
    const char *kind = state->tested ? "test" : "train";
    bool good = state->digit >= 0 && state->digit <= 1 && state->sum >= 0 && state->sum <= 1;
    if (!good || (state->digit <= 0 && state->sum <= 0))
        return;
    if (narrow)
        snprintf(out, size, "%s digit %5.2f sum %5.2f", kind, 100 * state->digit, 100 * state->sum);
    else
        snprintf(out, size, "%s digit %5.2f %%  sum %5.2f %%", kind, 100 * state->digit,
                 100 * state->sum);
}

/* All parts but the bar and the epoch. */
static void fill_line(const struct form_state *state, double done, bool narrow, struct line *line) {
    enum { SIZE = sizeof line->parts[0] };
    char number[TEXT_NUMBER];
    snprintf(line->parts[PERCENT], SIZE, "%3.0f %%", floor(100 * done));
    if (usable(state->seconds))
        snprintf(line->parts[SECONDS], SIZE, "%s", text_duration(state->seconds, number));
    if (state->waiting[0]) {
        snprintf(line->parts[ACCURACY], SIZE, "waiting for %s", state->waiting);
        return;
    }
    write_accuracy(line->parts[ACCURACY], SIZE, state, narrow);
    if (usable(state->loss) && state->loss > 0)
        snprintf(line->parts[LOSS], SIZE, "loss %.4f", state->loss);
    if (usable(state->images_per_second) && state->images_per_second > 0)
        snprintf(line->parts[RATE], SIZE, "%6s images/s",
                 text_count((uint64_t)(state->images_per_second + 0.5), number));
}

static void join(const struct line *line, char out[static FORM_LINE]) {
    size_t filled = 0;
    out[0] = '\0';
    for (int i = 0; i < PARTS; i++)
        if (line->parts[i][0])
            filled += (size_t)snprintf(out + filled, FORM_LINE - filled, "%s%s", filled ? "  " : "",
                                       line->parts[i]);
}

static void draw_bar(char *out, size_t size, int columns, double done, bool ascii) {
    int full = (int)(done * columns + 0.5);
    size_t filled = 0;
    for (int i = 0; i < columns; i++) {
        const char *mark = ascii ? (i < full ? "#" : "-") : (i < full ? "━" : "╌");
        size_t length = strlen(mark);
        if (filled + length >= size)
            break;
        memcpy(out + filled, mark, length);
        filled += length;
    }
    out[filled] = '\0';
}

const char *form_bar(const struct form_state *state, int columns, bool ascii,
                     char line[static FORM_LINE]) {
    struct line parts = {0};
    char whole[FORM_LINE], *front = parts.parts[EPOCH];
    double epoch, done, total = epochs_of(state);
    split_epoch(state, &epoch, &done);
    fill_line(state, done, columns < 100, &parts);
    if (total > 0 && columns >= 40)
        snprintf(front, sizeof parts.parts[EPOCH], "epoch %.0f/%.0f", epoch,
                 count_epochs(total, state->steps));
    else
        snprintf(front, sizeof parts.parts[EPOCH], "epoch %.0f", epoch);
    int room = columns - text_columns(front), bar = 0;
    for (size_t i = 0; i < sizeof by_importance / sizeof *by_importance; i++) {
        enum part part = by_importance[i];
        int need = part == BAR ? BAR_LEAST : text_columns(parts.parts[part]);
        if (need == 0)
            continue;
        if (need + 2 > room) {
            parts.parts[part][0] = '\0';
            continue;
        }
        room -= need + 2;
        if (part == BAR)
            bar = BAR_LEAST;
    }
    if (bar > 0) /* it takes what is left over */
        bar = bar + room < BAR_MOST ? bar + room : BAR_MOST;
    draw_bar(parts.parts[BAR], sizeof parts.parts[BAR], bar, done, ascii);
    join(&parts, whole);
    text_fit(line, FORM_LINE, whole, columns > 0 ? columns : 0, ascii);
    return line;
}

const char *form_plain(const struct form_state *state, char line[static FORM_LINE]) {
    struct line parts = {0};
    char step[TEXT_NUMBER], steps[TEXT_NUMBER], of_epochs[64] = "";
    double total = epochs_of(state);
    fill_line(state, 0, false, &parts);
    parts.parts[PERCENT][0] = '\0';
    if (total > 0) {
        of_epochs[0] = '/';
        write_total(of_epochs + 1, sizeof of_epochs - 1, total, state->steps);
    }
    snprintf(parts.parts[EPOCH], sizeof parts.parts[EPOCH], "epoch %.2f%s  step %s%s%s",
             usable(state->epoch) ? state->epoch : 0, of_epochs, text_count(state->step, step),
             state->steps > 0 ? "/" : "", state->steps > 0 ? text_count(state->steps, steps) : "");
    join(&parts, line);
    return line;
}

const char *form_scores(const struct form_scores *scores, char line[static FORM_LINE]) {
    char step[TEXT_NUMBER], seconds[TEXT_NUMBER];
    int used = snprintf(line, FORM_LINE, "epoch %5.2f  step %6s  ",
                        usable(scores->epoch) ? scores->epoch : 0, text_count(scores->step, step));
    char *rest = line + used;
    size_t left = FORM_LINE - (size_t)used;
    if (scores->failure[0])
        snprintf(rest, left, "not evaluated: %s", scores->failure);
    else
        snprintf(rest, left, "digit %.2f %% [%.2f, %.2f]  sum %.2f %% [%.2f, %.2f]  loss %.4f  %s",
                 100 * scores->digit, 100 * scores->digit_low, 100 * scores->digit_high,
                 100 * scores->sum, 100 * scores->sum_low, 100 * scores->sum_high, scores->loss,
                 text_duration(scores->seconds, seconds));
    return line;
}

char *form_box(const char *const *lines, int count, int columns, bool ascii) {
    int inner = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        int width = text_columns(lines[i]);
        inner = width > inner ? width : inner;
        bytes += strlen(lines[i]);
    }
    if (inner > columns - 4)
        inner = columns > 5 ? columns - 4 : 1;
    char *box = NULL, *fitted = malloc(bytes + 1);
    size_t size = 0;
    FILE *out = fitted ? open_memstream(&box, &size) : NULL;
    if (!out)
        goto done;
    for (int i = -1; i <= count; i++) {
        if (i < 0 || i == count) {
            fputs(ascii ? "+" : i < 0 ? "╔" : "╚", out);
            for (int c = 0; c < inner + 2; c++)
                fputs(ascii ? "=" : "═", out);
            fputs(ascii ? "+\n" : i < 0 ? "╗\n" : "╝\n", out);
            continue;
        }
        int used = text_fit(fitted, bytes + 1, lines[i], inner, ascii);
        const char *side = ascii ? "|" : "║";
        fprintf(out, "%s %s%*s %s\n", side, fitted, inner - used, "", side);
    }
    if (fclose(out) != 0) {
        free(box);
        box = NULL;
    }
done:
    free(fitted);
    return box;
}
