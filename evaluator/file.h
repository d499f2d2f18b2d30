/* Writing files that others read meanwhile: whole records at the end, or the whole file at once.
 * Knows nothing of what is in them. */
#ifndef EVALUATOR_FILE_H
#define EVALUATOR_FILE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Appends `size` bytes at offset *end of `descriptor` with one write, then syncs them to the disk;
 * `path` names the file in errors. 0, and *end has moved on; or -1 with ERROR_IO, and the file is
 * cut back to *end, so that no half record stays. */
int file_append(int descriptor, const char *path, const void *bytes, size_t size, uint64_t *end,
                struct error *error);

/* Puts `size` bytes in the place of `path`, by way of a temporary file beside it and a rename: a
 * reader sees the old file or the new one. Not synced to the disk. 0, or -1 with ERROR_IO; the old
 * file, if any, is then as it was and nothing is left behind. */
int file_replace(const char *path, const void *bytes, size_t size, struct error *error);

/* Makes the folder of this path, whose parent must exist; one that is there is fine. */
int file_make_folder(const char *path, struct error *error);

/* Syncs the folder that holds `path`, so that a new file's name survives a crash. */
int file_sync_folder(const char *path, struct error *error);

#endif
