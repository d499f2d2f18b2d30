/* What coordinator.c (lifecycle and loop), control.c (the dialogue), flow.c (leases and batches),
 * scoring.c and reporting.c share. Nobody else includes it. */
#ifndef TRAINER_COORDINATOR_PRIVATE_H
#define TRAINER_COORDINATOR_PRIVATE_H

#include "common/clock.h"
#include "common/peer.h"
#include "common/record.h"
#include "trainer/best.h"
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
    void *context, *control, *data;
    char control_address[ENDPOINT_MAX], data_address[ENDPOINT_MAX];
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
    struct best best;
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
    bool stuck;    /* the step in hand did not end after a signal */
    int64_t moved; /* when a step ended, or the signal came */
    bool save_failed;
    struct error failure;      /* of training or saving */
    int64_t turn;              /* clock_now() of the loop's latest turn */
    int64_t drain_left;        /* ns that evaluators may still keep silent, once training is over */
    bool full;                 /* so many checkpoints are unscored that training waits */
    struct evaluations scores; /* as a run that goes on found them */
    int missing;               /* checkpoints that were not scored and are not there any more */
    uint64_t missing_step;     /* the first of them */
    uint64_t scored_step;      /* whose figures the summary has */
    int64_t next_progress, next_check, next_waiting, next_offer;
    uint32_t pairs_renewals;    /* of augmenters' connections to us, since nothing came over them */
    int64_t arrived;            /* when a batch that was due came last */
    int64_t waiting_since;      /* since when no batch came; 0: batches flow */
    struct train_progress seen; /* what train_look gave last */
    struct train_progress sums; /* since the last PROGRESS message */
    int64_t sums_since;
    double first_batch, last_batch; /* clock_seconds() */
    uint64_t images;                /* trained by this process */
    uint64_t rejected;              /* bad messages */
    struct rest control_rest, data_rest;
    struct log_limits bad_control, bad_data, visits; /* lines about each peer */
    struct log_limit full_line;
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

/* Nobody could be heard for so many nanoseconds: they are not counted as silence. */
void control_forgive(struct coordinator *self, int64_t span);

/* Drops members that have been silent for too long. */
void control_check_silence(struct coordinator *self, int64_t now);

/* Offers every evaluator what it was not offered yet, as far as it may have it. */
void control_offer(struct coordinator *self);

/* Offers every evaluator the oldest again that it has not answered: a message may have been lost.
 */
void control_offer_again(struct coordinator *self);

/* PROGRESS or REPORT to all who watch; to one that is slow it is lost. They get it here and not by
 * a socket that publishes: what strangers subscribe to there costs memory and time without bound.
 */
void control_tell_watchers(struct coordinator *self, Digitsum__Header *header);

/* Tells those who fetch from members of this role which there are, and over which connections
 * nothing comes. */
void control_announce(struct coordinator *self, Digitsum__Role role);

/* Tells everyone that the run is over, as self->over says. */
void control_stop(struct coordinator *self);

/* Bits of the evaluators that are there. */
uint32_t control_evaluators(const struct coordinator *self);

/* --- scoring.c: what evaluators still owe --- */

/* Publishes the checkpoints that an earlier incarnation left in `folder` up to the step that the
 * run goes on from, and finds out which are scored and which is best. -1 with the reason. */
int scoring_restore(struct coordinator *self, const char *folder, struct error *error);

/* The dataset is known, and with it which steps had a checkpoint: counts those up to the one that
 * the run goes on from that were neither scored nor are there to be scored. */
void scoring_find_missing(struct coordinator *self, const struct train_settings *settings);

/* The summary's figures are those of the newest checkpoint that was scored. */
void scoring_take(struct coordinator *self, struct scored scored);

/* Whether training is to wait for an evaluator; says so in the log. Sets self->full. */
bool scoring_full(struct coordinator *self);

/* Whether the end of the run waits for an evaluator. */
bool scoring_waits(const struct coordinator *self);

/* Checkpoints of this run that nobody scored, as far as is known. */
int scoring_unscored(const struct coordinator *self);

/* Whether every checkpoint was scored and best.safetensors is the best: 0; -1 with what is missing.
 * A run that nobody evaluates owes nothing, as long as none of its checkpoints had to go. */
int scoring_check(struct coordinator *self, struct error *error);

/* --- flow.c: leases out, batches in --- */

/* The dataset became known: computes the run's length, opens the ledger, lets training begin. */
int flow_begin(struct coordinator *self, struct error *error);

/* Takes in arrived batches. -1: the socket failed. */
int flow_receive(struct coordinator *self, struct error *error);

/* Moves what is next in order to the training thread, then leases what is due. */
void flow_advance(struct coordinator *self);

/* Asks others for what loaders have owed for too long, has the connections that it was to come by
 * made anew, and says so. */
void flow_check_stalls(struct coordinator *self, int64_t now);

/* What the run waits for, in words, or "" while batches flow and when nothing is left to do. */
const char *flow_waiting(const struct coordinator *self);

/* --- reporting.c: what people see --- */

/* Sends PROGRESS to all watchers, with the sums since the last one, and starts new sums. */
void reporting_progress(struct coordinator *self, int64_t now);

/* Logs what the run waits for, after half a minute of waiting and then every half minute. */
void reporting_waiting(struct coordinator *self, int64_t now);

/* Fills the summary from all that the coordinator knows. */
void reporting_summary(struct coordinator *self, struct summary *summary);

#endif
