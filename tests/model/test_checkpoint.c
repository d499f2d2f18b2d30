/* Checkpoints as bytes: there and back, a file made by hand, and every way to be damaged. */
#include "model/checkpoint.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct optimizer sgd = {.kind = OPTIMIZER_SGD, .momentum = 0.9f};
static const struct optimizer adamw = {.kind = OPTIMIZER_ADAMW, .ema = 0.99f};

static const char dataset[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static void fill(float *array, size_t count, float first) {
    for (size_t i = 0; array && i < count; i++)
        array[i] = first + (float)i / 8;
}

static struct checkpoint *make(const struct optimizer *optimizer) {
    struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    struct error error = {0};
    checkpoint->step = 938;
    checkpoint->epoch = 2.001066666666667;
    checkpoint->samples = 120064;
    checkpoint->seed = UINT64_MAX;
    checkpoint->settings = strdup("{\"batch\": 128, \"note\": \"\\\"sha256\\\":\\\" – é\"}");
    checkpoint->computed = strdup("{\"threads\": 2, \"library\": \"oneDNN\"}");
    memcpy(checkpoint->dataset, dataset, sizeof dataset);
    for (int i = 0; i < SHA256_SIZE; i++)
        checkpoint->chain[i] = (uint8_t)(7 * i + 200);
    checkpoint->net = must_parse(tiny_text);
    struct engine_state *state = &checkpoint->state;
    cr_assert_eq(state_alloc(state, checkpoint->net, optimizer, &error), 0, "%s", error.text);
    state->updates = 937;
    fill(state->weights, checkpoint->net->total, 1);
    fill(state->ema, checkpoint->net->total, 100);
    fill(state->moment1, checkpoint->net->trainable, -300);
    fill(state->moment2, checkpoint->net->trainable, 500);
    return checkpoint;
}

static uint8_t *must_encode(const struct checkpoint *checkpoint, size_t *size) {
    struct error error = {0};
    uint8_t *bytes;
    cr_assert_eq(checkpoint_encode(checkpoint, &bytes, size, &error), 0, "%s", error.text);
    return bytes;
}

static bool same_floats(const float *a, const float *b, size_t count) {
    return a && b ? memcmp(a, b, count * sizeof *a) == 0 : !a && !b;
}

static void expect_equal(const struct checkpoint *a, const struct checkpoint *b) {
    size_t total = a->net->total, trainable = a->net->trainable;
    cr_expect_eq(a->step, b->step);
    cr_expect_eq(a->epoch, b->epoch);
    cr_expect_eq(a->samples, b->samples);
    cr_expect_eq(a->seed, b->seed);
    cr_expect_eq(a->state.updates, b->state.updates);
    cr_expect_str_eq(a->settings, b->settings);
    cr_expect_str_eq(a->computed, b->computed);
    cr_expect_str_eq(a->dataset, b->dataset);
    cr_expect_str_eq(a->net->text, b->net->text);
    cr_expect_eq(memcmp(a->chain, b->chain, SHA256_SIZE), 0);
    cr_expect(same_floats(a->state.weights, b->state.weights, total));
    cr_expect(same_floats(a->state.ema, b->state.ema, total));
    cr_expect(same_floats(a->state.moment1, b->state.moment1, trainable));
    cr_expect(same_floats(a->state.moment2, b->state.moment2, trainable));
}

static void round_trip(const struct optimizer *optimizer) {
    struct error error = {0};
    size_t size, again_size;
    struct checkpoint *checkpoint = make(optimizer);
    uint8_t *bytes = must_encode(checkpoint, &size);
    struct checkpoint *back = checkpoint_decode(bytes, size, "test", &error);
    cr_assert_not_null(back, "%s", error.text);
    expect_equal(checkpoint, back);
    uint8_t *again = must_encode(back, &again_size);
    cr_expect_eq(again_size, size);
    cr_expect_eq(memcmp(again, bytes, size), 0, "the same checkpoint gives the same bytes");
    free(again);
    free(bytes);
    checkpoint_destroy(&back);
    cr_expect_null(back);
    checkpoint_destroy(&back);
    checkpoint_destroy(&checkpoint);
}

Test(checkpoint, round_trip_with_sgd) {
    round_trip(&sgd);
}

Test(checkpoint, round_trip_with_adamw_and_ema) {
    round_trip(&adamw);
}

Test(checkpoint, round_trip_of_weights_alone) {
    struct error error = {0};
    size_t size;
    struct checkpoint *checkpoint = make(&sgd);
    free(checkpoint->state.moment1);
    checkpoint->state.moment1 = NULL;
    uint8_t *bytes = must_encode(checkpoint, &size);
    struct checkpoint *back = checkpoint_decode(bytes, size, "test", &error);
    cr_assert_not_null(back, "%s", error.text);
    cr_expect_null(back->state.moment1);
    expect_equal(checkpoint, back);
    free(bytes);
    checkpoint_destroy(&back);
    checkpoint_destroy(&checkpoint);
}

/* --- a state's arrays ------------------------------------------------------------------------ */

Test(checkpoint, state_has_the_arrays_that_the_optimizer_needs) {
    struct net *net = must_parse(tiny_text);
    struct engine_state state;
    cr_assert_eq(state_alloc(&state, net, &sgd, NULL), 0);
    cr_expect(state.weights && state.moment1 && !state.moment2 && !state.ema);
    for (size_t i = 0; i < net->total; i++)
        cr_assert_eq(state.weights[i], 0);
    state_free(&state);
    cr_expect(!state.weights && !state.moment1);
    cr_assert_eq(state_alloc(&state, net, &adamw, NULL), 0);
    cr_expect(state.weights && state.moment1 && state.moment2 && state.ema);
    state_free(&state);
    state_free(&state);
    state_free(NULL);
    net_destroy(&net);
}

Test(checkpoint, state_digest_is_of_weights_then_ema) {
    char hex[SHA256_HEX], expected[SHA256_HEX];
    uint8_t digest[SHA256_SIZE];
    struct checkpoint *checkpoint = make(&adamw);
    struct engine_state *state = &checkpoint->state;
    size_t total = checkpoint->net->total;
    float *both = malloc(2 * total * sizeof *both);
    memcpy(both, state->weights, total * sizeof *both);
    memcpy(both + total, state->ema, total * sizeof *both);
    sha256_bytes(both, 2 * total * sizeof *both, digest);
    sha256_hex(digest, expected);
    state_sha256(state, checkpoint->net, hex);
    cr_expect_str_eq(hex, expected);
    float *ema = state->ema;
    state->ema = NULL;
    sha256_bytes(both, total * sizeof *both, digest);
    sha256_hex(digest, expected);
    state_sha256(state, checkpoint->net, hex);
    cr_expect_str_eq(hex, expected);
    state->ema = ema;
    free(both);
    checkpoint_destroy(&checkpoint);
}

/* --- a file made by hand --------------------------------------------------------------------- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ZEROS_55 "0000000000000000000000000000000000000000000000000000000"
#define HAND_NET                                                                                   \
    "name = t\np avgpool image size=28\nd dense p units=10 bias=false\ns dense d units=1\n"        \
    "output digit = d\noutput sum = s\n"

/* JSON with ' for ", @ for the network's text. */
struct hand {
    const char *metadata; /* what stands between the braces, without sha256 */
    const char *tensors;
    size_t floats;
    bool unsigned_too; /* leave the digest at zero */
};

static const char hand_metadata[] =
    "'format':'digitsum-3','step':'3','epoch':'0.5','samples':'12','seed':'1','updates':'3',"
    "'network':'@','settings':'{}','dataset':'" ZEROS "','chain':'" ZEROS "'";
static const char hand_tensors[] =
    "'d.weight':{'dtype':'F32','shape':[10,1],'data_offsets':[0,40]},"
    "'s.weight':{'dtype':'F32','shape':[1,10],'data_offsets':[40,80]},"
    "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[80,84]}";

static void put_quoted(FILE *file, const char *text) {
    for (; *text; text++)
        if (*text == '\'')
            fputc('"', file);
        else if (*text == '@')
            put_quoted(file, HAND_NET);
        else if (*text == '\n')
            fputs("\\n", file);
        else
            fputc(*text, file);
}

/* Writes the file as the format's page says, byte by byte; signs it as checkpoint.h says. */
static uint8_t *make_by_hand(const struct hand *hand, size_t *size) {
    char *json = NULL;
    size_t length;
    FILE *file = open_memstream(&json, &length);
    fputs("{\"__metadata__\":{", file);
    put_quoted(file, hand->metadata);
    fprintf(file, "%s\"sha256\":\"%s\"}", *hand->metadata ? "," : "", ZEROS);
    if (*hand->tensors)
        fputc(',', file);
    put_quoted(file, hand->tensors);
    fputc('}', file);
    fflush(file);
    for (size_t i = length; i % 8 != 0; i++)
        fputc(' ', file);
    fclose(file);
    *size = 8 + length + 4 * hand->floats;
    uint8_t *bytes = malloc(*size);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, json, length);
    for (size_t i = 0; i < hand->floats; i++) /* 1.0f */
        memcpy(bytes + 8 + length + 4 * i, "\x00\x00\x80\x3f", 4);
    if (!hand->unsigned_too) {
        uint8_t digest[SHA256_SIZE];
        char hex[SHA256_HEX];
        sha256_bytes(bytes, *size, digest);
        sha256_hex(digest, hex);
        char *key = memmem(bytes, *size, "\"sha256\":\"", 10);
        memcpy(key + 10, hex, 64);
    }
    free(json);
    return bytes;
}

