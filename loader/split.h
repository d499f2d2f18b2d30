/* A split: the images and labels of one half of a dataset, in memory. What every reader fills, and
 * what the rest of the loader reads. Where the bytes came from is the readers' business. */
#ifndef LOADER_SPLIT_H
#define LOADER_SPLIT_H

#include "common/batch.h"
#include "common/error.h"

#include <stdint.h>

#define SPLIT_MAX 10000000 /* samples: refused above this before anything is allocated */

struct split {
    uint32_t count;
    const uint8_t *images; /* [count][28][28], 0 = paper, 255 = ink */
    const uint8_t *labels; /* [count] 0-9 */
    uint8_t *memory;       /* one allocation that holds both; owned, NULL when there is none */
};

/* Makes room for `count` samples (1 … SPLIT_MAX): images first, then labels, all unset, to be
 * written through `memory` (images at 0, labels at count × IMAGE_PIXELS). Free with split_free.
 * `who` names the source in the sentence. Returns 0, or -1 with ERROR_CORRUPT (count out of
 * bounds) or ERROR_MEMORY. */
int split_allocate(struct split *split, uint64_t count, const char *who, struct error *error);

/* Refuses a label above 9 with ERROR_CORRUPT and a sentence that names the first such sample, and
 * what data has labels of this range where that is known. Returns 0, or -1. */
int split_check_labels(const struct split *split, const char *who, struct error *error);

/* What labels from `least` to `most` look like, as the end of a sentence: ""; or "; labels 1-26 …".
 * Used by readers that know more about where a label stands. */
const char *split_guess_labels(uint8_t least, uint8_t most);

/* Swaps rows and columns of every image: EMNIST's lie on their side. */
void split_transpose(struct split *split);

/* Keeps the first `limit` samples; 0 keeps all. No memory is given back. */
void split_limit(struct split *split, uint32_t limit);

/* Takes `count` samples out of `split` and puts them into `held`, which is freed first; both keep
 * their order. 0 takes none. One is drawn from each `count`-th part, the same each time: spread,
 * since a tree of PNG files is sorted by label, and drawn, since MNIST alternates between writers
 * whose digits are hard and easy to read, so that every twelfth image is an easy one.
 * Returns 0, or -1 with ERROR_INVALID where nothing would be left, or ERROR_MEMORY; then nothing is
 * changed. */
int split_hold_out(struct split *split, uint32_t count, struct split *held, const char *who,
                   struct error *error);

/* Frees and zeroes. NULL-safe, twice-safe. */
void split_free(struct split *split);

#endif
