/* What a program puts right about its process before it does anything else. */
#ifndef COMMON_STARTUP_H
#define COMMON_STARTUP_H

#include "common/error.h"

#define STARTUP_DESCRIPTORS 256 /* that a process must be able to have open */

/* Opens /dev/null in place of standard descriptors that are closed: the next files to be opened
 * would take their numbers, and what is printed would go into them. Raises the soft limit on open
 * descriptors towards the hard one, since each connection is one, and libzmq aborts the process
 * where it cannot have its own. Ignores SIGXFSZ: a write past the limit on file sizes fails with
 * EFBIG then, which can be told. To be called before a thread is started. -1: ERROR_INVALID where
 * the hard limit is below STARTUP_DESCRIPTORS, ERROR_IO. */
int startup_prepare(struct error *error);

#endif
