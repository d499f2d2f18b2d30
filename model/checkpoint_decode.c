/* From the bytes of a file to a checkpoint: everything is checked before it is used. */
#include "model/checkpoint_private.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_KEYS 11 /* without computed_with */

struct decoder {
    const char *origin;
    struct error *error; /* never NULL */
    const uint8_t *bytes, *data;
    size_t size, data_size;
    json_t *header;         /* owned */
    const json_t *metadata; /* in header */
    struct checkpoint *checkpoint;
};

static int corrupt(struct decoder *decoder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int corrupt(struct decoder *decoder, const char *format, ...) {
    char sentence[sizeof decoder->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(decoder->error, ERROR_CORRUPT, "checkpoint %s: %s", decoder->origin, sentence);
}

/* Splits the bytes into header and data, and parses the header's JSON. */
static int open_header(struct decoder *decoder) {
    uint64_t length;
    if (decoder->size < PREFIX)
        return corrupt(decoder, "%zu bytes are too few; the file is cut short", decoder->size);
    memcpy(&length, decoder->bytes, PREFIX);
    if (length > CHECKPOINT_HEADER_MAX || length % 8 != 0)
        return corrupt(decoder,
                       "the header's length is %" PRIu64
                       "; it must be a multiple of 8 up to %d: this is no checkpoint",
                       length, CHECKPOINT_HEADER_MAX);
    if (length > decoder->size - PREFIX)
        return corrupt(decoder,
                       "the header has %" PRIu64 " bytes, but only %zu are there; the file is cut "
                       "short",
                       length, decoder->size - PREFIX);
    json_error_t reason;
    decoder->data = decoder->bytes + PREFIX + length;
    decoder->data_size = decoder->size - PREFIX - length;
    if (length == 0 || decoder->bytes[PREFIX] != '{')
        return corrupt(decoder, "the header does not begin with '{'");
    decoder->header =
        json_loadb((const char *)decoder->bytes + PREFIX, length, JSON_REJECT_DUPLICATES, &reason);
    if (!decoder->header)
        return corrupt(decoder, "the header is not JSON: %.200s", reason.text);
    decoder->metadata = json_object_get(decoder->header, "__metadata__");
    if (!json_is_object(decoder->metadata))
        return corrupt(decoder, "the header has no __metadata__");
    return 0;
}

/* A string of the metadata, or NULL with the error filled. */
static const char *word_of(struct decoder *decoder, const char *key) {
    const char *text = json_string_value(json_object_get(decoder->metadata, key));
    if (!text)
        corrupt(decoder, "__metadata__ has no string '%s'", key);
    return text;
}

static int check_digest(struct decoder *decoder) {
    char hex[SHA256_HEX];
    const char *said = word_of(decoder, "sha256");
    if (!said)
        return -1;
    const char *digits = checkpoint_find_digest(decoder->bytes + PREFIX,
                                                (size_t)(decoder->data - decoder->bytes) - PREFIX);
    if (!is_hex(said, DIGITS) || !digits || memcmp(said, digits, DIGITS) != 0)
        return corrupt(decoder, "'sha256' is not written as 64 lower-case hex digits");
    if (checkpoint_digest(decoder->bytes, decoder->size, digits, hex, decoder->error) != 0)
        return -1;
    if (strcmp(said, hex) != 0)
        return corrupt(decoder, "the SHA-256 should be %s, but is %s: the file is damaged", said,
                       hex);
    return 0;
}

/* Only what encode would print: no signs, blanks, leading zeros or other spellings. */
static int read_count(struct decoder *decoder, const char *key, uint64_t *value) {
    char again[24];
    const char *text = word_of(decoder, key);
    if (!text)
        return -1;
    *value = strtoull(text, NULL, 10);
    snprintf(again, sizeof again, "%" PRIu64, *value);
    return strcmp(text, again) == 0
               ? 0
               : corrupt(decoder, "'%s' must be a whole number, not '%.64s'", key, text);
}

static int read_epoch(struct decoder *decoder, double *value) {
    char again[32];
    const char *text = word_of(decoder, "epoch");
    if (!text)
        return -1;
    *value = strtod(text, NULL);
    snprintf(again, sizeof again, "%.17g", *value);
    return strcmp(text, again) == 0 && isfinite(*value) && !signbit(*value)
               ? 0
               : corrupt(decoder, "'epoch' must be a number from 0, not '%.64s'", text);
}

static int read_hex(struct decoder *decoder, const char *key, char digits[static SHA256_HEX]) {
    const char *text = word_of(decoder, key);
    if (!text)
        return -1;
    if (!is_hex(text, DIGITS))
        return corrupt(decoder, "'%s' must be 64 lower-case hex digits, not '%.80s'", key, text);
    memcpy(digits, text, SHA256_HEX);
    return 0;
}

static int read_chain(struct decoder *decoder) {
    char digits[SHA256_HEX];
    if (read_hex(decoder, "chain", digits) != 0)
        return -1;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
        decoder->checkpoint->chain[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

/* JSON that stays text; *text is the checkpoint's. */
static int read_object(struct decoder *decoder, const char *key, char **text) {
    const char *found = word_of(decoder, key);
    if (!found)
        return -1;
    if (!is_json_object(found))
        return corrupt(decoder, "'%s' must be a JSON object, not '%.64s'", key, found);
    *text = strdup(found);
    return *text ? 0
                 : error_set(decoder->error, ERROR_MEMORY, "no memory for a checkpoint's %s", key);
}

static int read_net(struct decoder *decoder) {
    const char *text = word_of(decoder, "network");
    if (!text)
        return -1;
    decoder->checkpoint->net = net_parse(text, strlen(text), "network", decoder->error);
    if (decoder->checkpoint->net)
        return 0;
    if (decoder->error->code == ERROR_INVALID)
        decoder->error->code = ERROR_CORRUPT;
    return error_prefix(decoder->error, "checkpoint %s", decoder->origin);
}

static int read_metadata(struct decoder *decoder) {
    struct checkpoint *checkpoint = decoder->checkpoint;
    const char *format = word_of(decoder, "format");
    if (!format)
        return -1;
    if (strcmp(format, CHECKPOINT_FORMAT) != 0)
        return error_set(decoder->error, ERROR_UNSUPPORTED,
                         "checkpoint %s: its format is '%.32s', and this program reads '%s', where "
                         "a network is one node a line: go on with the version that wrote it",
                         decoder->origin, format, CHECKPOINT_FORMAT);
    bool computed = json_object_get(decoder->metadata, "computed_with") != NULL;
    size_t keys = METADATA_KEYS + computed;
    if (json_object_size(decoder->metadata) != keys)
        return corrupt(decoder, "__metadata__ has %zu strings instead of %zu",
                       json_object_size(decoder->metadata), keys);
    if (read_count(decoder, "step", &checkpoint->step) != 0 ||
        read_epoch(decoder, &checkpoint->epoch) != 0 ||
        read_count(decoder, "samples", &checkpoint->samples) != 0 ||
        read_count(decoder, "seed", &checkpoint->seed) != 0 ||
        read_count(decoder, "updates", &checkpoint->state.updates) != 0 ||
        read_hex(decoder, "dataset", checkpoint->dataset) != 0 || read_chain(decoder) != 0 ||
        read_object(decoder, "settings", &checkpoint->settings) != 0 ||
        (computed && read_object(decoder, "computed_with", &checkpoint->computed) != 0))
        return -1;
    return read_net(decoder);
}

static bool is_integer(const json_t *value, uint64_t expected) {
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           (uint64_t)json_integer_value(value) == expected;
}

/* One tensor must stand in the header exactly as encode would write it, at `begin` of the data. */
static int check_entry(struct decoder *decoder, const char *name, const struct parameter *parameter,
                       uint64_t begin) {
    const json_t *entry = json_object_get(decoder->header, name);
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    uint64_t end = begin + parameter->count * sizeof(float);
    if (!entry)
        return corrupt(decoder, "tensor '%s' is missing", name);
    if (!type || strcmp(type, "F32") != 0)
        return corrupt(decoder, "tensor '%s' must be F32, not '%.16s'", name, type ? type : "");
    bool fits = json_array_size(shape) == (size_t)parameter->rank;
    for (int i = 0; fits && i < parameter->rank; i++)
        fits = is_integer(json_array_get(shape, (size_t)i), (uint64_t)parameter->dims[i]);
    if (!fits)
        return corrupt(decoder, "tensor '%s' does not have the shape that the network gives it",
                       name);
    if (json_array_size(offsets) != 2 || !is_integer(json_array_get(offsets, 0), begin) ||
        !is_integer(json_array_get(offsets, 1), end))
        return corrupt(decoder,
                       "tensor '%s' does not lie at bytes %" PRIu64 " to %" PRIu64 " of the data",
                       name, begin, end);
    if (json_object_size(entry) != 3)
        return corrupt(decoder, "tensor '%s' has more than dtype, shape and data_offsets", name);
    return 0;
}

/* Whether the file has this part: it has all of its tensors or none. */
static bool has_part(const struct decoder *decoder, const struct part *part) {
    char name[TENSOR_NAME];
    for (int p = 0; part_next(decoder->checkpoint->net, part, &p, name);)
        if (json_object_get(decoder->header, name))
            return true;
    return part == checkpoint_parts; /* the weights must be there, even if they are none */
}

static int read_part(struct decoder *decoder, const struct part *part, uint64_t *begin,
                     size_t *entries) {
    const struct net *net = decoder->checkpoint->net;
    size_t floats = part_floats(net, part);
    if (floats > (decoder->data_size - *begin) / sizeof(float)) /* before memory is taken for it */
        return corrupt(decoder,
                       "the tensors '%s*' have %zu floats, but only %" PRIu64
                       " bytes of data are left; the file is cut short",
                       part->prefix, floats, (uint64_t)(decoder->data_size - *begin));
    float *array = calloc(floats > 0 ? floats : 1, sizeof *array);
    *part_array(&decoder->checkpoint->state, part) = array;
    if (!array)
        return error_set(decoder->error, ERROR_MEMORY, "no memory for %zu floats of a checkpoint",
                         floats);
    const struct parameter *parameter;
    char name[TENSOR_NAME];
    for (int p = 0; (parameter = part_next(net, part, &p, name));) {
        if (check_entry(decoder, name, parameter, *begin) != 0)
            return -1;
        memcpy(array + parameter->offset, decoder->data + *begin, parameter->count * sizeof(float));
        *begin += parameter->count * sizeof(float);
        ++*entries;
    }
    return 0;
}

static int read_tensors(struct decoder *decoder) {
    uint64_t begin = 0;
    size_t entries = 0;
    for (const struct part *part = checkpoint_parts; part < checkpoint_parts + PARTS; part++)
        if (has_part(decoder, part) && read_part(decoder, part, &begin, &entries) != 0)
            return -1;
    if (json_object_size(decoder->header) != entries + 1)
        return corrupt(decoder, "there are %zu tensors, but the network has %zu of them",
                       json_object_size(decoder->header) - 1, entries);
    if (begin != decoder->data_size)
        return corrupt(decoder, "the tensors cover %" PRIu64 " of the %zu bytes of data", begin,
                       decoder->data_size);
    return 0;
}

struct checkpoint *checkpoint_decode(const uint8_t *bytes, size_t size, const char *origin,
                                     struct error *error) {
    assert((bytes || size == 0) && origin);
    struct error unread;
    struct decoder decoder = {
        .origin = origin, .error = error ? error : &unread, .bytes = bytes, .size = size};
    decoder.checkpoint = calloc(1, sizeof *decoder.checkpoint);
    if (!decoder.checkpoint) {
        error_set(error, ERROR_MEMORY, "no memory for a checkpoint");
        return NULL;
    }
    if (open_header(&decoder) != 0 || check_digest(&decoder) != 0 || read_metadata(&decoder) != 0 ||
        read_tensors(&decoder) != 0)
        checkpoint_destroy(&decoder.checkpoint);
    json_decref(decoder.header);
    return decoder.checkpoint;
}
