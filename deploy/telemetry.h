/* What a run tells of itself: joins the trainer as a watcher and hands out its progress messages
 * and the evaluators' reports, which the trainer passes on. Reconnects by itself. Leaves showing
 * them to view.h. */
#ifndef DEPLOY_TELEMETRY_H
#define DEPLOY_TELEMETRY_H

#include "common/peer.h"

struct telemetry;

/* Joins the trainer at `join` without waiting for it; gives up after `patience` seconds without a
 * word. `context` and `log` (may be NULL) are borrowed. `progress`: hand out the trainer's
 * progress too, not only the reports. NULL with the reason. */
struct telemetry *telemetry_create(void *context, const char *join, const char *name, bool progress,
                                   int patience, const struct log *log, struct error *error);

/* What to zmq_poll() for. */
zmq_pollitem_t telemetry_item(const struct telemetry *self);

/* Milliseconds until telemetry_next must be called even if nothing is readable. */
long telemetry_wait(const struct telemetry *self);

/* Does what is due and returns 1 with a PROGRESS or REPORT message that the caller releases, or 0.
 * -1: as peer_receive (ERROR_CLOSED: the run is over). Call until it returns 0. */
int telemetry_next(struct telemetry *self, struct wire_message *message, struct error *error);

/* NULL-safe. */
void telemetry_destroy(struct telemetry **self);

#endif
