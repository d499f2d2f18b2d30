/* What a loader does for others: makes the batches that it holds leases for, and hands out rows of
 * the test split. Owns the two sockets that others fetch from; the control dialogue is peer.h's. */
#ifndef LOADER_SERVE_H
#define LOADER_SERVE_H

#include "common/endpoint.h"
#include "common/log.h"
#include "common/wire.h"
#include "loader/dataset.h"

struct serve;

/* Binds the samples socket (PUSH) and the split socket (ROUTER) at the addresses given. `dataset`
 * is borrowed. NULL with the reason. */
struct serve *serve_create(void *context, const struct dataset *dataset, const char *samples,
                           const char *split, const struct log *log, struct error *error);

/* What the two addresses resolved to; borrowed. */
const char *serve_samples(const struct serve *self);
const char *serve_split(const struct serve *self);

/* What others are told about a dataset; borrows its texts. `announced` is initialised. */
void serve_describe(const struct dataset *dataset, Digitsum__Dataset *announced);

/* A run was joined: all leases of an earlier one are forgotten. */
void serve_begin(struct serve *self, uint64_t run, uint64_t seed, uint32_t batch);

/* Steps to make. What does not fit into the queue of leases is dropped: the trainer leases it
 * again. */
void serve_lease(struct serve *self, const Digitsum__Lease *lease);

/* For zmq_poll(): the events that serve_work waits for right now, on both sockets. */
void serve_poll_items(const struct serve *self, zmq_pollitem_t items[static 2]);

/* Sends batches until the leases or the room in the socket run out, and answers requests for the
 * split. -1: a socket failed. */
int serve_work(struct serve *self, struct error *error);

/* Steps made and sent since the start. */
uint64_t serve_steps(const struct serve *self);

void serve_destroy(struct serve **self);

#endif
