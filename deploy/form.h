/* The forms in which people see a run: the bar, a line of a log, a notice.
 * Pure functions of numbers and texts that come from the network: whatever these hold, every form
 * is safe to print. Leaves where and when to view.h. */
#ifndef DEPLOY_FORM_H
#define DEPLOY_FORM_H

#include "common/evaluation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORM_LINE 1024 /* bytes that hold any line, NUL included */

/* How far a run is. */
struct form_state {
    uint64_t step, steps; /* trained, of so many; steps 0: not known */
    double epoch;         /* passes over the data so far, with fraction */
    double loss;          /* below: not finite or out of range is left out */
    double digit, sum;    /* 0-1: shares of hits */
    bool tested;          /* they are an evaluator's, not those of the training batches */
    double images_per_second;
    double seconds; /* since the run began */
    /* For the time that is left: steps and seconds of this start, the older the less they count. */
    double pace_steps, pace_seconds;
    bool paced;        /* a step has been seen to reckon from */
    char waiting[128]; /* what the trainer waits for; "" while it trains */
};

/* Take over what is new; training accuracies only until an evaluator has told better ones. */
void form_take_progress(struct form_state *state, const Digitsum__Progress *progress);
void form_take_evaluation(struct form_state *state, const struct evaluation *evaluation);

/* The bar of the whole run in at most `columns` columns, with the time that is left once that can
 * be known: what does not fit is left out, the least important first. `ascii`: no character beyond
 * ASCII. Returns `line`. */
const char *form_bar(const struct form_state *state, int columns, bool ascii,
                     char line[static FORM_LINE]);

/* The same as a line for a log, in the same way. Returns `line`. */
const char *form_plain(const struct form_state *state, int columns, char line[static FORM_LINE]);

/* A notice that cannot be missed: `lines` (count of them) in a box of `columns` at most, newlines
 * included. The caller frees; NULL when memory is short. */
char *form_box(const char *const *lines, int count, int columns, bool ascii);

#endif
