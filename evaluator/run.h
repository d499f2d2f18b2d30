/* The evaluator at work: joins, fetches checkpoints and the test split, scores one checkpoint at a
 * time in small pieces between looks at its sockets, and tells everyone what came out. */
#ifndef EVALUATOR_RUN_H
#define EVALUATOR_RUN_H

#include "common/log.h"
#include "common/options.h"

struct run_settings {
    const char *join, *run_dir, *name, *device, *precision, *log_level;
    int64_t threads, batch, patience;
    bool all_digits;
};

extern const struct options_program evaluator_program;

struct run;

/* Binds, joins, opens evaluations.jsonl and the event file where there is a run folder. `settings`
 * is borrowed. NULL with the reason. */
struct run *run_create(const struct run_settings *settings, const struct log *log,
                       struct error *error);

/* Waits for a message, `most` milliseconds at most, and does what is due. 0; -1 with ERROR_CLOSED
 * where the run is over, or with what went wrong. */
int run_turn(struct run *self, long most, struct error *error);

/* Until the run is over: 0. ERROR_INTERRUPTED: a signal. */
int run_loop(struct run *self, struct error *error);

void run_destroy(struct run **self);

#endif
