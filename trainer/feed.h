/* The one bounded queue between the thread that owns the sockets and the thread that trains: whole
 * checked batches in step order, handed over without a copy. */
#ifndef TRAINER_FEED_H
#define TRAINER_FEED_H

#include "common/batch.h"
#include "common/sha256.h"
#include "common/wire.h"

struct feed;

/* A batch and the message that it points into. */
struct feed_item {
    struct batch batch;
    uint8_t digest[SHA256_SIZE]; /* of the batch's rows (common/chain.h) */
    struct wire_message message; /* released by whoever takes the item */
};

struct feed *feed_create(int capacity);
/* Releases what is still inside. Both sides must have ended. */
void feed_destroy(struct feed **self);

/* Socket side; never waits. True: the message, checked by wire_batch, was moved in, with the digest
 * of its rows, which is computed here so that it costs the training thread nothing. False when
 * full: it stays the caller's. */
bool feed_put(struct feed *self, struct wire_message *message);

/* Training side: waits for an item, moved out to the caller. False once the feed is closed; what
 * was inside then is not handed out any more. */
bool feed_take(struct feed *self, struct feed_item *item);

/* No more items: wakes a waiting feed_take. */
void feed_close(struct feed *self);

#endif
