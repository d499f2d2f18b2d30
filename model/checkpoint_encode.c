/* From a checkpoint to the bytes of its file. */
#include "model/checkpoint_private.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int check_members(const struct checkpoint *checkpoint, struct error *error) {
    if (!checkpoint->settings || !is_json_object(checkpoint->settings))
        return error_set(error, ERROR_INVALID,
                         "a checkpoint's settings must be a JSON object, not '%.64s'",
                         checkpoint->settings ? checkpoint->settings : "");
    if (checkpoint->computed && !is_json_object(checkpoint->computed))
        return error_set(error, ERROR_INVALID,
                         "a checkpoint's computed_with must be a JSON object, not '%.64s'",
                         checkpoint->computed);
    if (!is_hex(checkpoint->dataset, DIGITS))
        return error_set(error, ERROR_INVALID,
                         "a checkpoint's dataset must be 64 lower-case hex digits, not '%.64s'",
                         checkpoint->dataset);
    if (!isfinite(checkpoint->epoch) || signbit(checkpoint->epoch))
        return error_set(error, ERROR_INVALID, "a checkpoint's epoch must be 0 or more, not %g",
                         checkpoint->epoch);
    return 0;
}

/* NULL when memory is short. */
static json_t *make_metadata(const struct checkpoint *checkpoint) {
    char epoch[32], chain[SHA256_HEX];
    snprintf(epoch, sizeof epoch, "%.17g", checkpoint->epoch);
    sha256_hex(checkpoint->chain, chain);
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:s, s:s*, s:s, s:s, s:s}", "format",
                     CHECKPOINT_FORMAT, "step", json_sprintf("%" PRIu64, checkpoint->step), "epoch",
                     epoch, "samples", json_sprintf("%" PRIu64, checkpoint->samples), "seed",
                     json_sprintf("%" PRIu64, checkpoint->seed), "updates",
                     json_sprintf("%" PRIu64, checkpoint->state.updates), "network",
                     checkpoint->net->text, "settings", checkpoint->settings, "computed_with",
                     checkpoint->computed, "dataset", checkpoint->dataset, "chain", chain, "sha256",
                     checkpoint_zeros);
}

static json_t *make_entry(const struct parameter *parameter, uint64_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < parameter->rank; i++)
        json_array_append_new(shape, json_integer(parameter->dims[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + parameter->count * sizeof(float)));
}

/* The header's JSON, with zeros for the digest, and the size of the data. NULL when memory is
 * short. */
static char *make_header(const struct checkpoint *checkpoint, size_t *data_size) {
    const struct net *net = checkpoint->net;
    json_t *header = json_object();
    int failed = json_object_set_new(header, "__metadata__", make_metadata(checkpoint));
    *data_size = 0;
    for (const struct part *part = checkpoint_parts; part < checkpoint_parts + PARTS; part++) {
        const struct parameter *parameter;
        char name[TENSOR_NAME];
        for (int p = 0; *part_array(&checkpoint->state, part) &&
                        (parameter = part_next(net, part, &p, name));) {
            failed |= json_object_set_new(header, name, make_entry(parameter, *data_size));
            *data_size += parameter->count * sizeof(float);
        }
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static void put_tensors(const struct checkpoint *checkpoint, uint8_t *at) {
    for (const struct part *part = checkpoint_parts; part < checkpoint_parts + PARTS; part++) {
        const float *array = *part_array(&checkpoint->state, part);
        const struct parameter *parameter;
        char name[TENSOR_NAME];
        for (int p = 0; array && (parameter = part_next(checkpoint->net, part, &p, name));) {
            memcpy(at, array + parameter->offset, parameter->count * sizeof(float));
            at += parameter->count * sizeof(float);
        }
    }
}

int checkpoint_encode(const struct checkpoint *checkpoint, uint8_t **bytes, size_t *size,
                      struct error *error) {
    assert(checkpoint && checkpoint->net && checkpoint->state.weights && bytes && size);
    int result = -1;
    size_t data_size;
    uint8_t *whole = NULL;
    *bytes = NULL;
    *size = 0;
    if (check_members(checkpoint, error) != 0)
        return -1;
    char *header = make_header(checkpoint, &data_size);
    if (!header) {
        error_set(error, ERROR_MEMORY, "no memory for a checkpoint's header");
        goto done;
    }
    size_t length = strlen(header);
    size_t padded = (length + 7) / 8 * 8;
    if (padded > CHECKPOINT_HEADER_MAX) {
        error_set(error, ERROR_INVALID,
                  "a checkpoint's header of %zu bytes is over the limit of %d", padded,
                  CHECKPOINT_HEADER_MAX);
        goto done;
    }
    whole = malloc(PREFIX + padded + data_size);
    if (!whole) {
        error_set(error, ERROR_MEMORY, "no memory for a checkpoint of %zu bytes",
                  PREFIX + padded + data_size);
        goto done;
    }
    uint64_t prefix = padded;
    memcpy(whole, &prefix, PREFIX);
    memcpy(whole + PREFIX, header, length);
    memset(whole + PREFIX + length, ' ', padded - length);
    put_tensors(checkpoint, whole + PREFIX + padded);
    char hex[SHA256_HEX];
    const char *digits = checkpoint_find_digest(whole + PREFIX, padded);
    assert(digits);
    if (checkpoint_digest(whole, PREFIX + padded + data_size, digits, hex, error) != 0)
        goto done;
    memcpy(whole + ((const uint8_t *)digits - whole), hex, DIGITS);
    *bytes = whole;
    *size = PREFIX + padded + data_size;
    whole = NULL;
    result = 0;
done:
    free(whole);
    free(header);
    return result;
}
