/* A worker's side of the control dialogue: join, heartbeat, rejoin, leave. Every worker has one.
 * Owns the DEALER socket to the trainer; knows nothing of what the work is. */
#ifndef COMMON_PEER_H
#define COMMON_PEER_H

#include "common/endpoint.h"
#include "common/log.h"
#include "common/notices.h"
#include "common/warps.h"
#include "common/wire.h"

#define PEER_NAME 64 /* bytes, NUL included */

/* What a worker is called: the name that it was given, or where it was given none (NULL) its role,
 * host and process, as "augment-gpu7-4711", so that no two are called the same. Returns `given`, or
 * `name` filled in. */
const char *peer_name(const char *given, const char *role, char name[static PEER_NAME]);

struct peer_hello {
    const char *trainer; /* address to join */
    Digitsum__Role role;
    const char *name;                 /* "loader-1" */
    const char *endpoints[4];         /* bound by this worker; NULL-ended. loader: samples, split */
    const Digitsum__Dataset *dataset; /* loader only */
    bool records;                     /* evaluator only: keeps evaluations.jsonl */
    const struct notices *notices;    /* loader only: about the dataset; NULL: none */
    int patience;                     /* seconds without a word from the trainer before giving up */
};

/* What the trainer said on joining. Texts belong to the peer and live until the next WELCOME. */
struct peer_run {
    uint64_t run; /* id; changes when the trainer restarts */
    uint64_t seed;
    uint32_t batch;
    uint64_t steps; /* 0 while unknown */
    uint64_t made;  /* step of the newest checkpoint there was when we joined */
    struct warps warps;
    char pairs[ENDPOINT_MAX];
    int generation; /* counts WELCOMEs: a change means that all sockets to the run are stale */
};

struct peer;

/* Connects and sends HELLO, or lets a name be looked up first (link.h); waits for neither. Copies
 * all texts. `context` is the zmq context, borrowed. NULL with the reason. */
struct peer *peer_create(void *context, const struct peer_hello *hello, const struct log *log,
                         struct error *error);

/* For zmq_poll(): readable when peer_receive has something to do. */
void *peer_socket(const struct peer *self);

/* Milliseconds until peer_receive must be called even if nothing is readable: a heartbeat is due.
 */
long peer_wait(const struct peer *self);

/* Does all that is due (heartbeats, answers, rejoining) and returns 1 with a message of work that
 * the caller releases (LEASE, PEERS, CHECKPOINT, CHUNK), or 0. -1 ends the worker: ERROR_CLOSED
 * (the trainer ended the run in good order), ERROR_REFUSED (with its reason), ERROR_TIMEOUT
 * (nothing heard for `patience` seconds, and why), ERROR_IO. Call until it returns 0: when nothing
 * is left, or now and then while messages keep coming, so that the caller hears its signals whoever
 * floods it. */
int peer_receive(struct peer *self, struct wire_message *message, struct error *error);

/* Asks the trainer at the next peer_receive whether it still knows us, before the heartbeat is due:
 * what came from elsewhere looks as if it had restarted. */
void peer_ask(struct peer *self);

/* NULL until welcomed, and while the trainer is silent. */
const struct peer_run *peer_run(const struct peer *self);

/* Nanoseconds since the trainer was heard last. */
int64_t peer_silence(const struct peer *self);

/* The numeric address by which the trainer is reached: what it announces goes with the same host.
 */
const char *peer_trainer(const struct peer *self);

/* Sends a control message; `run` is filled in. 1 sent, 0 the queue is full or not welcomed. */
int peer_send(struct peer *self, Digitsum__Header *header, struct error *error);

/* Says GOODBYE where there is someone to hear it, and frees everything. NULL-safe. */
void peer_destroy(struct peer **self);

/* A zmq socket with this house's limits: high-water marks of `queue` messages on both sides, the
 * largest frame, a short linger, IPv6 allowed, connections to hosts that are gone closed by TCP's
 * keep-alive. NULL with the reason. */
void *peer_new_socket(void *context, int type, int queue, struct error *error);

/* The same for batches. A peer that takes them and never answers must not swallow many: the
 * system's buffers are bounded as well, and TCP closes the connection of a PUSH socket whose other
 * side takes nothing for five seconds. Not by ZMTP's heartbeats, which would also close its
 * connection: where a connection ends while its socket's queue is full, libzmq 4.3.4's next
 * heartbeat fails an assertion, and takes the process along (zeromq/libzmq issue 4364). */
void *peer_new_data_socket(void *context, int type, int queue, struct error *error);

#endif
