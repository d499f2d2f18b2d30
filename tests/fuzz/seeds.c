/* Writes the corpora that fuzzing begins from: small inputs of every kind, all of them right.
 *
 *     seeds FOLDER        makes FOLDER/<target>/<name> */
#include "tests/fuzz/seeds.h"

#include "common/batch.h"
#include "model/checkpoint.h"
#include "model/init.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

static const char *root;

void seed_must(int right, const char *what) {
    if (right)
        return;
    perror(what);
    exit(1);
}

void seed_write(const char *target, const char *name, const void *bytes, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    FILE *file = fopen(path, "wbe");
    seed_must(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, path);
}

void seed_begin(struct seed *seed, uint8_t flags) {
    seed->size = 0;
    seed_flags(seed, flags);
}

void seed_flags(struct seed *seed, uint8_t flags) {
    seed_must(seed->size < SEED_MAX, "a seed is too large");
    seed->bytes[seed->size++] = flags;
}

void seed_frame(struct seed *seed, const void *bytes, size_t size) {
    seed_must(size < 65536 && seed->size + 2 + size <= SEED_MAX, "a seed is too large");
    seed->bytes[seed->size++] = (uint8_t)size;
    seed->bytes[seed->size++] = (uint8_t)(size >> 8);
    memcpy(seed->bytes + seed->size, bytes, size);
    seed->size += size;
}

/* --- datasets --------------------------------------------------------------------------------- */

enum { IMAGES = 3 };

static size_t zip(const uint8_t *bytes, size_t size, uint8_t *zipped, size_t most) {
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)bytes,
                       .avail_in = (uInt)size,
                       .next_out = zipped,
                       .avail_out = (uInt)most};
    seed_must(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK,
              "deflate");
    seed_must(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
    size_t done = stream.total_out;
    deflateEnd(&stream);
    return done;
}

static void seed_idx(const uint8_t *images, size_t images_size, const uint8_t *labels,
                     size_t labels_size) {
    static struct seed seed;
    uint8_t space[8192];
    seed_begin(&seed, 0);
    seed_frame(&seed, images, images_size);
    seed_frame(&seed, labels, labels_size);
    seed_write("idx", "plain", seed.bytes, seed.size);
    seed_begin(&seed, 0);
    seed_frame(&seed, space, zip(images, images_size, space, sizeof space));
    seed_frame(&seed, space, zip(labels, labels_size, space, sizeof space));
    seed_write("idx", "gzip", seed.bytes, seed.size);
}

/* One frame of the gzip target: its form, then what belongs to it. */
static void add_member(struct seed *seed, uint8_t form, const uint8_t *bytes, size_t size) {
    static uint8_t frame[8192];
    seed_must(size < sizeof frame, "a member is too large");
    frame[0] = form;
    memcpy(frame + 1, bytes, size);
    seed_frame(seed, frame, 1 + size);
}

static void seed_gzip(const uint8_t *images, size_t images_size, const uint8_t *labels,
                      size_t labels_size) {
    static struct seed seed;
    static const uint8_t bomb[2] = {15, 7};
    /* all fields that there are: CRC, two bytes of extra, a name, a comment */
    static const uint8_t fields[] = {30, 0, 0, 0, 0, 0, 3, 2, 0, 'x', 'y', 'n', 0, 'c', 0};
    uint8_t space[8192], member[8192];
    seed_begin(&seed, 2);
    add_member(&seed, 0, space, zip(images, images_size, space, sizeof space));
    add_member(&seed, 0, space, zip(labels, labels_size, space, sizeof space));
    seed_write("gzip", "whole", seed.bytes, seed.size);
    seed_begin(&seed, 2);
    add_member(&seed, 1, images, images_size);
    add_member(&seed, 1, labels, labels_size);
    seed_write("gzip", "deflated", seed.bytes, seed.size);
    seed_begin(&seed, 4);
    add_member(&seed, 1, images, 16);
    add_member(&seed, 3, bomb, sizeof bomb);
    add_member(&seed, 1, labels, labels_size);
    seed_write("gzip", "bomb", seed.bytes, seed.size);
    seed_begin(&seed, 2);
    size_t size = zip(images, images_size, space, sizeof space);
    add_member(&seed, 2, space + 3, size - 3 - 8);
    size = zip(labels, labels_size, space, sizeof space);
    memcpy(member, fields, sizeof fields);
    memcpy(member + sizeof fields, space + 10, size - 10 - 8);
    add_member(&seed, 2, member, sizeof fields + size - 10 - 8);
    seed_write("gzip", "mended", seed.bytes, seed.size);
}

static void seed_datasets(void) {
    static uint8_t images[16 + IMAGES * IMAGE_PIXELS] = {0, 0, 8, 3,  0, 0, 0, IMAGES,
                                                         0, 0, 0, 28, 0, 0, 0, 28};
    static const uint8_t labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES, 7, 0, 9};
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (uint8_t)(i / 7);
    seed_idx(images, sizeof images, labels, sizeof labels);
    seed_gzip(images, sizeof images, labels, sizeof labels);
}

static void seed_csv(void) {
    static const char rows[] = "\1label,\x80 0\n7,\x81\r\n\x82,\n\n\"3\",\x81\n";
    static const char plain[] = "\0"
                                "5;0;12;255\n";
    seed_write("csv", "rows", rows, sizeof rows - 1);
    seed_write("csv", "plain", plain, sizeof plain - 1);
}

