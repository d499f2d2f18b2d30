/* The arrays of an engine's state: made, freed, digested. What is in them is the engine's. */
#include "model/checkpoint.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "digests and files take floats as they lie in memory");

static int take(float **array, size_t count, struct error *error) {
    *array = calloc(count > 0 ? count : 1, sizeof **array);
    return *array ? 0
                  : error_set(error, ERROR_MEMORY, "no memory for %zu floats of a state", count);
}

int state_alloc(struct engine_state *state, const struct net *net,
                const struct optimizer *optimizer, struct error *error) {
    *state = (struct engine_state){0};
    if (take(&state->weights, net->total, error) ||
        (optimizer->ema > 0 && take(&state->ema, net->total, error)) ||
        take(&state->moment1, net->trainable, error) ||
        (optimizer_has_squares(optimizer->kind) && take(&state->moment2, net->trainable, error))) {
        state_free(state);
        return -1;
    }
    return 0;
}

void state_free(struct engine_state *state) {
    if (!state)
        return;
    free(state->weights);
    free(state->ema);
    free(state->moment1);
    free(state->moment2);
    *state = (struct engine_state){0};
}

void state_sha256(const struct engine_state *state, const struct net *net,
                  char hex[static SHA256_HEX]) {
    uint8_t digest[SHA256_SIZE];
    struct sha256 *sha = sha256_create();
    if (!sha) {
        memset(hex, '?', SHA256_HEX - 1);
        hex[SHA256_HEX - 1] = '\0';
        return;
    }
    sha256_update(sha, state->weights, net->total * sizeof *state->weights);
    if (state->ema)
        sha256_update(sha, state->ema, net->total * sizeof *state->ema);
    sha256_digest(sha, digest);
    sha256_destroy(&sha);
    sha256_hex(digest, hex);
}
