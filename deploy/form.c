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
    interval_wilson(report->digit_hits, count, &scores.digit_low, &scores.digit_high);
    interval_wilson(report->sum_hits, count, &scores.sum_low, &scores.sum_high);
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

/* A run's length in epochs: 10 and not 10.00; 0.25 as it is. */
static void write_epochs(char *out, size_t size, double epochs) {
    if (fabs(epochs - round(epochs)) < 0.01)
        snprintf(out, size, "%.0f", epochs);
    else
        snprintf(out, size, "%.2f", epochs);
}

/* One piece of a line and how soon it is left out where the line is too narrow. */
struct piece {
    int rank; /* 0 stays */
    char text[160];
};

enum { EPOCH, BAR, PERCENT, RATE, LOSS, ACCURACY, SECONDS, PIECES };

/* The epoch that is under way, 1 for the first, and the share of it that is done. */
static void split_epoch(const struct form_state *state, double *number, double *done) {
    double epoch = usable(state->epoch) ? state->epoch : 0;
    double whole = floor(epoch), total = epochs_of(state);
    *number = whole + 1;
    *done = epoch - whole;
    if (state->steps > 0 && state->step >= state->steps &&
        epoch > 0) { /* the end, not a beginning */
        *number = ceil(total);
        *done = 1;
    } else if (total > 0 && total < whole + 1) { /* the last epoch is cut short by --steps */
        *done = fmin(1, (epoch - whole) / (total - whole));
    }
}

static void fill_pieces(const struct form_state *state, bool tight,
                        struct piece pieces[static PIECES]) {
    char number[TEXT_NUMBER], other[TEXT_NUMBER];
    double epoch, done, total = epochs_of(state);
    split_epoch(state, &epoch, &done);
    struct piece *piece = &pieces[EPOCH];
    int used = snprintf(piece->text, sizeof piece->text, "epoch %.0f", epoch);
    if (total > 0 && !tight)
        snprintf(piece->text + used, sizeof piece->text - (size_t)used, "/%.0f",
                 ceil(total - 0.01));
    pieces[PERCENT] = (struct piece){.rank = 2};
    snprintf(pieces[PERCENT].text, sizeof pieces[PERCENT].text, "%3.0f %%", floor(100 * done));
    if (state->waiting[0]) {
        pieces[ACCURACY].rank = 1;
        snprintf(pieces[ACCURACY].text, sizeof pieces[ACCURACY].text, "waiting for %s",
                 state->waiting);
    } else if (state->digit >= 0 && state->digit <= 1 && state->sum >= 0 && state->sum <= 1 &&
               (state->digit > 0 || state->sum > 0)) {
        pieces[ACCURACY].rank = 1;
        snprintf(pieces[ACCURACY].text, sizeof pieces[ACCURACY].text, "%s digit %s  sum %s",
                 state->tested ? "test" : "train", text_share(state->digit, number),
                 text_share(state->sum, other));
    }
    if (usable(state->loss) && state->loss > 0 && !state->waiting[0]) {
        pieces[LOSS].rank = 4;
        snprintf(pieces[LOSS].text, sizeof pieces[LOSS].text, "loss %.4f", state->loss);
    }
    if (usable(state->images_per_second) && state->images_per_second > 0 && !state->waiting[0]) {
        pieces[RATE].rank = 3;
        snprintf(pieces[RATE].text, sizeof pieces[RATE].text, "%s images/s",
                 text_count((uint64_t)(state->images_per_second + 0.5), number));
    }
    if (usable(state->seconds)) {
        pieces[SECONDS].rank = 5;
        snprintf(pieces[SECONDS].text, sizeof pieces[SECONDS].text, "%s",
                 text_duration(state->seconds, number));
    }
}

/* Columns of all pieces with two spaces between them. */
static int total_columns(const struct piece pieces[static PIECES]) {
    int columns = 0;
    for (int i = 0; i < PIECES; i++)
        if (pieces[i].text[0])
            columns += text_columns(pieces[i].text) + (columns > 0 ? 2 : 0);
    return columns;
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
    struct piece pieces[PIECES] = {0};
    double epoch, done;
    split_epoch(state, &epoch, &done);
    fill_pieces(state, columns < 40, pieces);
    int room;
    for (;;) { /* leave out the highest rank until the rest fits, without the bar */
        room = columns - total_columns(pieces) - 2;
        int worst = -1;
        for (int i = 0; i < PIECES; i++)
            if (pieces[i].text[0] && pieces[i].rank > 0 &&
                (worst < 0 || pieces[i].rank > pieces[worst].rank))
                worst = i;
        if (room >= -2 || worst < 0)
            break;
        pieces[worst].text[0] = '\0';
    }
    if (room >= BAR_LEAST)
        draw_bar(pieces[BAR].text, sizeof pieces[BAR].text, room < BAR_MOST ? room : BAR_MOST, done,
                 ascii);
    char whole[FORM_LINE] = "";
    size_t filled = 0;
    for (int i = 0; i < PIECES; i++)
        if (pieces[i].text[0])
            filled += (size_t)snprintf(whole + filled, sizeof whole - filled, "%s%s",
                                       filled ? "  " : "", pieces[i].text);
    text_fit(line, FORM_LINE, whole, columns > 0 ? columns : 0, ascii);
    return line;
}

const char *form_plain(const struct form_state *state, char line[static FORM_LINE]) {
    struct piece pieces[PIECES] = {0};
    char text[TEXT_NUMBER], total[TEXT_NUMBER] = "";
    fill_pieces(state, false, pieces);
    double epochs = epochs_of(state);
    if (epochs > 0)
        write_epochs(total, sizeof total, epochs);
    snprintf(pieces[EPOCH].text, sizeof pieces[EPOCH].text, "epoch %.2f%s%s  step %s",
             usable(state->epoch) ? state->epoch : 0, total[0] ? "/" : "", total,
             text_count(state->step, text));
    if (state->steps > 0) {
        size_t used = strlen(pieces[EPOCH].text);
        snprintf(pieces[EPOCH].text + used, sizeof pieces[EPOCH].text - used, "/%s",
                 text_count(state->steps, text));
    }
    pieces[PERCENT].text[0] = '\0';
    size_t filled = 0;
    line[0] = '\0';
    for (int i = 0; i < PIECES; i++)
        if (pieces[i].text[0])
            filled += (size_t)snprintf(line + filled, FORM_LINE - filled, "%s%s",
                                       filled ? "  " : "", pieces[i].text);
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
