/* Whether a run still learns, judged by the loss of each step and by the weights of each
 * checkpoint. It does not when a value is not finite, or when the loss has exploded: over
 * HEALTH_FACTOR times what a network scores that knows nothing, for HEALTH_STEPS steps in a row. A
 * single high loss is no such sign: a high rate after a warm-up makes one now and then, and
 * training recovers. */
#ifndef TRAINER_HEALTH_H
#define TRAINER_HEALTH_H

#include "common/notices.h"
#include "model/engine.h"

#define HEALTH_FACTOR 20
#define HEALTH_STEPS 20
#define HEALTH_LAST_STEPS 5 /* at the end of the run, where none will make it better */

/* Plain data; set up by health_begin. */
struct health {
    double untrained;         /* the weighted loss of a network that knows nothing */
    int high;                 /* steps in a row whose loss was over HEALTH_FACTOR times as much */
    bool failed;              /* once it has failed it is not judged again */
    char reason[NOTICE_SIZE]; /* one sentence that names the step; "" while all is well */
};

/* What knows nothing gives each digit and each sum the same probability: ln 10 and ln 19 nats. A
 * scalar sum is worth its squared error: 97.5 if it is always 0, for a digit has mean 4.5 and
 * variance 8.25, so that two have mean square 2 * 8.25 + 9 * 9. Both weighted as in `optimizer`. */
void health_begin(struct health *self, bool regression, const struct optimizer *optimizer);

/* Judges the loss of one finished step; call in the order of the steps. True when this step made it
 * fail: once. */
bool health_note_loss(struct health *self, const struct step_result *result);

/* Judges the last steps of a run once all are noted: HEALTH_LAST_STEPS of them, or the `trained` of
 * this process where it went on shortly before the end. True when it fails by them: once. */
bool health_note_end(struct health *self, uint64_t steps, uint64_t trained);

/* Judges weights and their moving average, as they are after `step` steps. `count` values each.
 * True when it fails by them: once. */
bool health_note_weights(struct health *self, const struct engine_state *state, size_t count,
                         uint64_t step);

/* Whether all weights, and their moving average where there is one, are finite. */
bool health_finite(const struct engine_state *state, size_t count);

#endif
