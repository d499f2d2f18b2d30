/* What the writers of seeds share: inputs are put together here and written, each to its target's
 * folder. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#define SEED_MAX 65536

struct seed {
    uint8_t bytes[SEED_MAX];
    size_t size;
};

void seed_must(int right, const char *what);

/* Writes bytes[size] as the seed `name` of `target`. */
void seed_write(const char *target, const char *name, const void *bytes, size_t size);

/* Begins an input, or in one that was begun a message of it, with a byte of flags; then a frame
 * with its size before it (input.h). */
void seed_begin(struct seed *seed, uint8_t flags);
void seed_flags(struct seed *seed, uint8_t flags);
void seed_frame(struct seed *seed, const void *bytes, size_t size);

/* The file of a step's checkpoint; the caller frees it. */
uint8_t *seed_make_checkpoint(uint64_t step, size_t *size);

/* Those of wire, control, worker and evaluator: seeds_messages.c. */
void seed_messages(void);

#endif
