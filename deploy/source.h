/* What data a run was begun with: data.json in its folder, so that a resumed run takes the same
 * without being told. What the data is, and whether it is the same, the loader and the trainer
 * know. */
#ifndef DEPLOY_SOURCE_H
#define DEPLOY_SOURCE_H

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define SOURCE_DATA (PATH_MAX + 8) /* bytes of what --data says, NUL included */
#define SOURCE_HOLD_OUT_MOST 10000000

struct source {
    char data[SOURCE_DATA]; /* as --data says it: "mnist", "png:<folder>" */
    int64_t hold_out;       /* training images held out; 0: none */
    bool transpose;         /* every image turned */
};

/* Writes <folder>/data.json aside, syncs, renames. -1: ERROR_IO, ERROR_MEMORY. */
int source_write(const struct source *source, const char *folder, struct error *error);

/* 1 when it was read, 0 where there is none (then *source is unchanged), -1 with ERROR_IO, or with
 * ERROR_CORRUPT for a file that says something else. */
int source_read(struct source *source, const char *folder, struct error *error);

#endif
