/* What data a run was begun with: data.json in its folder, so that a resumed run, and verify, take
 * the same without being told, whatever folder they are started in. What the data is, and whether
 * it is the same, the loader and the trainer know. */
#ifndef COMMON_DATA_SOURCE_H
#define COMMON_DATA_SOURCE_H

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define SOURCE_DATA (PATH_MAX + 8) /* bytes of what --data says, NUL included */
#define SOURCE_HOLD_OUT_MAX 10000000

struct data_source {
    char data[SOURCE_DATA]; /* "mnist", or "png:<folder>" and the like with an absolute path */
    char mnist[PATH_MAX];   /* folder that MNIST was looked for in first, absolute; "" if none */
    int64_t hold_out;       /* training images held out; 0: none */
    bool transpose;         /* every image turned */
};

/* Takes over what --data says, with the path behind "png:", "idx:" and the like made absolute: from
 * the working folder, links kept, "~/" expanded where the shell did not (and no folder "~" is
 * there), and no '/' at its end. Where it says "auto" or "mnist", looks up which of MNIST_DIR,
 * data/mnist, data/MNIST, MNIST and ../shared/mnist there is. -1: ERROR_INVALID for one that is
 * too long; ERROR_IO. */
int data_source_settle(struct data_source *source, const char *data, struct error *error);

/* Has MNIST looked for where it was when the run began (sets MNIST_DIR), unless MNIST_DIR names a
 * folder that is there. Before any thread is started. */
void data_source_restore(const struct data_source *source);

/* Writes <folder>/data.json aside, syncs, renames. -1: ERROR_IO, ERROR_MEMORY. */
int data_source_write(const struct data_source *source, const char *folder, struct error *error);

/* 1 when it was read, 0 where there is none (then *source is unchanged), -1 with ERROR_IO, or with
 * ERROR_CORRUPT for a file that says something else. */
int data_source_read(struct data_source *source, const char *folder, struct error *error);

#endif
