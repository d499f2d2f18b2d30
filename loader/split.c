/* A split's memory. */
#include "loader/split.h"
#include "common/philox.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

int split_allocate(struct split *split, uint64_t count, const char *who, struct error *error) {
    memset(split, 0, sizeof *split);
    if (count == 0)
        return error_set(error, ERROR_CORRUPT, "%s: holds no samples, at least 1 expected", who);
    if (count > SPLIT_MAX)
        return error_set(error, ERROR_CORRUPT, "%s: %" PRIu64 " samples, at most %d expected", who,
                         count, SPLIT_MAX);
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

/* clang-format off */
static const struct {
    uint8_t least, most;
    const char *guess;
} ranges[] = {
    {1, 26, "; labels 1-26 are those of EMNIST letters: digits are in emnist-digits or emnist-mnist"},
    {0, 25, "; labels 0-25 are those of letters A-Z, digits are needed"},
    {0, 46, "; labels 0-46 are those of EMNIST balanced or bymerge: digits are in emnist-digits or "
            "emnist-mnist"},
    {0, 61, "; labels 0-61 are those of EMNIST byclass: digits are in emnist-digits or "
            "emnist-mnist"},
    {1, 10, "; labels 1-10 with 10 for the digit 0, as MATLAB and SVHN have them: store 0 for 10"},
    {'0', '9', "; labels 48-57 are the characters '0' to '9': store the numbers 0 to 9"},
};
/* clang-format on */

const char *split_guess_labels(uint8_t least, uint8_t most) {
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].least == least && ranges[i].most == most)
            return ranges[i].guess;
    return "";
}

int split_check_labels(const struct split *split, const char *who, struct error *error) {
    uint8_t least = UINT8_MAX, most = 0;
    uint32_t first = split->count;
    for (uint32_t i = split->count; i-- > 0;) {
        uint8_t label = split->labels[i];
        least = label < least ? label : least;
        most = label > most ? label : most;
        if (label > 9)
            first = i;
    }
    if (first == split->count)
        return 0;
    return error_set(error, ERROR_CORRUPT, "%s: label %u of sample %" PRIu32 ", 0-9 expected%s",
                     who, split->labels[first], first, split_guess_labels(least, most));
}

void split_transpose(struct split *split) {
    for (uint32_t i = 0; i < split->count; i++) {
        uint8_t *image = split->memory + (size_t)i * IMAGE_PIXELS;
        for (int row = 0; row < IMAGE_ROWS; row++)
            for (int column = 0; column < row; column++) {
                uint8_t *one = image + row * IMAGE_COLUMNS + column;
                uint8_t *other = image + column * IMAGE_COLUMNS + row, kept = *one;
                *one = *other;
                *other = kept;
            }
    }
}

void split_limit(struct split *split, uint32_t limit) {
    if (limit && limit < split->count)
        split->count = limit;
}

static void move_sample(uint8_t *images, uint8_t *labels, uint32_t to, const struct split *from,
                        uint32_t sample) {
    memmove(images + (size_t)to * IMAGE_PIXELS, from->images + (size_t)sample * IMAGE_PIXELS,
            IMAGE_PIXELS);
    labels[to] = from->labels[sample];
}

/* The run's seed has no part in it: what is held out belongs to the dataset. */
static uint32_t drawn_below(uint32_t part, uint32_t bound) {
    uint32_t words[4];
    philox_draw(0, PHILOX_HOLD_OUT, part, 0, 0, words);
    return philox_below(words[0], bound);
}

int split_hold_out(struct split *split, uint32_t count, struct split *held, const char *who,
                   struct error *error) {
    struct split taken;
    if (count == 0)
        return 0;
    if (count >= split->count)
        return error_set(error, ERROR_INVALID,
                         "%s: %" PRIu32 " of %" PRIu32 " training images cannot be held out: at "
                         "least one must be left",
                         who, count, split->count);
    if (split_allocate(&taken, count, who, error))
        return -1;
    uint8_t *images = split->memory, *labels = split->memory + (split->labels - split->images);
    uint32_t kept = 0;
    for (uint32_t part = 0, i = 0; part < count; part++) {
        uint32_t end = (uint32_t)((uint64_t)(part + 1) * split->count / count);
        uint32_t out = drawn_below(part, end - i) + i;
        for (; i < end; i++)
            if (i == out)
                move_sample(taken.memory, taken.memory + (size_t)count * IMAGE_PIXELS, part, split,
                            i);
            else
                move_sample(images, labels, kept++, split, i);
    }
    split->count = kept;
    split_free(held);
    *held = taken;
    return 0;
}

void split_free(struct split *split) {
    if (!split)
        return;
    free(split->memory);
    memset(split, 0, sizeof *split);
}
