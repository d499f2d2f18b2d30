/* Where people see a run while it goes on: one bar that is redrawn in place on a terminal, plain
 * lines elsewhere, and lines that stay. What they look like is form.h's work. */
#ifndef DEPLOY_VIEW_H
#define DEPLOY_VIEW_H

#include "common/notices.h"
#include "deploy/form.h"

struct view;

/* On `descriptor`, borrowed: a terminal where it is one and TERM is not "dumb". `ascii` as above.
 * NULL when memory is short. */
struct view *view_create(int descriptor, bool ascii);

/* How far the run is now; drawn when it is time: at most eight times a second on a terminal, once
 * in five seconds elsewhere. `now` is clock_now(). */
void view_progress(struct view *self, const struct form_state *state, int64_t now);

/* Milliseconds until a progress that was held back is due to be drawn; -1 if none is. */
long view_wait(const struct view *self, int64_t now);

/* Draws what is due. */
void view_tick(struct view *self, int64_t now);

/* Prints text that stays, above the bar; a newline is added if it does not end with one. */
void view_text(struct view *self, const char *text);
void view_line(struct view *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line for each warning about the run that is not among `shown`, which takes it in. */
void view_warnings(struct view *self, struct notices *shown, const Digitsum__Progress *progress);

/* view_text for an evaluation, as wide as there is room. */
void view_evaluation(struct view *self, const struct evaluation *evaluation);

/* Takes the bar away; the next progress draws it again. */
void view_clear(struct view *self);

/* Columns of the terminal as it is now, a dumb one too; 80 where it is none. */
int view_columns(const struct view *self);

/* NULL-safe; takes the bar away. */
void view_destroy(struct view **self);

#endif
