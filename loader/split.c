/* A split's memory. */
#include "loader/split.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

int split_allocate(struct split *split, uint64_t count, const char *who, struct error *error) {
    memset(split, 0, sizeof *split);
    if (count == 0)
        return error_set(error, ERROR_CORRUPT, "%s: holds no samples, at least 1 expected", who);
    if (count > SPLIT_MAXIMUM)
        return error_set(error, ERROR_CORRUPT, "%s: %" PRIu64 " samples, at most %d expected", who,
                         count, SPLIT_MAXIMUM);
    /* Batches gather rows at random: huge pages, where the system has them, spare most of the
     * address translations, and the faults of filling them. */
    size_t size = (size_t)count * (IMAGE_PIXELS + 1);
    size_t rounded = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (size < HUGE_PAGE)
        split->memory = malloc(size);
    else if ((split->memory = aligned_alloc(HUGE_PAGE, rounded)))
        (void)madvise(split->memory, rounded, MADV_HUGEPAGE);
    if (!split->memory)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu bytes of samples", who, size);
    split->count = (uint32_t)count;
    split->images = split->memory;
    split->labels = split->memory + count * IMAGE_PIXELS;
    return 0;
}

void split_limit(struct split *split, uint32_t limit) {
    if (limit && limit < split->count)
        split->count = limit;
}

void split_free(struct split *split) {
    if (!split)
        return;
    free(split->memory);
    memset(split, 0, sizeof *split);
}
