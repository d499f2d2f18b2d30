/* Signals that ask a program to end or to stop for a while.
 *
 * The first SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal was closed) makes `signals_descriptor`
 * readable and signals_stop() true, so that a loop that waits on sockets wakes up and ends in good
 * order. A second SIGINT or SIGTERM ends the process at once with status 130; SIGHUP never does,
 * for a closed terminal sends several. The process ends likewise, with a line on standard error,
 * when it takes longer than signals_grace allows: what it does may have no end. Any of the three
 * that was ignored when the program started (nohup, `program &` in a script) stays ignored. SIGTSTP
 * (Ctrl-Z) stops the process and its clock_now(). SIGPIPE and SIGTTOU are ignored: a write tells.
 * SIGALRM is taken for the time limit. */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include "common/error.h"

#include <stdbool.h>

/* Installs the handlers; once per process, before any thread is started. -1 with ERROR_IO. */
int signals_install(struct error *error);

/* How many seconds an end in good order may take: from the signal on (10 at first), or where it
 * came already, from this call on. A loop that has noticed the signal, and bounds its own waits,
 * may give itself more. */
void signals_grace(unsigned seconds);
/* Whether a signal is ignored now. */
bool signals_ignored(int number);

/* For poll(): readable from the first signal on, for good. Do not read from it. */
int signals_descriptor(void);

/* Whether a signal came. Async-signal-safe, thread-safe. */
bool signals_stop(void);

/* What SIGTSTP does, for a program that reads it from a descriptor: stops this process until
 * SIGCONT, and clock_now() for as long. Async-signal-safe. */
void signals_pause(void);

/* Whether a SIGTSTP of this si_code should: not a Ctrl-Z that reaches the leader of a session (`ssh
 * -t host program`), since there is no shell then to let it go on. Async-signal-safe. */
bool signals_may_pause(int code);

#endif
