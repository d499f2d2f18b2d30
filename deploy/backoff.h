/* When a worker that died may start again. Pure: the caller tells the time. */
#ifndef DEPLOY_BACKOFF_H
#define DEPLOY_BACKOFF_H

#include <stdint.h>

#define BACKOFF_DEATHS 5 /* so many within a minute are too many */

/* Zero-initialise. */
struct backoff {
    int64_t deaths[BACKOFF_DEATHS]; /* when, as a ring */
    unsigned count;                 /* since the last quiet minute */
};

/* Notes a death at `now` (clock_now()). Returns how many nanoseconds to wait before starting again:
 * 0.1 s after the first, then twice as long each time up to 5 s, from the beginning after a minute
 * without a death; -1 when this was the fifth within a minute. */
int64_t backoff_note(struct backoff *self, int64_t now);

#endif
