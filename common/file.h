/* Files as all programs use them: read whole, written whole or appended to by whole records, so
 * that a reader, or who comes after a power cut, finds the old file or the new one. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes "folder/name" into `path`, PATH_MAX bytes with its NUL. 0, or -1 with ERROR_INVALID where
 * it does not fit; `path` is "" then, which no system call takes for another file. */
int path_join(char path[static PATH_MAX], const char *folder, const char *name,
              struct error *error);

/* Reads a regular file of at most `max` bytes. *bytes is the caller's to free and has a NUL after
 * its *size bytes. -1, and *bytes is NULL: ERROR_IO (also for a folder or a FIFO), ERROR_CORRUPT
 * where it is larger, ERROR_MEMORY. errno is the system's reason, 0 where there is none. */
int file_read(const char *path, size_t max, uint8_t **bytes, size_t *size, struct error *error);

/* Puts `size` bytes in the place of `path`: writes a temporary file in the same folder, syncs it,
 * renames it, syncs the folder. On failure (-1 with ERROR_IO) nothing is left behind and an older
 * file is as it was; only where the last step, the sync of the folder, fails is the new one in
 * place already. The temporary file is ".digitsum-<pid>-<n>.tmp". */
int file_write(const char *path, const void *bytes, size_t size, struct error *error);

/* Appends `size` bytes at offset *end of `descriptor` with one write, then syncs them; `path` names
 * the file in errors. 0, and *end has moved on; or -1 with ERROR_IO, and the file is cut back to
 * *end, so that no half record stays. */
int file_append(int descriptor, const char *path, const void *bytes, size_t size, uint64_t *end,
                struct error *error);

/* Makes a folder where there is none, and syncs the one that it lies in, so that its name survives
 * a power cut. -1 with ERROR_IO, also where something else has its name. */
int file_make_folder(const char *path, struct error *error);

/* Syncs the folder that holds `path`. -1 with ERROR_IO. File systems that cannot sync a folder
 * (EINVAL) are taken to need none. */
int file_sync_folder(const char *path, struct error *error);

/* Removes from a folder the temporary files of file_write whose process is gone: killed in the
 * middle of a write. Those of the own process id too, so call it before a write: in a container
 * every trainer is process 1. `alone`: nobody else can be writing there, and what ids that are in
 * use by now have left goes as well. Files of other names stay. */
void file_sweep(const char *folder, bool alone);

#endif
