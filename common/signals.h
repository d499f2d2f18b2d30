/* Ctrl-C and SIGTERM: the first asks, the second insists.
 *
 * The first SIGINT or SIGTERM makes `signals_descriptor` readable and signals_stop() true, so that
 * a loop that waits on sockets wakes up and ends in good order. The second ends the process at once
 * with status 130; so does the time that a loop has for it (signals_grace), with a line on standard
 * error, for what the process does may have no end. SIGPIPE is ignored: a write tells. SIGALRM is
 * taken for this. */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include "common/error.h"

#include <stdbool.h>

/* Installs the handlers; once per process, before any thread is started. */
int signals_install(struct error *error);

/* How many seconds an end in good order may take: from the signal on (10 at first), or where it
 * came already, from this call on. A loop that has noticed the signal, and bounds its own waits,
 * may give itself more. */
void signals_grace(unsigned seconds);

/* For poll(): readable from the first signal on, for good. Do not read from it. */
int signals_descriptor(void);

/* Whether a signal came. Async-signal-safe, thread-safe. */
bool signals_stop(void);

#endif
