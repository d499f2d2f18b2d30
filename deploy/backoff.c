/* See backoff.h. */
#include "deploy/backoff.h"

#include "common/clock.h"

static const int64_t minute = 60 * CLOCK_SECOND;

int64_t backoff_note(struct backoff *self, int64_t now) {
    if (self->count > 0 && now - self->deaths[(self->count - 1) % BACKOFF_DEATHS] >= minute)
        self->count = 0;
    self->deaths[self->count % BACKOFF_DEATHS] = now;
    self->count++;
    if (self->count >= BACKOFF_DEATHS && now - self->deaths[self->count % BACKOFF_DEATHS] < minute)
        return -1;
    int64_t delay = 100 * CLOCK_MILLISECOND;
    for (unsigned i = 1; i < self->count && delay < 5 * CLOCK_SECOND; i++)
        delay *= 2;
    return delay < 5 * CLOCK_SECOND ? delay : 5 * CLOCK_SECOND;
}
