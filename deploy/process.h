/* One child process: started with its output in a log, ended with us whatever happens, and its last
 * words when it fails. Leaves what a death means to supervise.h. */
#ifndef DEPLOY_PROCESS_H
#define DEPLOY_PROCESS_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define PROCESS_WORDS                                                                              \
    640 /* bytes of last words, NUL included: the whole sentence of an error fits */

struct process_spec {
    const char *name;               /* "augment-2", for people */
    const char *const *argv;        /* argv[0] is the program's path; NULL-ended */
    const char *const *environment; /* "NAME=value" added to our own; NULL-ended, or NULL */
    const char *log;                /* file that standard output and error are appended to */
};

struct process {
    pid_t pid;      /* 0: not running */
    off_t log_from; /* size of the log when it was started */
};

/* Starts it in a process group of its own (so that a Ctrl-C on the terminal reaches only us), with
 * standard input from /dev/null, no blocked signals, SIGINT and SIGTERM not ignored, and a promise
 * of the kernel to kill it when the calling thread ends, even by SIGKILL. Returns when the program
 * has been executed; -1 with ERROR_IO when it or its log cannot be. */
int process_start(struct process *self, const struct process_spec *spec, struct error *error);

/* Whether it has ended; if so reaps it, sets pid to 0 and *status to its exit status, or to
 * 128 + the signal that ended it. Does not wait. */
bool process_reap(struct process *self, int *status);

/* Sends a signal to it alone, or to its whole group. Harmless when it is not running. */
void process_signal(const struct process *self, int signal, bool group);

/* Waits until it has stopped (or ended), and leaves it to be reaped; false when it has not by
 * `until` (clock_now()). */
bool process_await_stop(const struct process *self, int64_t until);

/* Why it ended, from what it has logged since its start: the last line that tells of an error, or
 * the last line of all; "" where there is none. Time and name at the line's front are left out.
 * Returns `words`, which is safe to print. */
const char *process_last_words(const struct process *self, const char *log,
                               char words[static PROCESS_WORDS]);

/* Prints the last lines of a log, made safe and indented; nothing where it cannot be read. */
void process_show_log(const char *log, FILE *out);

/* "ended with status 3", "was killed by signal 9 (Killed)". Returns `text`. */
const char *process_status_text(int status, char text[static PROCESS_WORDS]);

#endif
