/* Following the stream of checkpoints: what was offered, what is being fetched piece by piece, what
 * is whole and verified. A pure state machine: no sockets, no clock of its own.
 *
 * Pull with credit: FOLLOW_CREDIT pieces are asked for at a time, so the trainer sends what we have
 * room for and never waits for us. A piece that does not come is asked for again at its offset. */
#ifndef EVALUATOR_FOLLOW_H
#define EVALUATOR_FOLLOW_H

#include "common/evaluation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_CREDIT 4
#define FOLLOW_QUEUE 256                 /* offers that wait */
#define FOLLOW_BYTES ((uint64_t)4 << 30) /* largest checkpoint that is fetched */
#define FOLLOW_TRIES 3                   /* whole fetches whose digest was wrong */

struct follow;

struct follow *follow_create(void);
void follow_destroy(struct follow **self);

/* A new run was joined: offers and the fetch under way are forgotten; it will offer anew. */
void follow_reset(struct follow *self);

/* Whether a CHECKPOINT can be fetched and leads to an evaluation that can be reported: -1 with
 * ERROR_CORRUPT where its size, step, epoch, samples or seconds cannot be. */
int follow_check(const Digitsum__Header *header, struct error *error);

/* Takes in a CHECKPOINT that passed. Returns 1 if it is queued, 0 if it was queued before or is
 * being fetched: then it becomes final or an epoch's end where the new offer is. *gap: how many
 * sequence numbers were jumped over (0: none) since the last new offer. -1, ERROR_MEMORY: the queue
 * is full of epoch ends. When the queue is full the oldest offer that is no epoch's end gives way,
 * and *given_up is its step (UINT64_MAX: none). */
int follow_offer(struct follow *self, const Digitsum__Header *header, uint32_t *gap,
                 uint64_t *given_up, struct error *error);

/* The trainer cannot read this step's checkpoint any more: true where it waited or is not whole
 * yet: *offered is filled as by follow_take, and it is forgotten. */
bool follow_gone(struct follow *self, uint64_t step, struct evaluation *offered);

/* The next piece to ask for at `now` (ns): true with step, offset and size; call until false. */
bool follow_request(struct follow *self, int64_t now, uint64_t *step, uint64_t *offset,
                    uint32_t *size);

/* A piece came. 0; -1, ERROR_CORRUPT: it is not what was asked for, dropped. */
int follow_piece(struct follow *self, uint64_t step, uint64_t offset, const void *bytes,
                 size_t size, struct error *error);

/* 1: a whole checkpoint is here: its bytes have the offered digest and stay valid until
 * follow_done, and *offered has what the trainer said of it: step, epoch, samples, hashes, final,
 * epoch_end. 0: not yet. -1: *offered is filled, with ERROR_CORRUPT: its digest was wrong
 * FOLLOW_TRIES times, and follow_done goes on to the next; ERROR_MEMORY: there is none to fetch it.
 */
int follow_take(struct follow *self, struct evaluation *offered, const uint8_t **bytes,
                size_t *size, struct error *error);

/* The checkpoint that follow_take gave is dealt with. */
void follow_done(struct follow *self);

/* Offers that wait, the one under way not counted. */
int follow_waiting(const struct follow *self);

#endif
