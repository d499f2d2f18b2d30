/* See clock.h. */
#include "common/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* Of the whole process, and set by a signal handler, which can reach nothing else: how long the
 * clock has been held up so far, or, while it is held, -1 - the time that it shows. */
static _Atomic int64_t held;

static int64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

int64_t clock_now(void) {
    for (;;) {
        int64_t before = atomic_load(&held), now = monotonic();
        if (before < 0)
            return -1 - before;
        if (before == atomic_load(&held)) /* not held and let go again in between */
            return now - before;
    }
}

double clock_seconds(void) {
    return (double)clock_now() / (double)CLOCK_SECOND;
}

double clock_wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / (double)CLOCK_SECOND;
}

void clock_hold(void) {
    if (atomic_load(&held) >= 0)
        atomic_store(&held, -1 - clock_now());
}

void clock_release(void) {
    int64_t shown = atomic_load(&held);
    if (shown < 0)
        atomic_store(&held, monotonic() - (-1 - shown));
}

void clock_utc(char text[static 25]) {
    struct timespec now;
    struct tm parts;
    char date[20];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, 25, "%s.%03dZ", date, (int)(now.tv_nsec / CLOCK_MILLISECOND));
}
