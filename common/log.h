/* Lines for people: "2026-11-20T22:15:03.123Z trainer  info  text".
 *
 * A program creates one log in main and passes it down. A log writes whole lines with one write
 * each, so that the lines of several threads or processes in one file never mix. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log {
    int descriptor;       /* where lines go; not owned */
    enum log_level level; /* lines below are not written */
    char name[32];        /* of the process, e.g. "augment-2" */
};

/* A log on `descriptor` (2 for standard error). */
void log_init(struct log *log, int descriptor, const char *name, enum log_level level);

/* The level that an option's word names ("debug", "info", "warning", "error"). */
enum log_level log_level_of(const char *word);

/* Thread-safe. A newline is added. A NULL log writes nothing. */
void log_write(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(log, ...) log_write(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_write(log, LOG_INFO, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_WARNING, __VA_ARGS__)
#define log_error(log, ...) log_write(log, LOG_ERROR, __VA_ARGS__)

/* At most one line a period from one place, for what a bad peer could cause thousands of times.
 * Zero-initialise. */
struct log_limit {
    int64_t next;        /* clock_now() from which a line may be written again */
    uint64_t suppressed; /* lines not written since the last one */
};

/* Returns 1 if a line may be written now, and sets *suppressed to how many were held back since
 * the last; returns 0 and counts otherwise. `period` and `now` in nanoseconds. */
int log_limit_pass(struct log_limit *limit, int64_t now, int64_t period, uint64_t *suppressed);

#define LOG_PEERS 32 /* peers that are told apart; all further ones share a limit */

/* The same for each peer on its own, so that one that babbles does not hide what another did.
 * Zero-initialise. */
struct log_limits {
    struct {
        char peer[64]; /* "" where free */
        struct log_limit limit;
        int lines; /* written in this period */
    } peers[LOG_PEERS + 1];
};

/* As log_limit_pass for the peer of this name, of which `burst` lines may be written in a period. A
 * peer that was quiet for a period makes room for others. */
int log_limits_pass(struct log_limits *limits, const char *peer, int64_t now, int64_t period,
                    int burst, uint64_t *suppressed);

#endif
