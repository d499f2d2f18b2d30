/* Bytes from a file or from memory, inflated on the way where they are gzip (told by the content,
 * not by the name). Knows nothing of what the bytes mean. */
#ifndef LOADER_SOURCE_H
#define LOADER_SOURCE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct source;

/* Opens a regular file. NULL with ERROR_IO, ERROR_CORRUPT (not a regular file) or ERROR_MEMORY. */
struct source *source_open(const char *path, struct error *error);

/* The same over `size` bytes that the caller keeps; `name` stands in sentences. */
struct source *source_open_memory(const char *name, const void *bytes, size_t size,
                                  struct error *error);

/* Puts the next `size` bytes into `bytes` and how many came into *got: fewer only at the end, and
 * never more than asked for are inflated. A gzip stream may have several members, and zeros behind
 * the last (RFC 1952); its end is reached only with right checksums and nothing else behind it.
 * Returns 0, or -1 with ERROR_CORRUPT (gzip that is damaged, cut short or followed by other bytes)
 * or ERROR_IO. */
int source_read(struct source *self, void *bytes, size_t size, size_t *got, struct error *error);

/* Refuses, before anything is allocated for it, a source that cannot hold `size` bytes in all: a
 * plain one of another size, or a gzip so short that no deflate stream could grow to `size`.
 * Returns 0, or -1 with ERROR_CORRUPT. */
int source_expect(const struct source *self, uint64_t size, struct error *error);

/* NULL-safe, twice-safe. */
void source_close(struct source **self);

#endif
