/* See checkpoint_private.h. */
#include "model/checkpoint_private.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_KEY "\"sha256\":\"" /* as encode writes it; within a string quotes are escaped */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the file's floats and lengths are little-endian, as they lie in memory");

const char checkpoint_zeros[DIGITS + 1] =
    "0000000000000000000000000000000000000000000000000000000000000000";

const struct part checkpoint_parts[PARTS] = {
    {"", false, offsetof(struct engine_state, weights)},
    {"ema.", false, offsetof(struct engine_state, ema)},
    {"moment1.", true, offsetof(struct engine_state, moment1)},
    {"moment2.", true, offsetof(struct engine_state, moment2)},
};

float **part_array(const struct engine_state *state, const struct part *part) {
    return (float **)((char *)state + part->member);
}

size_t part_floats(const struct net *net, const struct part *part) {
    return part->trainable_only ? net->trainable : net->total;
}

const struct parameter *part_next(const struct net *net, const struct part *part, int *p,
                                  char name[static TENSOR_NAME]) {
    while (*p < net->parameter_count) {
        const struct parameter *parameter = &net->parameters[(*p)++];
        if (part->trainable_only && parameter->offset >= net->trainable)
            continue;
        snprintf(name, TENSOR_NAME, "%s%s", part->prefix, parameter->name);
        return parameter;
    }
    return NULL;
}

const char *checkpoint_find_digest(const uint8_t *header, size_t size) {
    const char *key = memmem(header, size, DIGEST_KEY, strlen(DIGEST_KEY));
    if (!key)
        return NULL;
    size_t at = (size_t)((const uint8_t *)key - header) + strlen(DIGEST_KEY);
    return size - at > DIGITS ? (const char *)header + at : NULL;
}

int checkpoint_digest(const uint8_t *bytes, size_t size, const char *digits,
                      char hex[static SHA256_HEX], struct error *error) {
    uint8_t digest[SHA256_SIZE];
    size_t before = (size_t)((const uint8_t *)digits - bytes);
    struct sha256 *sha = sha256_create();
    if (!sha)
        return error_set(error, ERROR_MEMORY, "no memory for a SHA-256");
    sha256_update(sha, bytes, before);
    sha256_update(sha, checkpoint_zeros, DIGITS);
    sha256_update(sha, bytes + before + DIGITS, size - before - DIGITS);
    sha256_digest(sha, digest);
    sha256_destroy(&sha);
    sha256_hex(digest, hex);
    return 0;
}

bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

bool is_json_object(const char *text) {
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool object = json_is_object(value);
    json_decref(value);
    return object;
}
