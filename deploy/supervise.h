/* The processes of a run on one machine: started, watched, started again when they die, ended.
 * Knows processes and time; nothing of training, terminals or sockets. */
#ifndef DEPLOY_SUPERVISE_H
#define DEPLOY_SUPERVISE_H

#include "deploy/process.h"

#include <stdint.h>

struct supervisor;

enum supervise_what {
    SUPERVISE_DIED,     /* a worker; it starts again after `delay` */
    SUPERVISE_STARTED,  /* again */
    SUPERVISE_GAVE_UP,  /* a worker that cannot go on: five deaths within a minute, statuses 2, 3
                           and 4 (it would end so again), or no program to run. The run must end */
    SUPERVISE_FINISHED, /* the essential process, well or not: see `status` */
    SUPERVISE_LEFT      /* a worker with status 0, or any after supervisor_release() */
};

struct supervise_event {
    enum supervise_what what;
    const char *name;          /* of the process; these two are valid until the supervisor is not */
    const char *log;           /* path */
    int status;                /* exit status, or 128 + signal */
    int64_t delay;             /* ns, for DIED */
    char words[PROCESS_WORDS]; /* its last words, or why it cannot be started; "" if none */
};

/* NULL when memory is short. */
struct supervisor *supervisor_create(struct error *error);

/* Starts a process; copies what `spec` points to. The end of the `essential` one (at most one) ends
 * the run; all others are workers. -1 when it cannot be started. */
int supervisor_start(struct supervisor *self, const struct process_spec *spec, bool essential,
                     struct error *error);

/* Reaps one that has ended or starts one that is due: returns 1 with what happened, 0 when there is
 * nothing to tell. `now` is clock_now(). Call until it returns 0. A worker that left in good order
 * is started again after two seconds, for then it left alone and not because the run is over. */
int supervisor_next(struct supervisor *self, int64_t now, struct supervise_event *event);

/* Nanoseconds until something is due to start, or -1 if nothing is. */
int64_t supervisor_wait(const struct supervisor *self, int64_t now);

/* From now on what ends stays ended. */
void supervisor_release(struct supervisor *self);

/* To the essential process alone. */
void supervisor_signal_essential(const struct supervisor *self, int signal);

/* To all that run, with all that they have started. */
void supervisor_signal_all(const struct supervisor *self, int signal);

/* Stops all that run, as Ctrl-Z does (SIGTSTP, so that their clocks stand still), and returns when
 * they have stopped, after two seconds at most; and lets them go on. */
void supervisor_pause(const struct supervisor *self);
void supervisor_go_on(const struct supervisor *self);

/* How many run. */
int supervisor_running(const struct supervisor *self);

/* Kills (SIGKILL) and reaps what still runs, and frees everything. NULL-safe. */
void supervisor_destroy(struct supervisor **self);

#endif
