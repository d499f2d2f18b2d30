/* The trainer's sockets and everything that is decided between messages: who has joined, which
 * steps are leased, which batch is next, which checkpoints are to be scored, and when it is over.
 * One thread; the arithmetic runs in train.h's, the disk in save.h's. */
#ifndef TRAINER_COORDINATOR_H
#define TRAINER_COORDINATOR_H

#include "common/summary.h"
#include "trainer/settings.h"
#include "trainer/train.h"

struct coordinator;

struct coordinator_settings {
    const struct settings *settings;
    struct goal goal; /* of --until; zeros: none */
    const struct engine_ops *ops;
    const struct net *net;
    struct engine_config config;
    const struct checkpoint *start; /* where to begin: step 0, or the checkpoint resumed */
    const char *dataset;            /* SHA-256 in hex that loaders must have, or "" for any */
    const struct notices *notices;  /* warnings about the start; NULL: none */
    bool alone;                     /* the run folder is locked: nobody else writes there */
    double seconds_to_target;       /* of an earlier incarnation; NaN: not reached */
    double began; /* clock_seconds() at which the run began, all its incarnations put end to end */
};

/* Binds the sockets, finds the checkpoints that are on disk already, starts the threads. All in
 * `settings` is borrowed. NULL with the reason. */
struct coordinator *coordinator_create(const struct coordinator_settings *settings,
                                       const struct log *log, struct error *error);

/* Until the run is over and everyone was told. 0: all steps trained, or the goal reached.
 * ERROR_INTERRUPTED: stopped by a signal, with a checkpoint. Fills the summary in every case. */
int coordinator_run(struct coordinator *self, struct summary *summary, struct error *error);

/* Whether a step that does not end was given up after a signal: coordinator_destroy cannot wait for
 * its thread then. It removes the files of the sockets and leaves all else, which the thread may
 * still use, to the end of the process: that must be _exit. */
bool coordinator_stuck(const struct coordinator *self);

void coordinator_destroy(struct coordinator **self);

#endif
