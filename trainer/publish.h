/* Checkpoints on disk that evaluators are still to score, and which files may go. Reads files,
 * talks to nobody.
 *
 * An entry stays, and its file on disk, while it is among the newest `keep`, or an evaluator that
 * is there has not scored it, or evaluators were there and none has: the one that died may come
 * back. What an evaluator that falls behind can hold back is bounded: beyond PUBLISH_PENDING
 * entries the oldest that is no epoch's end is given up, and leaves a gap in the sequence numbers
 * that the evaluator names. */
#ifndef TRAINER_PUBLISH_H
#define TRAINER_PUBLISH_H

#include "common/log.h"
#include "trainer/save.h"

#define PUBLISH_PENDING 64

struct published {
    struct saved saved;
    uint32_t sequence; /* from 1, without holes */
    uint32_t waiting;  /* bit i: it stays for evaluator i */
    uint32_t told;     /* bit i: evaluator i has said how it scored, since it joined */
    bool scored;       /* some evaluator has scored it, or said why it cannot be */
    int descriptor;    /* the open file: readable even after it was unlinked */
};

struct publisher;

struct publisher *publisher_create(int keep, const struct log *log);
void publisher_destroy(struct publisher **self);

/* A new checkpoint, to be scored by the evaluators of `waiting`. It takes the place of the newest
 * where that is of the same step: a run that goes on from its end writes its last file again. The
 * result stays valid until the next call of publisher_add or publisher_tidy. NULL with the reason
 * when it cannot be opened. */
const struct published *publisher_add(struct publisher *self, const struct saved *saved,
                                      uint32_t waiting, struct error *error);

/* An evaluator is to come: what there is to score stays for it, as if it had been there before. */
void publisher_expect(struct publisher *self);

/* Evaluator `bit` came: it is to be offered all that is kept. */
void publisher_join(struct publisher *self, int bit);
void publisher_leave(struct publisher *self, int bit);
/* It scored, or failed to score, this step's checkpoint. False where there is no such checkpoint or
 * it said so before: that is to be ignored. */
bool publisher_scored(struct publisher *self, int bit, uint64_t step);

/* Kept entries, oldest first. */
int publisher_count(const struct publisher *self);
const struct published *publisher_at(const struct publisher *self, int i);

/* Reads `size` bytes at `offset` of a kept step's file. ERROR_CORRUPT when step or range are not
 * there, or the file was cut; ERROR_IO when it cannot be read. */
int publisher_read(const struct publisher *self, uint64_t step, uint64_t offset, uint32_t size,
                   void *bytes, struct error *error);

/* Whether the final checkpoint is still to be scored: by one who is there, or by one who was. */
bool publisher_final_pending(const struct publisher *self);

/* Makes <folder>/best.safetensors the same file as this step's. */
int publisher_best(const struct publisher *self, uint64_t step, const char *folder,
                   struct error *error);

/* Removes the files that nothing holds any more. */
void publisher_tidy(struct publisher *self);

#endif
