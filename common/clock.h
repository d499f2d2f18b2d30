/* Time: a monotonic clock for waits and rates, wall time for people. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds on a clock that never jumps (CLOCK_MONOTONIC), without the time for which this
 * process was stopped by Ctrl-Z: that must not look as if a peer had been silent. */
int64_t clock_now(void);

/* Seconds on the same clock. */
double clock_seconds(void);

/* Seconds since 1970 with their fraction, by the system's clock, which may be set back. */
double clock_wall(void);

/* Around a stop of this process: from the first on clock_now() stands still, from the second on it
 * goes on. Async-signal-safe; thread-safe for readers, not for two who hold it. Harmless twice. */
void clock_hold(void);
void clock_release(void);

/* Writes UTC wall time as "2026-11-20T22:15:03.123Z" (24 characters and NUL) into text. */
void clock_utc(char text[static 25]);

#define CLOCK_MILLISECOND INT64_C(1000000)
#define CLOCK_SECOND INT64_C(1000000000)

#endif