/* An array's header and elements. */
static size_t put_array(uint8_t *bytes, const char *type, const char *shape, size_t elements) {
    char text[128];
    int size = snprintf(text, sizeof text,
                        "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (uint8_t)size;
    bytes[9] = 0;
    memcpy(bytes + 10, text, (size_t)size);
    memset(bytes + 10 + size, 1, elements);
    return 10 + (size_t)size + elements;
}

static void seed_npz(void) {
    static struct seed seed;
    uint8_t images[4096], labels[256];
    size_t images_size = put_array(images, "|u1", "(3, 28, 28)", (size_t)3 * IMAGE_PIXELS);
    size_t labels_size = put_array(labels, "|u1", "(3,)", 3);
    for (uint8_t flags = 0; flags < 4; flags += 2) {
        seed_begin(&seed, flags);
        seed_frame(&seed, images, images_size);
        seed_frame(&seed, labels, labels_size);
        seed_write("npz", flags ? "deflated" : "stored", seed.bytes, seed.size);
    }
    /* An archive with one empty member. */
    static const uint8_t raw[] =
        "PK\3\4\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b\0\0\0x_train.npy"
        "PK\1\2\x14\0\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0x_train.npy"
        "PK\5\6\0\0\0\0\1\0\1\0\x39\0\0\0\x29\0\0\0\0";
    seed_begin(&seed, 1);
    seed_frame(&seed, raw, sizeof raw);
    seed_write("npz", "raw", seed.bytes, seed.size);
}

static void seed_png(void) {
    static const struct {
        const char *name;
        png_uint_32 format;
    } forms[] = {{"gray", PNG_FORMAT_GRAY},
                 {"gray_alpha", PNG_FORMAT_GA},
                 {"colour", PNG_FORMAT_RGB},
                 {"colour_alpha", PNG_FORMAT_RGBA},
                 {"linear16", PNG_FORMAT_LINEAR_Y}};
    static uint16_t pixels[IMAGE_PIXELS * 4];
    uint8_t bytes[8192];
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (uint16_t)(i * 257);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        png_image image = {
            .version = PNG_IMAGE_VERSION, .width = 28, .height = 28, .format = forms[i].format};
        png_alloc_size_t size = sizeof bytes;
        seed_must(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, NULL),
                  image.message);
        seed_write("png", forms[i].name, bytes, size);
    }
}

/* --- checkpoint ------------------------------------------------------------------------------- */

static const char net_text[] = "name = small\n"
                               "p avgpool image size=14\n"
                               "n batchnorm p\n"
                               "d dense n units=10\n"
                               "s dense d units=19\n"
                               "output digit = d\noutput sum = s\n";

uint8_t *seed_make_checkpoint(uint64_t step, size_t *size) {
    const struct optimizer optimizer = {.kind = OPTIMIZER_ADAMW, .ema = 0.9f};
    struct checkpoint checkpoint = {.step = step, .epoch = 0.5, .samples = 2560, .seed = 1};
    char settings[] = "{\"batch\":128,\"seed\":1}";
    struct error error;
    uint8_t *bytes;
    checkpoint.settings = settings;
    memset(checkpoint.dataset, 'a', SHA256_HEX - 1);
    checkpoint.net = net_parse(net_text, strlen(net_text), "seed", &error);
    seed_must(checkpoint.net != NULL, "net");
    seed_must(state_alloc(&checkpoint.state, checkpoint.net, &optimizer, &error) == 0, "state");
    init_parameters(checkpoint.net, 1, checkpoint.state.weights);
    seed_must(checkpoint_encode(&checkpoint, &bytes, size, &error) == 0, "encode");
    state_free(&checkpoint.state);
    net_destroy(&checkpoint.net);
    return bytes;
}

static void seed_checkpoint(void) {
    size_t size;
    uint8_t *bytes = seed_make_checkpoint(20, &size);
    seed_write("checkpoint", "adamw", bytes, size);
    free(bytes);
}

/* --- what a run reads back -------------------------------------------------------------------- */

static void seed_texts(void) {
    static const char report[] =
        "{\"step\": 469, \"epoch\": 1.0, \"samples\": 60032, \"loss\": 0.0421, "
        "\"digit_accuracy\": 0.9, \"sum_accuracy\": 0.8, \"digit_interval\": [0.88, 0.92], "
        "\"sum_interval\": [0.77, 0.83], \"checkpoint_sha256\": "
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", "
        "\"seconds\": 3.25, \"count\": 1000, \"digit_hits\": 900, \"sum_hits\": 800, "
        "\"epoch_end\": true, \"final\": false, \"evaluator\": \"evaluator-1\"}\n";
    static const char record[] =
        "\x02\0"
        "0000000000000000000000000000000000000000000000000000000000000007\n"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
        "????????????????????????????????????????????????????????????????\n";
    static const char recipe[] = "optimizer = sgd\nrate = 0.05\nmomentum = 0.9\n"
                                 "batch=256 # a comment\n\nshift = 1.5\nkeep = 3\n";
    seed_write("report", "one_line", report, strlen(report));
    /* A version, a session's start at step 101, and digit/accuracy 0.5 of step 200. */
    static const uint8_t events[] = "\1\x0f\0\x1a\x0d"
                                    "brain.Event:2"
                                    "\6\0\x10\x65\x3a\2\x08\1"
                                    "\x1c\0\x10\xc8\1\x2a\x17\x0a\x15\x0a\x0e"
                                    "digit/accuracy"
                                    "\x15\0\0\0\x3f";
    seed_write("events", "one_point", events, sizeof events - 1);
    seed_write("record", "three_lines", record, sizeof record - 1);
    seed_write("recipe", "some", recipe, strlen(recipe));
}

int main(int argc, char **argv) {
    seed_must(argc == 2, "usage: seeds FOLDER");
    root = argv[1];
    mkdir(root, 0777);
    seed_datasets();
    seed_png();
    seed_csv();
    seed_npz();
    seed_checkpoint();
    seed_texts();
    seed_messages();
    return 0;
}
