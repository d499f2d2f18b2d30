/* Memory that lives as long as an engine: allocated while planning, freed all at once. */
#ifndef CPU_ARENA_H
#define CPU_ARENA_H

#include "common/error.h"

#include <stddef.h>

struct arena; /* a list of blocks */

/* Zeroed memory, aligned to a cache line; large blocks are aligned and advised for huge pages. A
 * size of 0 gives one cache line. NULL with ERROR_MEMORY that names `what` and the size. */
void *arena_alloc(struct arena **arena, size_t size, const char *what, struct error *error);

/* Frees every block and sets *arena to NULL. */
void arena_destroy(struct arena **arena);

#endif
