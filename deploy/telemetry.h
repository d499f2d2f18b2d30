/* What a run tells of itself: joins the trainer as a watcher and hands out its progress messages
 * and the evaluators' reports. Reconnects by itself. Leaves showing them to view.h. */
#ifndef DEPLOY_TELEMETRY_H
#define DEPLOY_TELEMETRY_H

#include "common/peer.h"

#define TELEMETRY_ITEMS 2

struct telemetry;

/* Joins the trainer at `join` without waiting for it; gives up after `patience` seconds without a
 * word. `context` and `log` (may be NULL) are borrowed. `progress`: listen to the trainer's
 * progress too, not only to the evaluators. NULL with the reason. */
struct telemetry *telemetry_create(void *context, const char *join, const char *name, bool progress,
                                   int patience, const struct log *log, struct error *error);

/* Fills in what to zmq_poll() for. */
void telemetry_items(const struct telemetry *self, zmq_pollitem_t items[static TELEMETRY_ITEMS]);

/* Milliseconds until telemetry_next must be called even if nothing is readable. */
long telemetry_wait(const struct telemetry *self);

/* Does what is due and returns 1 with a PROGRESS or REPORT message that the caller releases, or 0.
 * -1: as peer_receive (ERROR_CLOSED: the run is over); reports that have come already are handed
 * out before. Call until it returns 0. Bad messages are dropped with a line in the log. */
int telemetry_next(struct telemetry *self, struct wire_message *message, struct error *error);

/* NULL-safe. */
void telemetry_destroy(struct telemetry **self);

#endif
