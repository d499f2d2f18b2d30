/* See draw.h. */
#include "deploy/draw.h"

#include "common/clock.h"
#include "deploy/process.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t draw_time = 30 * CLOCK_SECOND;

/* Reads all signals that are there: whether one of them asks to end. */
static bool asked_to_end(int signals) {
    struct signalfd_siginfo info;
    bool asked = false;
    while (read(signals, &info, sizeof info) == sizeof info)
        asked |= info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP;
    return asked;
}

/* Waits until it has ended; returns its exit status. */
static int wait_for(struct process *process, int signals, bool *asked, bool *late) {
    int64_t end = clock_now() + draw_time;
    int status = 0;
    while (!process_reap(process, &status)) {
        struct pollfd item = {.fd = signals, .events = POLLIN};
        poll(&item, 1, 100); /* SIGCHLD wakes us up */
        if (asked_to_end(signals)) {
            *asked = true;
            process_signal(process, SIGTERM, true);
        }
        if (clock_now() > end) {
            *late = true;
            process_signal(process, SIGKILL, true);
        }
    }
    return status;
}

int draw_pictures(const char *binaries, const struct folder *folder, int signals,
                  struct error *error) {
    char program[PATH_MAX + 16], path[PATH_MAX + 32], words[PROCESS_WORDS], text[PROCESS_WORDS];
    const char *argv[] = {program, folder->path, NULL};
    struct process process = {0};
    struct stat lines;
    bool asked = false, late = false;
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder->path);
    if (stat(path, &lines) != 0 || lines.st_size == 0)
        return 0;
    snprintf(program, sizeof program, "%s/report", binaries);
    snprintf(path, sizeof path, "%s/report.log", folder->logs);
    struct process_spec spec = {.name = "report", .argv = argv, .log = path};
    if (process_start(&process, &spec, error) != 0)
        return -1;
    int status = wait_for(&process, signals, &asked, &late);
    if (status == 0)
        return 0;
    if (asked)
        return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
    if (late)
        return error_set(error, ERROR_TIMEOUT, "report did not end within %d s",
                         (int)(draw_time / CLOCK_SECOND));
    return error_set(error, ERROR_IO, "report %s: %.300s", process_status_text(status, text),
                     process_last_words(&process, path, words));
}
