/* See log.h. */
#include "common/log.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 1024 };

static const char *const words[] = {"debug", "info", "warning", "error"};

void log_init(struct log *log, int descriptor, const char *name, enum log_level level) {
    log->descriptor = descriptor;
    log->level = level;
    snprintf(log->name, sizeof log->name, "%s", name);
}

enum log_level log_level_of(const char *word) {
    for (int i = 0; i < LOG_ERROR; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum log_level)i;
    return LOG_ERROR;
}

void log_write(const struct log *log, enum log_level level, const char *format, ...) {
    if (!log || level < log->level)
        return;
    char line[LINE], time[25];
    clock_utc(time);
    int used = snprintf(line, sizeof line, "%s %s  %s  ", time, log->name, words[level]);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    va_end(arguments);
    size_t size = strlen(line);
    /* What others sent may stand in the text: a newline in it must not look like a line of ours. */
    for (size_t i = (size_t)used; i < size; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = '?';
    if (more < 0)
        return;
    line[size] = '\n';
    if (write(log->descriptor, line, size + 1) < 0)
        return; /* there is nobody left to tell */
}

int log_limit_pass(struct log_limit *limit, int64_t now, int64_t period, uint64_t *suppressed) {
    if (now < limit->next) {
        limit->suppressed++;
        return 0;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next = now + period;
    return 1;
}

int log_limits_pass(struct log_limits *limits, const char *peer, int64_t now, int64_t period,
                    int burst, uint64_t *suppressed) {
    int at = LOG_PEERS; /* who finds no room shares the last entry */
    for (int i = 0; i < LOG_PEERS; i++)
        if (strncmp(limits->peers[i].peer, peer, sizeof limits->peers[i].peer - 1) == 0) {
            at = i;
            break;
        }
    for (int i = 0; i < LOG_PEERS && at == LOG_PEERS; i++)
        if (limits->peers[i].limit.next <= now) {
            memset(&limits->peers[i], 0, sizeof limits->peers[i]);
            snprintf(limits->peers[i].peer, sizeof limits->peers[i].peer, "%s", peer);
            at = i;
        }
    struct log_limit *limit = &limits->peers[at].limit;
    int *lines = &limits->peers[at].lines;
    if (now >= limit->next)
        *lines = 0;
    if (*lines > 0 && *lines < burst) {
        ++*lines;
        *suppressed = 0;
        return 1;
    }
    int pass = log_limit_pass(limit, now, period, suppressed);
    *lines += pass;
    return pass;
}
