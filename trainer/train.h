/* The thread that trains: takes batches from the feed, steps the engine, keeps the chain
 * (common/chain.h) and the record (common/record.h) of what it consumed, and hands a snapshot to
 * the saver where a checkpoint is due. Never touches a socket. */
#ifndef TRAINER_TRAIN_H
#define TRAINER_TRAIN_H

#include "common/log.h"
#include "common/notices.h"
#include "common/record.h"
#include "model/checkpoint.h"
#include "model/engine.h"
#include "trainer/feed.h"
#include "trainer/save.h"
#include "trainer/schedule.h"

struct train_settings {
    const struct engine_ops *ops;
    const struct net *net;
    struct engine_config config;
    struct schedule schedule;  /* steps = those of the whole run */
    uint64_t steps;            /* end after this many */
    uint32_t samples;          /* of the training split: tells epochs from steps */
    uint64_t checkpoint_every; /* steps; 0: not by steps */
    double checkpoint_epochs;  /* epochs; 0: at epoch ends alone */
    bool checkpoints;          /* false: none at all (null engine) */
    char dataset[SHA256_HEX];  /* written into checkpoints */
    bool keep_going;           /* train on with a loss that is no use; see health.h */
    struct record *record;     /* takes the digest of each step; borrowed; NULL: none */
};

/* What the socket side sees: sums since the last look, and where training is. */
struct train_progress {
    uint64_t step;                     /* steps done */
    uint64_t images;                   /* trained since the last look */
    double loss, digit_hits, sum_hits; /* sums over those images' batches, weighted by their size */
    double busy;                       /* seconds spent inside the engine since the start */
    double waited, longest_wait;       /* seconds without a batch to train on, since the first */
    char trouble[NOTICE_SIZE]; /* what is wrong with the loss or weights; "" while all is well */
    bool finished;             /* the thread has ended: all steps, stopped, or failed */
    bool failed;
    struct error error; /* when failed */
};

/* Whether a checkpoint is made after `step` steps, besides the one that a run ends with. */
bool train_checkpoint_due(const struct train_settings *settings, uint64_t step);

struct train;

/* Starts the thread, which creates the engine at once, while the data is still on its way. `start`
 * is the checkpoint to begin from: its state is imported, its step and chain continued, and its
 * seed and settings go into all later ones; it must outlive the thread. `wake` is an eventfd that
 * is written whenever progress changed or room in the feed appeared. NULL with the reason. */
struct train *train_start(const struct engine_ops *ops, const struct net *net,
                          const struct engine_config *config, const struct checkpoint *start,
                          struct feed *feed, struct saver *saver, int wake, const struct log *log,
                          struct error *error);

/* The dataset is known: gives the thread what it needs to step. Once. Copies `settings`. */
void train_begin(struct train *self, const struct train_settings *settings);

/* Asks the thread to end after the step in hand, with a checkpoint of it. Does not wait. */
void train_stop(struct train *self);

/* Progress since the last call. */
void train_look(struct train *self, struct train_progress *progress);

/* Waits for the thread's end and frees. The feed must be closed first. */
void train_destroy(struct train **self);

#endif
