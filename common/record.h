/* What a run consumed, step by step, as a file that a person can read: line t (from 0) is the
 * digest of the batch of step t (chain.h) in 64 hexadecimal digits. The chain's head in a
 * checkpoint says whether two runs consumed the same; this says where they first did not.
 *
 * A line of question marks stands for a step whose digest is not known any more. */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include "common/error.h"
#include "common/sha256.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_LINE 65 /* bytes, newline included */

struct record;

/* Opens (or makes) the file at `path` to go on at `step`, where the chain's head is `head`: lines
 * from there on, of a run that was cut off after its last checkpoint, are thrown away. Where the
 * lines before do not lead to `head`, *lost is set, and they become question marks. NULL with
 * ERROR_IO or ERROR_MEMORY. */
struct record *record_open(const char *path, uint64_t step, const uint8_t head[static SHA256_SIZE],
                           bool *lost, struct error *error);

/* Adds the line of the next step. Buffered; -1 with ERROR_IO. */
int record_add(struct record *self, const uint8_t digest[static SHA256_SIZE], struct error *error);

/* Makes sure that all lines so far are on disk. -1 with ERROR_IO. */
int record_sync(struct record *self, struct error *error);

/* Writes what is buffered as far as it can, and frees. NULL-safe, sets *self to NULL. */
void record_close(struct record **self);

/* Reads a whole file: the digest of each step in *digests and whether it is known in *known, both
 * the caller's to free; *steps is their length, torn last lines left out. -1 with ERROR_IO,
 * ERROR_MEMORY, or ERROR_CORRUPT for a line that is neither a digest nor question marks. */
int record_read(const char *path, uint8_t (**digests)[SHA256_SIZE], bool **known, uint64_t *steps,
                struct error *error);

#endif
