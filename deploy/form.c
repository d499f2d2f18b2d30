/* See form.h. */
#include "deploy/form.h"

#include "common/display.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_MIN = 8, BAR_MAX = 40 };

static bool usable(double value) {
    return isfinite(value) && value >= 0 && value < 1e15;
}

/* How fast it goes in this start, for the time that is left: a mean in which what happened a minute
 * earlier counts a third. A resumed run reckons from where it went on; while nothing is trained it
 * slows down. */
static void take_pace(struct form_state *state, const Digitsum__Progress *progress) {
    static const double fade = 60;
    double passed = progress->seconds - state->seconds;
    bool follows = state->paced && progress->step >= state->step && usable(progress->seconds) &&
                   passed >= 0 && passed < 1e6;
    if (!follows) {
        state->pace_steps = state->pace_seconds = 0;
        state->paced = progress->step > 0 && usable(progress->seconds) &&
                       !(progress->waiting && progress->waiting[0]);
        return;
    }
    double keep = exp(-passed / fade);
    state->pace_steps = keep * state->pace_steps + (double)(progress->step - state->step);
    state->pace_seconds = keep * state->pace_seconds + passed;
}

/* Seconds to the end at that pace; -1 while that cannot be known. */
static double seconds_left(const struct form_state *state) {
    if (state->step >= state->steps || state->pace_seconds < 1 || state->pace_steps < 1)
        return -1;
    double left = (double)(state->steps - state->step) * state->pace_seconds / state->pace_steps;
    return left < 1e8 ? left : -1;
}

void form_take_progress(struct form_state *state, const Digitsum__Progress *progress) {
    take_pace(state, progress);
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
    display_fit(state->waiting, sizeof state->waiting, progress->waiting ? progress->waiting : "",
                (int)sizeof state->waiting - 1, false);
}

void form_take_evaluation(struct form_state *state, const struct evaluation *evaluation) {
    if (evaluation->error[0])
        return;
    state->tested = true;
    state->digit = evaluation_digit_accuracy(evaluation);
    state->sum = evaluation_sum_accuracy(evaluation);
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

/* The number of the epoch that is under way, 1 for the first. */
static double epoch_number(const struct form_state *state, double total) {
    double number = floor(usable(state->epoch) ? state->epoch : 0) + 1;
    if (total <= 0)
        return number;
    double count = count_epochs(total, state->steps); /* at the end none begins */
    return state->step >= state->steps || number > count ? count : number;
}

/* The share of the run that is done; of the epoch, while the run's length is not known. */
static double share_done(const struct form_state *state) {
    double epoch = usable(state->epoch) ? state->epoch : 0;
    if (state->steps == 0)
        return epoch - floor(epoch);
    return state->step >= state->steps ? 1 : (double)state->step / (double)state->steps;
}

/* The parts of a line from left to right, and in the order of their importance: what is told first
 * keeps its place when the line is narrow. The epoch always stays. */
enum part { EPOCH, BAR, PERCENT, LEFT, RATE, LOSS, ACCURACY, SECONDS, PARTS };
static const enum part by_importance[] = {ACCURACY, BAR, LEFT, PERCENT, LOSS, RATE, SECONDS};

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
    char number[DISPLAY_NUMBER];
    double left = seconds_left(state);
    snprintf(line->parts[PERCENT], SIZE, "%3.0f %%", floor(100 * done));
    if (usable(state->seconds))
        snprintf(line->parts[SECONDS], SIZE, "%s", display_duration(state->seconds, number));
    if (state->waiting[0]) {
        snprintf(line->parts[ACCURACY], SIZE, "waiting for %s", state->waiting);
        return;
    }
    if (left >= 0 && left < 59.5)
        snprintf(line->parts[LEFT], SIZE, "%.0f s left", ceil(left));
    else if (left >= 0)
        snprintf(line->parts[LEFT], SIZE, "%s left", display_duration(left + 0.5, number));
    write_accuracy(line->parts[ACCURACY], SIZE, state, narrow);
    if (usable(state->loss) && state->loss > 0)
        snprintf(line->parts[LOSS], SIZE, "loss %.4f", state->loss);
    if (usable(state->images_per_second) && state->images_per_second > 0)
        snprintf(line->parts[RATE], SIZE, "%6s images/s",
                 display_count((uint64_t)(state->images_per_second + 0.5), number));
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

/* Takes away what does not fit beside the epoch into `columns`; returns the columns for the bar. */
static int choose_parts(struct line *parts, int columns, bool with_bar) {
    int room = columns - display_columns(parts->parts[EPOCH]), bar = 0;
    for (size_t i = 0; i < sizeof by_importance / sizeof *by_importance; i++) {
        enum part part = by_importance[i];
        int need = part != BAR ? display_columns(parts->parts[part]) : with_bar ? BAR_MIN : 0;
        if (need == 0)
            continue;
        if (need + 2 > room) {
            parts->parts[part][0] = '\0';
            continue;
        }
        room -= need + 2;
        if (part == BAR)
            bar = BAR_MIN;
    }
    if (bar > 0) /* it takes what is left over */
        bar = bar + room < BAR_MAX ? bar + room : BAR_MAX;
    return bar;
}

const char *form_bar(const struct form_state *state, int columns, bool ascii,
                     char line[static FORM_LINE]) {
    struct line parts = {0};
    char whole[FORM_LINE], *front = parts.parts[EPOCH];
    double total = epochs_of(state), epoch = epoch_number(state, total);
    double done = share_done(state);
    fill_line(state, done, columns < 100, &parts);
    if (total > 0 && columns >= 40)
        snprintf(front, sizeof parts.parts[EPOCH], "epoch %.0f/%.0f", epoch,
                 count_epochs(total, state->steps));
    else
        snprintf(front, sizeof parts.parts[EPOCH], "epoch %.0f", epoch);
    int bar = choose_parts(&parts, columns, true);
    draw_bar(parts.parts[BAR], sizeof parts.parts[BAR], bar, done, ascii);
    join(&parts, whole);
    display_fit(line, FORM_LINE, whole, columns > 0 ? columns : 0, ascii);
    return line;
}

const char *form_plain(const struct form_state *state, int columns, char line[static FORM_LINE]) {
    struct line parts = {0};
    char step[DISPLAY_NUMBER], steps[DISPLAY_NUMBER], of_epochs[64] = "", whole[FORM_LINE];
    double total = epochs_of(state);
    fill_line(state, 0, columns < 100, &parts);
    parts.parts[PERCENT][0] = '\0';
    if (total > 0) {
        of_epochs[0] = '/';
        write_total(of_epochs + 1, sizeof of_epochs - 1, total, state->steps);
    }
    snprintf(parts.parts[EPOCH], sizeof parts.parts[EPOCH], "epoch %.2f%s  step %s%s%s",
             usable(state->epoch) ? state->epoch : 0, of_epochs, display_count(state->step, step),
             state->steps > 0 ? "/" : "",
             state->steps > 0 ? display_count(state->steps, steps) : "");
    choose_parts(&parts, columns, false);
    join(&parts, whole);
    display_fit(line, FORM_LINE, whole, columns > 0 ? columns : 0, false);
    return line;
}

char *form_box(const char *const *lines, int count, int columns, bool ascii) {
    int inner = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        int width = display_columns(lines[i]);
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
        int used = display_fit(fitted, bytes + 1, lines[i], inner, ascii);
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
