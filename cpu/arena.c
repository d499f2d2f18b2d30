/* Memory that lives as long as an engine. */
#include "cpu/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE 64
#define HUGE_PAGE ((size_t)2 << 20)

struct arena {
    struct arena *next;
    void *block;
};

void *arena_alloc(struct arena **arena, size_t size, const char *what, struct error *error) {
    size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    size_t rounded = size ? (size + alignment - 1) / alignment * alignment : CACHE_LINE;
    struct arena *entry = malloc(sizeof *entry);
    void *block = rounded >= size ? aligned_alloc(alignment, rounded) : NULL;
    if (!entry || !block) {
        free(entry);
        free(block);
        error_set(error, ERROR_MEMORY, "cpu engine: no memory for %s: %zu bytes wanted", what,
                  size);
        return NULL;
    }
    if (alignment == HUGE_PAGE)
        madvise(block, rounded, MADV_HUGEPAGE);
    memset(block, 0, rounded);
    *entry = (struct arena){*arena, block};
    *arena = entry;
    return block;
}

void arena_destroy(struct arena **arena) {
    while (*arena) {
        struct arena *next = (*arena)->next;
        free((*arena)->block);
        free(*arena);
        *arena = next;
    }
}
