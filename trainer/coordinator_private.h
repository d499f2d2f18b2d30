/* What coordinator.c (life and loop), control.c (the dialogue) and flow.c (leases and batches)
 * share. Nobody else includes it. */
#ifndef TRAINER_COORDINATOR_PRIVATE_H
#define TRAINER_COORDINATOR_PRIVATE_H

#include "common/clock.h"
#include "common/peer.h"
#include "common/record.h"
#include "trainer/coordinator.h"
#include "trainer/ledger.h"
#include "trainer/members.h"
#include "trainer/publish.h"

#define LOG_PERIOD (60 * CLOCK_SECOND) /* of lines that a peer can cause: one a period, or few */

/* A socket on which nothing but garbage comes rests for a moment after each handful of it. What
 * waits behind it comes in turn (libzmq takes one message from each peer), so little is lost, and
 * who floods us is held up by TCP instead of being listened to at full rate. */
struct rest {
    int bad;       /* messages in a row */
    int64_t until; /* clock_now() */
};

struct coordinator {
    struct coordinator_settings settings;
    const struct log *log;
    /* sockets */
    void *context, *control, *data, *progress;
    char control_address[ENDPOINT_MAXIMUM], data_address[ENDPOINT_MAXIMUM],
        progress_address[ENDPOINT_MAXIMUM];
    int wake; /* eventfd that the threads write */
    /* parts */
    uint64_t run; /* id of this incarnation */
    struct members *members;
    struct ledger *ledger;       /* from the first loader on */
    struct wire_message *window; /* arrived batches: step s at s % window size */
    uint32_t window_size;
    struct feed *feed;
    struct saver *saver;
    struct publisher *publisher;
    struct train *train;
    struct record *record; /* of what was consumed; NULL where nothing is written */
    uint64_t steps;        /* of the whole run, once the dataset is known */
    /* state */
    struct {
        const char *reason; /* the run is over, and why; NULL while it is not */
        bool failed;
    } over;
    bool ending; /* no more leases: finished, stopped, failed, or goal reached */
    bool interrupted, goal_reached, training_over;
    bool save_failed;
    struct error failure; /* of training or saving */
    int64_t drain_until;  /* set when training is over */
    int64_t next_progress, next_check, next_waiting;
    int64_t waiting_since;      /* since when no batch came; 0: batches flow */
    struct train_progress seen; /* what train_look gave last */
    struct train_progress sums; /* since the last PROGRESS message */
    int64_t sums_since;
    double first_batch, last_batch; /* clock_seconds() */
    uint64_t images;                /* trained by this process */
    uint64_t rejected;              /* bad messages */
    struct rest control_rest, data_rest;
    struct log_limits bad_control, bad_data, visits; /* lines about each peer */
    int64_t told_unknown;   /* when a worker was last told to join again after a damaged message */
    struct summary summary; /* its warnings grow as they become known */
};

/* Notes whether a message was good; true: rest now. */
bool rest_note(struct rest *rest, bool good);
bool rest_over(const struct rest *rest, int64_t now);

/* A warning about the run: in the log and in the summary, once however often it comes. */
void coordinator_warn(struct coordinator *self, const char *text);

/* --- control.c: the dialogue --- */

/* Handles all control messages that are there, up to a bound. -1: the socket failed. */
int control_receive(struct coordinator *self, struct error *error);

/* Drops members that have been silent for too long. */
void control_check_silence(struct coordinator *self, int64_t now);

/* Offers a new checkpoint to every evaluator. */
void control_offer(struct coordinator *self, const struct published *entry);

/* Tells everyone that the run is over, as self->over says. */
void control_stop(struct coordinator *self);

/* Bits of the evaluators that are there. */
uint32_t control_evaluators(const struct coordinator *self);

/* --- flow.c: leases out, batches in --- */

/* The dataset became known: computes the run's length, opens the ledger, lets training begin. */
int flow_begin(struct coordinator *self, struct error *error);

/* Takes in arrived batches. -1: the socket failed. */
int flow_receive(struct coordinator *self, struct error *error);

/* Moves what is next in order to the training thread, then leases what is due. */
void flow_advance(struct coordinator *self);

/* What the run waits for, in words, or "" while batches flow. */
const char *flow_waiting(const struct coordinator *self);

#endif
