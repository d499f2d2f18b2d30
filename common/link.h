/* Keeps a zmq socket connected to one address, also where that is a name: names are looked up again
 * as long as nothing answers, and now and then; of several addresses the one that answers is taken.
 * Says what cannot be reached, and why, after 3, 10 and 30 s and then each minute, and when it is
 * reached after all. Leaves to its user what is said over the socket. */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include "common/endpoint.h"
#include "common/log.h"
#include "common/reach.h"

enum { LINK_LOOKS = 16 }; /* at a time, of all links to what others have announced */

struct link;

struct link_spec {
    void *socket;        /* borrowed; its type says what the other side's must be */
    const char *address; /* copied */
    const char *who;     /* is there: "loader loader-1"; copied. NULL: the trainer */
    bool answers;        /* it counts as reached from link_heard on, not from a connection on */
    const struct log *log;
    struct reach_pool *pool; /* bounds the looks of all links to addresses from others; borrowed,
                                may be NULL */
};

/* Connects at once where nothing has to be looked up. NULL: the address makes no sense, or libzmq
 * cannot connect to such. */
struct link *link_create(const struct link_spec *spec, struct error *error);

/* Does what is due. True: it has connected, or connected anew. */
bool link_tend(struct link *self);

/* Milliseconds until link_tend has something to do; a minute at most. */
long link_wait(const struct link *self);

/* The other side has answered. */
void link_heard(struct link *self);

/* The other side is silent: connects anew, to where the name leads now. What waited is dropped. */
void link_renew(struct link *self);

/* The other side has left: nothing is looked for or said any more; the connection stays. */
void link_rest(struct link *self);

/* What it is connected to, numeric; "" where nothing was found yet. Valid as long as the link. */
const char *link_address(const struct link *self);

/* Why it is not reached, as far as is known; "" where it is, or nothing is known. */
const char *link_reason(const struct link *self);

/* ERROR_TIMEOUT with why it was not reached within so many seconds. Returns -1. */
int link_give_up(const struct link *self, long long seconds, struct error *error);

/* Ends the connection, which the socket must survive; or only forgets it. NULL-safe. */
void link_cut(struct link **self);
void link_destroy(struct link **self);

/* Waits, at most `patience` seconds, until it is known which address `join` leads to and an own
 * address faces it; writes it, numeric, into `found`. For who binds beside it. Says what it waits
 * for as above. -1: ERROR_TIMEOUT with the reason, ERROR_INTERRUPTED (a signal). */
int link_find(const char *join, int patience, const struct log *log,
              char found[static ENDPOINT_MAX], struct error *error);

#endif