Test(checkpoint, made_by_hand) {
    struct error error = {0};
    size_t size, again_size;
    struct hand hand = {hand_metadata, hand_tensors, 21, false};
    uint8_t *bytes = make_by_hand(&hand, &size);
    struct checkpoint *checkpoint = checkpoint_decode(bytes, size, "hand", &error);
    cr_assert_not_null(checkpoint, "%s", error.text);
    cr_expect_eq(checkpoint->step, 3);
    cr_expect_eq(checkpoint->epoch, 0.5);
    cr_expect_eq(checkpoint->samples, 12);
    cr_expect_eq(checkpoint->seed, 1);
    cr_expect_eq(checkpoint->state.updates, 3);
    cr_expect_str_eq(checkpoint->settings, "{}");
    cr_expect_null(checkpoint->computed); /* files of before it was recorded have none */
    cr_expect_str_eq(checkpoint->dataset, ZEROS);
    cr_expect_str_eq(checkpoint->net->name, "t");
    for (int i = 0; i < 21; i++)
        cr_expect_eq(checkpoint->state.weights[i], 1.0f);
    uint8_t *again = must_encode(checkpoint, &again_size);
    cr_expect_eq(again_size, size);
    cr_expect_eq(memcmp(again, bytes, size), 0, "encode writes what we wrote by hand");
    free(again);
    free(bytes);
    checkpoint_destroy(&checkpoint);
}

