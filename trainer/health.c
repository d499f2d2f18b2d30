/* See health.h. */
#include "trainer/health.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void health_begin(struct health *self, bool regression, const struct optimizer *optimizer) {
    double sum = regression ? 97.5 : log(19);
    *self = (struct health){.untrained = (double)optimizer->digit_weight * log(10) +
                                         (double)optimizer->sum_weight * sum};
}

static bool fail(struct health *self) {
    self->failed = true;
    return true;
}

static bool explode(struct health *self, uint64_t step) {
    snprintf(self->reason, sizeof self->reason,
             "the loss has exploded: over %.0f since step %" PRIu64
             ", where an untrained network has %.1f",
             HEALTH_FACTOR * self->untrained, step - (uint64_t)self->high + 1, self->untrained);
    return fail(self);
}

bool health_note_loss(struct health *self, const struct step_result *result) {
    uint64_t step = result->step + 1; /* as people count: checkpoints too are of steps done */
    if (self->failed)
        return false;
    if (!isfinite(result->loss)) {
        snprintf(self->reason, sizeof self->reason, "the loss is %s since step %" PRIu64,
                 isnan(result->loss) ? "not a number" : "infinite", step);
        return fail(self);
    }
    if (!((double)result->loss > HEALTH_FACTOR * self->untrained)) {
        self->high = 0;
        return false;
    }
    return ++self->high == HEALTH_STEPS && explode(self, step);
}

bool health_note_end(struct health *self, uint64_t steps, uint64_t trained) {
    uint64_t needed = trained < HEALTH_LAST_STEPS ? trained : HEALTH_LAST_STEPS;
    return !self->failed && self->high > 0 && (uint64_t)self->high >= needed &&
           explode(self, steps);
}

/* Integers, so that the compiler makes one wide loop of it: an exponent of all ones is infinite or
 * not a number. */
static bool all_finite(const float *values, size_t count) {
    const uint32_t exponent = UINT32_C(0x7f800000);
    uint32_t bad = 0;
    for (size_t i = 0; values && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

bool health_finite(const struct engine_state *state, size_t count) {
    return all_finite(state->weights, count) && all_finite(state->ema, count);
}

bool health_note_weights(struct health *self, const struct engine_state *state, size_t count,
                         uint64_t step) {
    if (self->failed || health_finite(state, count))
        return false;
    snprintf(self->reason, sizeof self->reason,
             "some weights are not finite numbers at step %" PRIu64, step);
    return fail(self);
}
