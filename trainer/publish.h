/* Checkpoints on disk that evaluators are still to score, and which files may go. Reads files,
 * talks to nobody.
 *
 * A checkpoint is settled once an evaluator that keeps evaluations.jsonl has written its line, or
 * said why it cannot; in a run that no such evaluator ever joined, once any has scored it. An entry
 * stays, and its file on disk, while it is not settled, is among the newest `keep`, is held, or an
 * evaluator that is there has not reported it.
 *
 * What bounds the disk: training waits while `limit` checkpoints are owed (publisher_full). Where
 * no evaluator ever came and none is expected, nobody is waited for: beyond `limit` the oldest goes
 * unscored, and is counted. A second evaluator that falls behind holds back PUBLISH_PENDING settled
 * files: then the oldest that is no epoch's end is given up for it, a gap in the sequence numbers.
 */
#ifndef TRAINER_PUBLISH_H
#define TRAINER_PUBLISH_H

#include "common/log.h"
#include "trainer/save.h"

#define PUBLISH_PENDING 64
#define PUBLISH_OFFERS 64 /* offers to one evaluator that it has not answered yet */
#define PUBLISH_TRIES 5   /* times that a file may be opened anew because its handle is stale */

struct published {
    struct saved saved;
    uint32_t sequence; /* from 1, without holes */
    uint32_t waiting;  /* bit i: it stays for evaluator i */
    uint32_t offered;  /* bit i: evaluator i was told of it, since it joined */
    uint32_t told;     /* bit i: evaluator i has said how it scored, since it joined */
    bool scored;       /* some evaluator has scored it */
    bool recorded;     /* its line is in evaluations.jsonl */
    bool failed;       /* the evaluator that records could not score it */
    bool held;         /* stays whoever has scored it; see publisher_hold */
    int bad_reads;     /* in a row */
};

/* What the end of a run has to answer for. The steps are those of the first of each. */
struct publisher_counts {
    int owed, failed, dropped; /* not settled; settled as failed; removed unscored */
    uint64_t owed_step, failed_step, dropped_step;
};

struct publisher;

/* `keep`: newest files that stay in any case. `limit`: see above, at least 1. */
struct publisher *publisher_create(int keep, int limit, const struct log *log);
void publisher_destroy(struct publisher **self);

/* A new checkpoint, to be scored by the evaluators of `waiting`. Where the newest entry is of the
 * same step and the same bytes, it stays as it is, is offered anew, and becomes final or an epoch's
 * end if the new one is; with other bytes it is replaced. The result stays valid until the next
 * call of publisher_add or publisher_tidy. NULL with ERROR_MEMORY. */
struct published *publisher_add(struct publisher *self, const struct saved *saved, uint32_t waiting,
                                struct error *error);

/* An evaluator is to come: what there is to score stays for it, as if it had been there before.
 * `records`: one that keeps evaluations.jsonl. */
void publisher_expect(struct publisher *self, bool records);

/* Evaluator `bit` came: it is to be offered all that is kept. */
void publisher_join(struct publisher *self, int bit, bool records);
void publisher_leave(struct publisher *self, int bit);
/* It scored, or failed to score, this step's checkpoint; `records` as when it joined. False where
 * there is no such checkpoint or it said so before: that is to be ignored. */
bool publisher_report(struct publisher *self, int bit, uint64_t step, bool records, bool failed);
/* The line of this step is known to be in evaluations.jsonl. */
void publisher_recorded(struct publisher *self, uint64_t step);
/* Whether a report of an evaluator that does not record counts: no other was ever there. */
bool publisher_hears_all(const struct publisher *self);

/* The oldest entry that evaluator `bit` was not offered yet, or NULL: none, or PUBLISH_OFFERS of
 * them are unanswered. Call publisher_offered once it was sent. */
const struct published *publisher_to_offer(const struct publisher *self, int bit);
void publisher_offered(struct publisher *self, int bit, uint64_t step);
/* Evaluator `bit` is to be offered the oldest that it did not answer again: a message may have been
 * lost. */
void publisher_offer_again(struct publisher *self, int bit);

/* Kept entries, oldest first. */
int publisher_count(const struct publisher *self);
const struct published *publisher_at(const struct publisher *self, int i);
const struct published *publisher_find(const struct publisher *self, uint64_t step);

/* Keeps this step's file from being removed, or no longer. */
void publisher_hold(struct publisher *self, uint64_t step, bool hold);

/* Reads `size` bytes at `offset` of a kept step's file, which is open only meanwhile. ERROR_CORRUPT
 * when step or file are gone, it is shorter than it was, or it cannot be read now and later
 * neither; ERROR_INVALID when the range is outside of it; ERROR_IO when it cannot be read for a
 * reason that may pass (no descriptor, no memory). */
int publisher_read(struct publisher *self, uint64_t step, uint64_t offset, uint32_t size,
                   void *bytes, struct error *error);

/* Whether an evaluator was there once, or is to come. */
bool publisher_expecting(const struct publisher *self);

/* Whether so many are owed that training is to wait for an evaluator. */
bool publisher_full(const struct publisher *self);

/* Whether an evaluator that is there has not scored the final checkpoint. */
bool publisher_final_waits(const struct publisher *self);

/* `owed` is 0 where no evaluator ever came or was expected; `unscored` then tells. */
struct publisher_counts publisher_counts(const struct publisher *self);
/* Kept entries that nobody scored. */
int publisher_unscored(const struct publisher *self);

/* Removes the files that nothing holds any more. */
void publisher_tidy(struct publisher *self);

#endif
