/* A lock on what a file stands for, as a run's folder: one process at a time has it, for as long as
 * it lives. The system gives it back however the process ends, so nothing is ever to be cleaned up;
 * the file itself stays: were it removed, two processes could hold locks on two files of that name.
 */
#ifndef COMMON_LOCK_H
#define COMMON_LOCK_H

#include "common/error.h"

#include <stdbool.h>

#define LOCK_HOLDER 160 /* bytes of a holder in words, NUL included */

/* Zero the struct to begin. */
struct lock {
    bool held;
    int descriptor; /* where held */
};

/* Takes the lock of the file at `path`, which is made where it is missing, and writes into it who
 * has it. Tries for `patience` milliseconds: a process that was just killed may take some to end.
 * 0; -1 with ERROR_REFUSED where another process has it, named in the sentence ("process 4711 on
 * gpu7 has it"), ERROR_UNSUPPORTED on a file system without locks, ERROR_IO. */
int lock_take(struct lock *self, const char *path, int patience, struct error *error);

/* Gives it back; does nothing where it is not held. */
void lock_release(struct lock *self);

#endif
