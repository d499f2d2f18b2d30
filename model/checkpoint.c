/* The safetensors file of a checkpoint: bytes to struct and back. What lies on the disk, and how it
 * gets there, is checkpoint_file.c's. */
#include "model/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the file's floats and lengths are little-endian, as they lie in memory");

#define PREFIX 8                /* bytes of the header's length */
#define DIGITS (SHA256_HEX - 1) /* of a digest in hex */
#define DIGEST_KEY                                                                                 \
    "\"sha256\":\"" /* as encode writes it; within a string the quotes are escaped                 \
                     */
#define TENSOR_NAME (NET_NAME + 32)
#define METADATA_KEYS 11 /* without computed_with */

static const char format_name[] = "digitsum-3";
static const char zero_digits[DIGITS + 1] =
    "0000000000000000000000000000000000000000000000000000000000000000";

/* --- the tensors of a file ------------------------------------------------------------------- */

/* The four flat arrays, in the order of the file. */
struct part {
    const char *prefix;
    bool trainable_only;
    size_t member; /* offset of the array's pointer in struct engine_state */
};

static const struct part parts[] = {
    {"", false, offsetof(struct engine_state, weights)},
    {"ema.", false, offsetof(struct engine_state, ema)},
    {"moment1.", true, offsetof(struct engine_state, moment1)},
    {"moment2.", true, offsetof(struct engine_state, moment2)},
};
#define PARTS (sizeof parts / sizeof *parts)

static float **array_of(const struct engine_state *state, const struct part *part) {
    return (float **)((char *)state + part->member);
}

static bool in_part(const struct net *net, const struct parameter *parameter,
                    const struct part *part) {
    return !part->trainable_only || parameter->offset < net->trainable;
}

static size_t part_floats(const struct net *net, const struct part *part) {
    return part->trainable_only ? net->trainable : net->total;
}

static void tensor_name(const struct part *part, const struct parameter *parameter,
                        char name[static TENSOR_NAME]) {
    snprintf(name, TENSOR_NAME, "%s%s", part->prefix, parameter->name);
}

/* --- words ----------------------------------------------------------------------------------- */

static bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static bool is_json_object(const char *text) {
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool object = json_is_object(value);
    json_decref(value);
    return object;
}

/* Only what encode would print: no signs, blanks, leading zeros or other spellings. */
static bool read_whole(const char *text, uint64_t *value) {
    char again[24];
    *value = strtoull(text, NULL, 10);
    snprintf(again, sizeof again, "%" PRIu64, *value);
    return strcmp(text, again) == 0;
}

static bool read_real(const char *text, double *value) {
    char again[32];
    *value = strtod(text, NULL);
    snprintf(again, sizeof again, "%.17g", *value);
    return strcmp(text, again) == 0 && isfinite(*value) && !signbit(*value);
}

/* --- the digest ------------------------------------------------------------------------------ */

/* Where the digest's digits stand in the header, or NULL. */
static const char *find_digest(const uint8_t *header, size_t size) {
    const char *key = memmem(header, size, DIGEST_KEY, strlen(DIGEST_KEY));
    if (!key)
        return NULL;
    size_t at = (size_t)((const uint8_t *)key - header) + strlen(DIGEST_KEY);
    return size - at > DIGITS ? (const char *)header + at : NULL;
}

static int compute_digest(const uint8_t *bytes, size_t size, const char *digits,
                          char hex[static SHA256_HEX], struct error *error) {
    uint8_t digest[SHA256_SIZE];
    size_t before = (size_t)((const uint8_t *)digits - bytes);
    struct sha256 *sha = sha256_create();
    if (!sha)
        return error_set(error, ERROR_MEMORY, "no memory for a SHA-256");
    sha256_update(sha, bytes, before);
    sha256_update(sha, zero_digits, DIGITS);
    sha256_update(sha, bytes + before + DIGITS, size - before - DIGITS);
    sha256_digest(sha, digest);
    sha256_destroy(&sha);
    sha256_hex(digest, hex);
    return 0;
}

