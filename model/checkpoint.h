/* A checkpoint: one .safetensors file that is either whole or not there.
 *
 * Tensors (all F32): every parameter under its name ("conv1.weight"), then where present
 * "ema.<name>", "moment1.<name>", "moment2.<name>" (trainable only). `__metadata__` (strings):
 * format = "digitsum-3", step, epoch, samples, seed, updates, network (the text), settings (the
 * run's settings as JSON), computed_with (engine, threads, library …, as JSON: model/traits.h; may
 * be absent), dataset (its SHA-256, hex), chain (head of the chain over consumed batches, hex),
 * sha256 (hex; of the whole file with these 64 digits taken as '0', so that no bit of the file can
 * change unnoticed). Nothing in it depends on when or by which process it was written: a step that
 * is trained again gives the same bytes. File format: https://github.com/huggingface/safetensors
 * (8-byte little-endian header length, JSON header padded with spaces to a multiple of 8, tensor
 * bytes back to back). */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include "common/error.h"
#include "common/sha256.h"
#include "model/net.h"
#include "model/optimizer.h"

#include <stdbool.h>

#define CHECKPOINT_HEADER_MAX (1 << 20)

struct checkpoint {
    uint64_t step;    /* steps trained: the next one is `step` */
    double epoch;     /* samples / samples of the training split */
    uint64_t samples; /* pairs trained on */
    uint64_t seed;
    char *settings; /* JSON text */
    char *computed; /* the same: what it was computed with; NULL: not recorded */
    char dataset[SHA256_HEX];
    uint8_t chain[SHA256_SIZE];
    struct net *net;           /* of the text inside */
    struct engine_state state; /* own arrays */
};

/* A state with zeroed arrays for this net and optimizer: moment2 where it has squares, ema only
 * where it is on. -1 when memory is short. state_free frees the arrays and clears. */
int state_alloc(struct engine_state *state, const struct net *net,
                const struct optimizer *optimizer, struct error *error);
void state_free(struct engine_state *state);

/* SHA-256 of weights, then ema where present: what "weights_sha256" means everywhere. 64 question
 * marks where memory is short. */
void state_sha256(const struct engine_state *state, const struct net *net,
                  char hex[static SHA256_HEX]);

/* The whole file as bytes; *bytes is the caller's to free. The same checkpoint gives the same
 * bytes. -1 with ERROR_INVALID where a member cannot be written (settings that are not a JSON
 * object, a dataset that is not 64 hex digits, an epoch that is not a number, a header over the
 * limit), or ERROR_MEMORY. */
int checkpoint_encode(const struct checkpoint *checkpoint, uint8_t **bytes, size_t *size,
                      struct error *error);

/* Checks everything (sizes, names, shapes against the network text inside, the digest) and takes it
 * apart; `origin` names it in errors. Refuses a file whose tensors do not exactly cover its bytes.
 * NULL with ERROR_CORRUPT, ERROR_UNSUPPORTED (another format) or ERROR_MEMORY. ema, moment1 and
 * moment2 are NULL where the file has none. Caller destroys. */
struct checkpoint *checkpoint_decode(const uint8_t *bytes, size_t size, const char *origin,
                                     struct error *error);
/* Whether both hold the same state of the same run: step, network, data, chain and every bit of the
 * arrays. What only describes the run (settings, epoch) may differ. */
bool checkpoint_same(const struct checkpoint *a, const struct checkpoint *b);

/* As decode, of a regular file; ERROR_IO where it cannot be read. */
struct checkpoint *checkpoint_read(const char *path, struct error *error);

/* The bytes of a checkpoint's file, unchecked but bounded in size; *bytes is the caller's to free.
 * 0, or -1 with ERROR_IO, ERROR_MEMORY or (too large) ERROR_CORRUPT. */
int checkpoint_load(const char *path, uint8_t **bytes, size_t *size, struct error *error);

void checkpoint_destroy(struct checkpoint **checkpoint);

#endif
