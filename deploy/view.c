/* See view.h. */
#include "deploy/view.h"

#include "common/clock.h"
#include "common/display.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct view {
    int descriptor;
    bool terminal, ascii;
    bool drawn;        /* the bar stands on the line where the cursor is, */
    int drawn_columns; /* so wide */
    bool pending;      /* `state` is newer than what is drawn */
    int64_t due;       /* from when on the next bar or line may be drawn */
    struct form_state state;
};

struct view *view_create(int descriptor, bool ascii) {
    struct view *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    const char *kind = getenv("TERM");
    self->descriptor = descriptor;
    self->ascii = ascii;
    self->terminal = isatty(descriptor) && (!kind || strcmp(kind, "dumb") != 0);
    return self;
}

int view_columns(const struct view *self) {
    struct winsize size;
    if (ioctl(self->descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* A reader that went away (`| head`) must not end the run. */
static void put(struct view *self, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(self->descriptor, text, left);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            text += written;
            left -= (size_t)written;
        }
    }
}

/* A terminal that has become narrower since has wrapped the bar into several lines: the upper ones
 * are taken away too. */
static void wipe(struct view *self) {
    char text[32];
    int lines = self->drawn ? (self->drawn_columns - 1) / view_columns(self) : 0;
    if (lines > 0) {
        snprintf(text, sizeof text, "\r\033[%dA\033[J", lines);
        put(self, text);
    }
}

static void draw(struct view *self, int64_t now) {
    char line[FORM_LINE], text[FORM_LINE + 16];
    self->pending = false;
    if (self->terminal) {
        /* One column stays free: a full line would wrap on some terminals. */
        int columns = view_columns(self) - 1;
        wipe(self);
        form_bar(&self->state, columns, self->ascii, line);
        snprintf(text, sizeof text, "\r%s\033[K", line);
        self->drawn = true;
        self->drawn_columns = display_columns(line);
        self->due = now + CLOCK_SECOND / 8;
    } else {
        form_plain(&self->state, view_columns(self) - 1, line);
        snprintf(text, sizeof text, "%s\n", line);
        self->due = now + 5 * CLOCK_SECOND;
    }
    put(self, text);
}

void view_progress(struct view *self, const struct form_state *state, int64_t now) {
    /* The first line of a log would tell of no step yet: it waits its turn. */
    if (!self->terminal && self->due == 0)
        self->due = now + 5 * CLOCK_SECOND;
    self->state = *state;
    self->pending = true;
    view_tick(self, now);
}

long view_wait(const struct view *self, int64_t now) {
    if (!self->pending)
        return -1;
    return self->due <= now ? 0 : (long)((self->due - now) / CLOCK_MILLISECOND) + 1;
}

void view_tick(struct view *self, int64_t now) {
    if (self->pending && self->due <= now)
        draw(self, now);
}

void view_clear(struct view *self) {
    wipe(self);
    if (self->drawn)
        put(self, "\r\033[K");
    self->drawn = false;
}

void view_text(struct view *self, const char *text) {
    bool again = self->drawn;
    view_clear(self);
    put(self, text);
    if (text[0] == '\0' || text[strlen(text) - 1] != '\n')
        put(self, "\n");
    if (again)
        draw(self, clock_now());
}

void view_evaluation(struct view *self, const struct evaluation *evaluation) {
    char line[EVALUATION_LINE];
    view_text(self, evaluation_line(evaluation, view_columns(self) - 1, self->ascii, line));
}

void view_line(struct view *self, const char *format, ...) {
    char line[2 * FORM_LINE];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    view_text(self, line);
}

void view_warnings(struct view *self, struct notices *shown, const Digitsum__Progress *progress) {
    for (size_t i = 0; i < progress->n_warnings && i < NOTICES_MAX; i++)
        if (notices_add(shown, "%s", progress->warnings[i]))
            view_line(self, "warning: %s", shown->texts[shown->count - 1]);
}

void view_destroy(struct view **pointer) {
    struct view *self = *pointer;
    if (!self)
        return;
    view_clear(self);
    free(self);
    *pointer = NULL;
}
