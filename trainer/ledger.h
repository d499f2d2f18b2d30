/* The ledger of leases: which steps are out, with whom, since when, and what is due again. A pure
 * state machine: no sockets, no clock of its own, no threads. What is in it can all be lost without
 * harm, since every step can be made again by anyone, bit for bit.
 *
 * Steps move: due → leased → arrived → consumed. `base` is the oldest step that is not consumed;
 * only base … base+window-1 may be out, which bounds everything downstream. */
#ifndef TRAINER_LEDGER_H
#define TRAINER_LEDGER_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_LOADERS 64 /* most loaders at a time */

struct ledger;

struct ledger_settings {
    uint64_t first, end;                   /* steps first … end-1 */
    uint32_t window;                       /* steps out at a time */
    uint32_t group;                        /* most steps of one lease */
    bool hedge;                            /* lease again what was overtaken: see ledger_lease */
    int64_t patience_least, patience_most; /* ns: likewise */
};

struct lease {
    int loader; /* handle from ledger_join */
    uint64_t first;
    uint32_t count;
    bool again; /* a re-lease of a late or lost step */
};

struct ledger_counts {
    uint64_t leased;     /* steps leased for the first time */
    uint64_t re_leased;  /* leases of steps that had been leased before */
    uint64_t duplicates; /* arrivals of steps that were there already */
    uint64_t strays;     /* arrivals of steps that nobody was asked for */
};

enum arrival {
    ARRIVAL_NEW,       /* keep it */
    ARRIVAL_DUPLICATE, /* had it: drop it */
    ARRIVAL_STRAY      /* outside the window: drop it */
};

/* NULL when memory is short. window ≥ 1, group ≥ 1, end ≥ first. */
struct ledger *ledger_create(const struct ledger_settings *settings);
void ledger_destroy(struct ledger **self);

/* A loader came: returns its handle, or -1 when there are LEDGER_LOADERS already. */
int ledger_join(struct ledger *self);
/* It went: what it alone held is due again at once. */
void ledger_leave(struct ledger *self, int loader);

/* The next lease to give at `now` (ns), marked as given; false when nothing is due or no loader is
 * there. Late steps come first and go to another loader than the last where there is one. A step is
 * late when steps leased after it have arrived and it has been out for four smoothed production
 * times, at least patience_least (a hedge: the first copy wins); or in any case after
 * patience_most. Each further try doubles the patience, up to four times. The oldest
 * step, which all others wait for, is late after a second, or after four production times where
 * those are longer. A loader that let a step
 * be late gets nothing for a second, or until something of it comes, where another is there. While
 * more than half of the window is out, new steps wait until a whole group has room. */
bool ledger_lease(struct ledger *self, int64_t now, struct lease *lease);

enum arrival ledger_arrive(struct ledger *self, uint64_t step, int64_t now);

/* A loader of which nothing has come for `patience` ns (each time in a row twice as many, up to
 * sixteen times), although steps have been out with it for so long, or three were asked of others
 * since: its handle, and how long it was, or -1. What it holds is due again, and goes to others
 * where there are any; where there are none not at once, for it would be sent over the connections
 * that are being made anew. Call until -1, and now and then. */
int ledger_stalled(struct ledger *self, int64_t now, int64_t patience, int64_t *silent);

/* A step that had arrived turned out to be bad after all: it is due again. */
void ledger_reject(struct ledger *self, uint64_t step);

/* Whether base has arrived, that is, can be consumed. */
bool ledger_ready(const struct ledger *self);
/* Base is consumed; ledger_ready must be true. */
void ledger_consume(struct ledger *self);

uint64_t ledger_base(const struct ledger *self);

/* When the next step becomes late (ns), or INT64_MAX. */
int64_t ledger_deadline(const struct ledger *self);

struct ledger_counts ledger_counts(const struct ledger *self);

#endif