/* --- encode ---------------------------------------------------------------------------------- */

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
                     format_name, "step", json_sprintf("%" PRIu64, checkpoint->step), "epoch",
                     epoch, "samples", json_sprintf("%" PRIu64, checkpoint->samples), "seed",
                     json_sprintf("%" PRIu64, checkpoint->seed), "updates",
                     json_sprintf("%" PRIu64, checkpoint->state.updates), "network",
                     checkpoint->net->text, "settings", checkpoint->settings, "computed_with",
                     checkpoint->computed, "dataset", checkpoint->dataset, "chain", chain, "sha256",
                     zero_digits);
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
    for (size_t k = 0; k < PARTS; k++) {
        if (!*array_of(&checkpoint->state, &parts[k]))
            continue;
        for (int p = 0; p < net->parameter_count; p++) {
            const struct parameter *parameter = &net->parameters[p];
            if (!in_part(net, parameter, &parts[k]))
                continue;
            char name[TENSOR_NAME];
            tensor_name(&parts[k], parameter, name);
            failed |= json_object_set_new(header, name, make_entry(parameter, *data_size));
            *data_size += parameter->count * sizeof(float);
        }
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static void put_tensors(const struct checkpoint *checkpoint, uint8_t *at) {
    const struct net *net = checkpoint->net;
    for (size_t k = 0; k < PARTS; k++) {
        const float *array = *array_of(&checkpoint->state, &parts[k]);
        for (int p = 0; array && p < net->parameter_count; p++) {
            const struct parameter *parameter = &net->parameters[p];
            if (!in_part(net, parameter, &parts[k]))
                continue;
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
    if (check_members(checkpoint, error))
        return -1;
    char *header = make_header(checkpoint, &data_size);
    if (!header) {
        error_set(error, ERROR_MEMORY, "no memory for a checkpoint's header");
        goto done;
    }
    size_t length = strlen(header);
    size_t padded = (length + 7) / 8 * 8;
    if (padded > CHECKPOINT_HEADER_MAXIMUM) {
        error_set(error, ERROR_INVALID,
                  "a checkpoint's header of %zu bytes is over the limit of %d", padded,
                  CHECKPOINT_HEADER_MAXIMUM);
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
    const char *digits = find_digest(whole + PREFIX, padded);
    assert(digits);
    if (compute_digest(whole, PREFIX + padded + data_size, digits, hex, error))
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

/* --- decode ---------------------------------------------------------------------------------- */

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
    if (length > CHECKPOINT_HEADER_MAXIMUM || length % 8 != 0)
        return corrupt(decoder,
                       "the header's length is %" PRIu64
                       "; it must be a multiple of 8 up to %d: this is no checkpoint",
                       length, CHECKPOINT_HEADER_MAXIMUM);
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
    const char *digits =
        find_digest(decoder->bytes + PREFIX, (size_t)(decoder->data - decoder->bytes) - PREFIX);
    if (!is_hex(said, DIGITS) || !digits || memcmp(said, digits, DIGITS) != 0)
        return corrupt(decoder, "'sha256' is not written as 64 lower-case hex digits");
    if (compute_digest(decoder->bytes, decoder->size, digits, hex, decoder->error))
        return -1;
    if (strcmp(said, hex) != 0)
        return corrupt(decoder, "the SHA-256 should be %s, but is %s: the file is damaged", said,
                       hex);
    return 0;
}

static int read_count(struct decoder *decoder, const char *key, uint64_t *value) {
    const char *text = word_of(decoder, key);
    if (!text)
        return -1;
    if (!read_whole(text, value))
        return corrupt(decoder, "'%s' must be a whole number, not '%.64s'", key, text);
    return 0;
}

static int read_chain(struct decoder *decoder) {
    const char *text = word_of(decoder, "chain");
    if (!text)
        return -1;
    if (!is_hex(text, DIGITS))
        return corrupt(decoder, "'chain' must be 64 lower-case hex digits, not '%.80s'", text);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        decoder->checkpoint->chain[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

static int read_computed(struct decoder *decoder) {
    if (!json_object_get(decoder->metadata, "computed_with"))
        return 0;
    const char *computed = word_of(decoder, "computed_with");
    if (!computed)
        return -1;
    if (!is_json_object(computed))
        return corrupt(decoder, "'computed_with' must be a JSON object, not '%.64s'", computed);
    decoder->checkpoint->computed = strdup(computed);
    if (!decoder->checkpoint->computed)
        return error_set(decoder->error, ERROR_MEMORY,
                         "no memory for what a checkpoint was computed with");
    return 0;
}

static int read_texts(struct decoder *decoder) {
    struct checkpoint *checkpoint = decoder->checkpoint;
    const char *epoch = word_of(decoder, "epoch");
    const char *dataset = epoch ? word_of(decoder, "dataset") : NULL;
    const char *settings = dataset ? word_of(decoder, "settings") : NULL;
    if (!settings)
        return -1;
    if (!read_real(epoch, &checkpoint->epoch))
        return corrupt(decoder, "'epoch' must be a number from 0, not '%.64s'", epoch);
    if (!is_hex(dataset, DIGITS))
        return corrupt(decoder, "'dataset' must be 64 lower-case hex digits, not '%.80s'", dataset);
    memcpy(checkpoint->dataset, dataset, SHA256_HEX);
    if (!is_json_object(settings))
        return corrupt(decoder, "'settings' must be a JSON object, not '%.64s'", settings);
    checkpoint->settings = strdup(settings);
    if (!checkpoint->settings)
        return error_set(decoder->error, ERROR_MEMORY, "no memory for a checkpoint's settings");
    return read_computed(decoder);
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
    if (strcmp(format, format_name) != 0)
        return error_set(
            decoder->error, ERROR_UNSUPPORTED,
            "checkpoint %s: its format is '%.32s', and this program reads '%s', where a "
            "network is one node a line: go on with the version that wrote it",
            decoder->origin, format, format_name);
    size_t keys = METADATA_KEYS + (json_object_get(decoder->metadata, "computed_with") != NULL);
    if (json_object_size(decoder->metadata) != keys)
        return corrupt(decoder, "__metadata__ has %zu strings instead of %zu",
                       json_object_size(decoder->metadata), keys);
    if (read_count(decoder, "step", &checkpoint->step) ||
        read_count(decoder, "samples", &checkpoint->samples) ||
        read_count(decoder, "seed", &checkpoint->seed) ||
        read_count(decoder, "updates", &checkpoint->state.updates) || read_chain(decoder) ||
        read_texts(decoder) || read_net(decoder))
        return -1;
    return 0;
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
    const struct net *net = decoder->checkpoint->net;
    for (int p = 0; p < net->parameter_count; p++) {
        char name[TENSOR_NAME];
        tensor_name(part, &net->parameters[p], name);
        if (in_part(net, &net->parameters[p], part) && json_object_get(decoder->header, name))
            return true;
    }
    return part == parts; /* the weights must be there, even if they are none */
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
    *array_of(&decoder->checkpoint->state, part) = array;
    if (!array)
        return error_set(decoder->error, ERROR_MEMORY, "no memory for %zu floats of a checkpoint",
                         floats);
    for (int p = 0; p < net->parameter_count; p++) {
        const struct parameter *parameter = &net->parameters[p];
        char name[TENSOR_NAME];
        if (!in_part(net, parameter, part))
            continue;
        tensor_name(part, parameter, name);
        if (check_entry(decoder, name, parameter, *begin))
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
    for (size_t k = 0; k < PARTS; k++)
        if (has_part(decoder, &parts[k]) && read_part(decoder, &parts[k], &begin, &entries))
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
    if (open_header(&decoder) || check_digest(&decoder) || read_metadata(&decoder) ||
        read_tensors(&decoder))
        checkpoint_destroy(&decoder.checkpoint);
    json_decref(decoder.header);
    return decoder.checkpoint;
}

/* Whether two arrays of `floats`, either of which may be absent, have the same bits. */
static bool same_floats(const float *a, const float *b, size_t floats) {
    return a && b ? memcmp(a, b, floats * sizeof *a) == 0 : a == b;
}

bool checkpoint_same(const struct checkpoint *a, const struct checkpoint *b) {
    bool same = a->step == b->step && a->samples == b->samples && a->seed == b->seed &&
                a->state.updates == b->state.updates && strcmp(a->dataset, b->dataset) == 0 &&
                memcmp(a->chain, b->chain, SHA256_SIZE) == 0 &&
                strcmp(a->net->text, b->net->text) == 0;
    for (size_t k = 0; same && k < PARTS; k++)
        same = same_floats(*array_of(&a->state, &parts[k]), *array_of(&b->state, &parts[k]),
                           part_floats(a->net, &parts[k]));
    return same;
}

void checkpoint_destroy(struct checkpoint **checkpoint) {
    if (!checkpoint || !*checkpoint)
        return;
    free((*checkpoint)->settings);
    free((*checkpoint)->computed);
    net_destroy(&(*checkpoint)->net);
    state_free(&(*checkpoint)->state);
    free(*checkpoint);
    *checkpoint = NULL;
}