struct refusal {
    struct hand hand;
    const char *sentence;
};

/* A whole metadata with one key's value replaced. */
#define META(format, step, epoch, network, settings, data, chain)                                  \
    "'format':'" format "','step':'" step "','epoch':'" epoch                                      \
    "','samples':'12','seed':'1','updates':'3','network':'" network "','settings':'" settings      \
    "','dataset':'" data "','chain':'" chain "'"
#define D "'d.weight':{'dtype':'F32','shape':[10,1],'data_offsets':[0,40]},"
#define S "'s.weight':{'dtype':'F32','shape':[1,10],'data_offsets':[40,80]},"
#define B "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[80,84]}"

// clang-format off
static const struct refusal refusals[] = {
    {{hand_metadata, hand_tensors, 21, true}, NULL},
    {{META("digitsum-3", "+3", "0.5", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'step' must be a whole number, not '+3'"},
    {{META("digitsum-3", "-3", "0.5", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'step' must be a whole number, not '-3'"},
    {{META("digitsum-3", "", "0.5", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'step' must be a whole number, not ''"},
    {{META("digitsum-3", "3x", "0.5", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'step' must be a whole number, not '3x'"},
    {{META("digitsum-3", "18446744073709551616", "0.5", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'step' must be a whole number, not '18446744073709551616'"},
    {{META("digitsum-3", "3", "nan", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'epoch' must be a number from 0, not 'nan'"},
    {{META("digitsum-3", "3", "inf", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'epoch' must be a number from 0, not 'inf'"},
    {{META("digitsum-3", "3", "-1", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'epoch' must be a number from 0, not '-1'"},
    {{META("digitsum-3", "3", "0.5 ", "@", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "'epoch' must be a number from 0, not '0.5 '"},
    {{META("digitsum-3", "3", "0.5", "name = 3", "{}", ZEROS, ZEROS), hand_tensors, 21, false}, "network:1:1: expected a name, not '3': up to 63 letters, digits and '_', not beginning with a digit"},
    {{META("digitsum-3", "3", "0.5", "@", "[]", ZEROS, ZEROS), hand_tensors, 21, false}, "'settings' must be a JSON object, not '[]'"},
    {{META("digitsum-3", "3", "0.5", "@", "{", ZEROS, ZEROS), hand_tensors, 21, false}, "'settings' must be a JSON object, not '{'"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", "0", ZEROS), hand_tensors, 21, false}, "'dataset' must be 64 lower-case hex digits, not '0'"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", ZEROS, ZEROS "0"), hand_tensors, 21, false}, "'chain' must be 64 lower-case hex digits, not '" ZEROS "0'"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", ZEROS, ZEROS) ",'more':''", hand_tensors, 21, false}, "__metadata__ has 12 strings instead of 11"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", ZEROS, ZEROS) ",'computed_with':'{}','more':''", hand_tensors, 21, false}, "__metadata__ has 13 strings instead of 12"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", ZEROS, ZEROS) ",'computed_with':'[]'", hand_tensors, 21, false}, "'computed_with' must be a JSON object, not '[]'"},
    {{META("digitsum-3", "3", "0.5", "@", "{}", ZEROS, ZEROS) ",'computed_with':{}", hand_tensors, 21, false}, "__metadata__ has no string 'computed_with'"},
    {{"'format':3", hand_tensors, 21, false}, "__metadata__ has no string 'format'"},
    {{"", hand_tensors, 21, false}, "__metadata__ has no string 'format'"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[80,84]},'s.bias':{}", 21, false}, "the header is not JSON: duplicate object key near '\"s.bias\"'"},
    {{hand_metadata, D S "'s.wrong':{'dtype':'F32','shape':[1],'data_offsets':[80,84]}", 21, false}, "tensor 's.bias' is missing"},
    {{hand_metadata, D S B ",'spare':{'dtype':'F32','shape':[1],'data_offsets':[84,88]}", 22, false}, "there are 4 tensors, but the network has 3 of them"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F16','shape':[1],'data_offsets':[80,84]}", 21, false}, "tensor 's.bias' must be F32, not 'F16'"},
    {{hand_metadata, D S "'s.bias':[]", 21, false}, "tensor 's.bias' must be F32, not ''"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[2],'data_offsets':[80,84]}", 21, false}, "tensor 's.bias' does not have the shape that the network gives it"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1,1],'data_offsets':[80,84]}", 21, false}, "tensor 's.bias' does not have the shape that the network gives it"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1.0],'data_offsets':[80,84]}", 21, false}, "tensor 's.bias' does not have the shape that the network gives it"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[76,80]}", 21, false}, "tensor 's.bias' does not lie at bytes 80 to 84 of the data"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[80,88]}", 21, false}, "tensor 's.bias' does not lie at bytes 80 to 84 of the data"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[-80,84]}", 21, false}, "tensor 's.bias' does not lie at bytes 80 to 84 of the data"},
    {{hand_metadata, D S "'s.bias':{'dtype':'F32','shape':[1],'data_offsets':[80,84],'x':1}", 21, false}, "tensor 's.bias' has more than dtype, shape and data_offsets"},
    {{hand_metadata, hand_tensors, 22, false}, "the tensors cover 84 of the 88 bytes of data"},
    {{hand_metadata, hand_tensors, 20, false}, "the tensors '*' have 21 floats, but only 80 bytes of data are left; the file is cut short"},
    {{hand_metadata, D S B ",'ema.d.weight':{}", 21, false}, "the tensors 'ema.*' have 21 floats, but only 0 bytes of data are left; the file is cut short"},
    {{hand_metadata, D S B ",'moment1.d.weight':{'dtype':'F32','shape':[10,1],'data_offsets':[84,124]}", 42, false}, "tensor 'moment1.s.weight' is missing"},
};
// clang-format on

/* All but the first are signed, so that what is refused is what the row says. */
Test(checkpoint, made_by_hand_and_wrong) {
    for (size_t i = 1; i < sizeof refusals / sizeof *refusals; i++) {
        size_t size;
        char expected[600];
        struct error error = {0};
        uint8_t *bytes = make_by_hand(&refusals[i].hand, &size);
        cr_expect_null(checkpoint_decode(bytes, size, "hand", &error), "row %zu", i);
        snprintf(expected, sizeof expected, "checkpoint hand: %s", refusals[i].sentence);
        cr_expect_eq(error.code, ERROR_CORRUPT, "row %zu", i);
        cr_expect_str_eq(error.text, expected, "row %zu: %s", i, error.text);
        free(bytes);
    }
}

/* As earlier versions wrote them: whole, and yet not for us. */
Test(checkpoint, another_format_is_named) {
    size_t size;
    struct error error = {0};
    struct hand hand = {META("digitsum-2", "3", "0.5", "name = old;", "{}", ZEROS, ZEROS),
                        hand_tensors, 21, false};
    uint8_t *bytes = make_by_hand(&hand, &size);
    cr_expect_null(checkpoint_decode(bytes, size, "hand", &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text,
                     "checkpoint hand: its format is 'digitsum-2', and this program reads "
                     "'digitsum-3', where a network is one node a line: go on with the version "
                     "that wrote it");
    free(bytes);
}

Test(checkpoint, same_is_the_state_and_not_what_describes_it) {
    struct checkpoint *one = make(&adamw), *other = make(&adamw);
    cr_expect(checkpoint_same(one, other));
    free(other->settings);
    other->settings = strdup("{\"another\": 1}");
    cr_expect(checkpoint_same(one, other));
    other->state.moment2[1] += 1;
    cr_expect_not(checkpoint_same(one, other), "an optimizer's moment");
    other->state.moment2[1] -= 1;
    cr_expect(checkpoint_same(one, other));
    other->chain[3] ^= 1;
    cr_expect_not(checkpoint_same(one, other), "what it was trained on");
    other->chain[3] ^= 1;
    other->step++;
    cr_expect_not(checkpoint_same(one, other));
    other->step--;
    float *ema = other->state.ema;
    other->state.ema = NULL;
    cr_expect_not(checkpoint_same(one, other), "an array that is not there");
    other->state.ema = ema;
    checkpoint_destroy(&one);
    checkpoint_destroy(&other);
}

Test(checkpoint, an_unsigned_file_is_refused) {
    size_t size;
    struct error error = {0};
    uint8_t *bytes = make_by_hand(&refusals[0].hand, &size);
    cr_expect_null(checkpoint_decode(bytes, size, "hand", &error));
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_eq(
        strncmp(error.text, "checkpoint hand: the SHA-256 should be " ZEROS ", but is ", 112), 0,
        "%s", error.text);
    cr_expect_not_null(strstr(error.text, ": the file is damaged"));
    free(bytes);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void expect_header(const char *header, uint64_t length, const char *sentence) {
    uint8_t bytes[256];
    char expected[256];
    struct error error = {0};
    size_t there = strlen(header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, there);
    cr_expect_null(checkpoint_decode(bytes, 8 + there, "h", &error));
    snprintf(expected, sizeof expected, "checkpoint h: %s", sentence);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, expected);
}

Test(checkpoint, headers_that_lie) {
    struct error error = {0};
    expect_header("{}      ", UINT64_MAX,
                  "the header's length is 18446744073709551615; it must be a multiple of 8 up to "
                  "1048576: this is no checkpoint");
    expect_header("{}      ", 1048584,
                  "the header's length is 1048584; it must be a multiple of 8 up to 1048576: this "
                  "is no checkpoint");
    expect_header("{}      ", 7,
                  "the header's length is 7; it must be a multiple of 8 up to 1048576: this is no "
                  "checkpoint");
    expect_header("{}      ", 16,
                  "the header has 16 bytes, but only 8 are there; the file is cut short");
    expect_header("", 0, "the header does not begin with '{'");
    expect_header("[]      ", 8, "the header does not begin with '{'");
    expect_header("{}      ", 8, "the header has no __metadata__");
    expect_header("{\"__metadata__\":[]}      ", 24, "the header has no __metadata__");
    /* A value of 64 hex digits that is spelt otherwise, so that zeros for it would miss it. */
    static const char escaped[] =
        "{\"__metadata__\":{\"sha256\":\"\\u003000000000" ZEROS_55 "\"}}     ";
    expect_header(escaped, strlen(escaped), "'sha256' is not written as 64 lower-case hex digits");
    cr_expect_null(checkpoint_decode(NULL, 0, "h", &error));
    cr_expect_str_eq(error.text, "checkpoint h: 0 bytes are too few; the file is cut short");
}

/* A whole file of a few thousand bytes; AdamW and averages, so that every part is there. */
static uint8_t *whole_file(size_t *size) {
    struct checkpoint *checkpoint = make(&adamw);
    uint8_t *bytes = must_encode(checkpoint, size);
    checkpoint_destroy(&checkpoint);
    return bytes;
}

Test(checkpoint, one_bit_flipped_anywhere) {
    size_t size;
    uint8_t *bytes = whole_file(&size);
    for (size_t i = 0; i < size; i++) {
        struct error error = {0};
        uint8_t bit = (uint8_t)(1u << (i % 8));
        bytes[i] ^= bit;
        cr_assert_null(checkpoint_decode(bytes, size, "flipped", &error), "bit %zu of byte %zu",
                       i % 8, i);
        cr_assert_eq(error.code, ERROR_CORRUPT, "byte %zu: %s", i, error.text);
        bytes[i] ^= bit;
    }
    free(bytes);
}

/* The case of a hex digit, the kind of blank: what a lenient reader would not notice. */
Test(checkpoint, every_bit_of_the_header) {
    size_t size;
    uint64_t length;
    uint8_t *bytes = whole_file(&size);
    memcpy(&length, bytes, 8);
    for (size_t i = 0; i < 8 * (8 + length); i++) {
        bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        cr_assert_null(checkpoint_decode(bytes, size, "flipped", NULL), "bit %zu of byte %zu",
                       i % 8, i / 8);
        bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    free(bytes);
}

Test(checkpoint, cut_short_anywhere) {
    size_t size;
    uint8_t *bytes = whole_file(&size);
    for (size_t length = 0; length < size; length++) {
        struct error error = {0};
        uint8_t *part = malloc(length > 0 ? length : 1); /* so that reading past the end shows */
        memcpy(part, bytes, length);
        cr_assert_null(checkpoint_decode(part, length, "cut", &error), "at %zu", length);
        cr_assert_eq(error.code, ERROR_CORRUPT, "at %zu: %s", length, error.text);
        free(part);
    }
    free(bytes);
}

Test(checkpoint, one_byte_more) {
    size_t size;
    struct error error = {0};
    uint8_t *bytes = whole_file(&size);
    bytes = realloc(bytes, size + 1);
    bytes[size] = 0;
    cr_expect_null(checkpoint_decode(bytes, size + 1, "long", &error));
    cr_expect_eq(error.code, ERROR_CORRUPT);
    free(bytes);
}

Test(checkpoint, random_bytes) {
    uint8_t bytes[200];
    uint32_t state = 5;
    for (int round = 0; round < 20000; round++) {
        struct error error = {0};
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(state >> 24);
        }
        uint64_t length = state % 25 * 8;
        memcpy(bytes, &length, 8); /* mostly a length that fits, and a brace */
        bytes[8] = '{';
        cr_assert_null(checkpoint_decode(bytes, sizeof bytes, "random", &error));
        cr_assert_eq(error.code, ERROR_CORRUPT);
    }
}

/* --- what encode refuses --------------------------------------------------------------------- */

static void expect_no_bytes(const struct checkpoint *checkpoint, const char *sentence) {
    struct error error = {0};
    uint8_t *bytes;
    size_t size;
    cr_expect_eq(checkpoint_encode(checkpoint, &bytes, &size, &error), -1);
    cr_expect_null(bytes);
    cr_expect_eq(size, 0);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, sentence);
}

Test(checkpoint, encode_refuses_what_decode_would) {
    struct checkpoint *checkpoint = make(&sgd);
    double epoch = checkpoint->epoch;
    checkpoint->epoch = -1;
    expect_no_bytes(checkpoint, "a checkpoint's epoch must be 0 or more, not -1");
    checkpoint->epoch = epoch;
    checkpoint->dataset[0] = 'F';
    expect_no_bytes(checkpoint,
                    "a checkpoint's dataset must be 64 lower-case hex digits, not "
                    "'F0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'");
    checkpoint->dataset[0] = '0';
    free(checkpoint->computed);
    checkpoint->computed = strdup("[]");
    expect_no_bytes(checkpoint, "a checkpoint's computed_with must be a JSON object, not '[]'");
    free(checkpoint->settings);
    checkpoint->settings = NULL;
    expect_no_bytes(checkpoint, "a checkpoint's settings must be a JSON object, not ''");
    checkpoint->settings = strdup("3");
    expect_no_bytes(checkpoint, "a checkpoint's settings must be a JSON object, not '3'");
    checkpoint_destroy(&checkpoint);
}

Test(checkpoint, encode_refuses_a_header_over_the_limit) {
    struct checkpoint *checkpoint = make(&sgd);
    struct error error = {0};
    uint8_t *bytes;
    size_t size, length = CHECKPOINT_HEADER_MAX;
    free(checkpoint->settings);
    checkpoint->settings = malloc(length + 1);
    memset(checkpoint->settings, ' ', length);
    checkpoint->settings[0] = '{';
    checkpoint->settings[length - 1] = '}';
    checkpoint->settings[length] = '\0';
    cr_expect_eq(checkpoint_encode(checkpoint, &bytes, &size, &error), -1);
    cr_expect_null(bytes);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_eq(strncmp(error.text, "a checkpoint's header of ", 25), 0, "%s", error.text);
    cr_expect_not_null(strstr(error.text, "is over the limit of 1048576"));
    checkpoint_destroy(&checkpoint);
}
