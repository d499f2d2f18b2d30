/* Writes the corpora that fuzzing begins from: small inputs of every kind, all of them right.
 *
 *     seeds FOLDER        makes FOLDER/<target>/<name> */
#include "common/crc32c.h"
#include "common/wire.h"
#include "model/checkpoint.h"
#include "model/init.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define SEED_MOST 65536

static const char *root;

static void must(int right, const char *what) {
    if (right)
        return;
    perror(what);
    exit(1);
}

static void write_seed(const char *target, const char *name, const uint8_t *bytes, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    FILE *file = fopen(path, "wbe");
    must(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, path);
}

/* --- frames: input.h says how they lie in an input -------------------------------------------- */

struct seed {
    uint8_t bytes[SEED_MOST];
    size_t size;
};

static void begin(struct seed *seed, uint8_t flags) {
    seed->bytes[0] = flags;
    seed->size = 1;
}

static void add(struct seed *seed, const void *bytes, size_t size) {
    must(size < 65536 && seed->size + 2 + size <= SEED_MOST, "a seed is too large");
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
    must(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflate");
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
    size_t done = stream.total_out;
    deflateEnd(&stream);
    return done;
}

static void seed_idx(void) {
    static uint8_t images[16 + IMAGES * IMAGE_PIXELS] = {0, 0, 8, 3,  0, 0, 0, IMAGES,
                                                         0, 0, 0, 28, 0, 0, 0, 28};
    uint8_t labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES, 7, 0, 9};
    static struct seed plain, zipped;
    uint8_t space[8192];
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (uint8_t)(i / 7);
    begin(&plain, 0);
    add(&plain, images, sizeof images);
    add(&plain, labels, sizeof labels);
    write_seed("idx", "plain", plain.bytes, plain.size);
    begin(&zipped, 0);
    add(&zipped, space, zip(images, sizeof images, space, sizeof space));
    add(&zipped, space, zip(labels, sizeof labels, space, sizeof space));
    write_seed("idx", "gzip", zipped.bytes, zipped.size);
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
        must(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, NULL), image.message);
        write_seed("png", forms[i].name, bytes, size);
    }
}

/* --- checkpoint ------------------------------------------------------------------------------- */

static const char net_text[] =
    "name = \"small\"; nodes = ("
    "{ name = \"p\"; kind = \"avgpool\"; input = \"image\"; size = 14; },"
    "{ name = \"n\"; kind = \"batchnorm\"; input = \"p\"; },"
    "{ name = \"d\"; kind = \"dense\"; input = \"n\"; units = 10; },"
    "{ name = \"s\"; kind = \"dense\"; input = \"d\"; units = 19; });"
    "outputs = { digit = \"d\"; sum = \"s\"; };";

static void seed_checkpoint(void) {
    const struct optimizer optimizer = {.kind = OPTIMIZER_ADAMW, .ema = 0.9f};
    struct checkpoint checkpoint = {.step = 20, .epoch = 0.5, .samples = 2560, .seed = 1, .run = 9};
    char settings[] = "{\"batch\":128,\"seed\":1}";
    struct error error;
    uint8_t *bytes;
    size_t size;
    checkpoint.settings = settings;
    memset(checkpoint.dataset, 'a', SHA256_HEX - 1);
    checkpoint.net = net_parse(net_text, strlen(net_text), "seed", &error);
    must(checkpoint.net != NULL, "net");
    must(state_alloc(&checkpoint.state, checkpoint.net, &optimizer, &error) == 0, "state");
    init_parameters(checkpoint.net, 1, checkpoint.state.weights);
    must(checkpoint_encode(&checkpoint, &bytes, &size, &error) == 0, "encode");
    write_seed("checkpoint", "adamw", bytes, size);
    free(bytes);
    state_free(&checkpoint.state);
    net_destroy(&checkpoint.net);
}

/* --- messages --------------------------------------------------------------------------------- */

/* One message as the wire target and, without flags, as the control target take it. */
static void seed_message(const char *name, Digitsum__Header *header, const void *const *payload,
                         const size_t *sizes, int count) {
    static struct seed seed;
    uint8_t packed[4096];
    uint32_t frame_sizes[WIRE_FRAMES];
    header->version = WIRE_VERSION;
    header->n_sizes = (size_t)count;
    header->sizes = frame_sizes;
    for (int i = 0; i < count; i++) {
        frame_sizes[i] = (uint32_t)sizes[i];
        header->crc = crc32c(header->crc, payload[i], sizes[i]);
    }
    must(digitsum__header__get_packed_size(header) <= sizeof packed, "header");
    size_t size = digitsum__header__pack(header, packed);
    for (uint8_t router = 0; router < 2; router++) {
        begin(&seed, (uint8_t)(router | (header->run ? 2 : 0)));
        if (router)
            add(&seed, "worker", 6);
        add(&seed, packed, size);
        for (int i = 0; i < count; i++)
            add(&seed, payload[i], sizes[i]);
        char file[64];
        snprintf(file, sizeof file, "%s%s", name, router ? "_routed" : "");
        write_seed("wire", file, seed.bytes, seed.size);
        if (!router)
            write_seed("control", file, seed.bytes, seed.size);
    }
}

static void seed_simple(const char *name, Digitsum__Type type, uint64_t step) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = type;
    header.run = 7;
    header.step = step;
    seed_message(name, &header, NULL, NULL, 0);
}

static void seed_hello(const char *name, Digitsum__Role role, bool with_dataset) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Hello hello = DIGITSUM__HELLO__INIT;
    Digitsum__Dataset dataset = DIGITSUM__DATASET__INIT;
    char *endpoints[] = {(char *)"ipc:///tmp/samples", (char *)"ipc:///tmp/split"};
    uint8_t sha256[SHA256_SIZE] = {1, 2, 3};
    header.type = DIGITSUM__TYPE__HELLO;
    header.hello = &hello;
    hello.role = role;
    hello.name = (char *)(uintptr_t)name;
    hello.program = (char *)"1";
    hello.n_endpoints = with_dataset ? 2 : role == DIGITSUM__ROLE__EVALUATOR;
    hello.endpoints = endpoints;
    dataset.name = (char *)"MNIST";
    dataset.sha256.data = sha256;
    dataset.sha256.len = sizeof sha256;
    dataset.train = 60000;
    dataset.test = 10000;
    hello.dataset = with_dataset ? &dataset : NULL;
    seed_message(name, &header, NULL, NULL, 0);
}

static void seed_dialogue(void) {
    seed_hello("hello_loader", DIGITSUM__ROLE__LOADER, true);
    seed_hello("hello_augment", DIGITSUM__ROLE__AUGMENT, false);
    seed_hello("hello_evaluator", DIGITSUM__ROLE__EVALUATOR, false);
    seed_hello("hello_watch", DIGITSUM__ROLE__WATCH, false);
    seed_simple("heartbeat", DIGITSUM__TYPE__HEARTBEAT, 0);
    seed_simple("goodbye", DIGITSUM__TYPE__GOODBYE, 0);

    Digitsum__Header fetch = DIGITSUM__HEADER__INIT;
    Digitsum__Fetch range = DIGITSUM__FETCH__INIT;
    fetch.type = DIGITSUM__TYPE__FETCH;
    fetch.run = 7;
    fetch.step = 20;
    fetch.fetch = &range;
    range.offset = 4096;
    range.size = 65536;
    seed_message("fetch", &fetch, NULL, NULL, 0);

    Digitsum__Header report = DIGITSUM__HEADER__INIT;
    Digitsum__Report scores = DIGITSUM__REPORT__INIT;
    uint8_t sha256[SHA256_SIZE] = {5};
    report.type = DIGITSUM__TYPE__REPORT;
    report.run = 7;
    report.step = 20;
    report.report = &scores;
    scores.epoch = 0.5;
    scores.samples = 2560;
    scores.count = 10000;
    scores.loss = 0.1;
    scores.digit_hits = 9900;
    scores.sum_hits = 9890;
    scores.sha256.data = sha256;
    scores.sha256.len = sizeof sha256;
    scores.evaluator = (char *)"evaluator-1";
    scores.error = (char *)"";
    seed_message("report", &report, NULL, NULL, 0);
}

static void seed_batches(void) {
    static uint8_t images[2 * IMAGE_PIXELS];
    static const uint8_t pairs[6] = {3, 9, 4, 0, 7, 9}, labels[2] = {3, 9};
    static const uint32_t numbers[2] = {11, 59999};
    const void *const pairs_frames[] = {images, pairs};
    const size_t pairs_sizes[] = {sizeof images, sizeof pairs};
    const void *const samples_frames[] = {images, labels, numbers, numbers};
    const size_t samples_sizes[] = {sizeof images, sizeof labels, sizeof numbers, sizeof numbers};
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__PAIRS;
    header.run = 7;
    header.step = 5;
    header.count = 2;
    seed_message("pairs", &header, pairs_frames, pairs_sizes, 2);
    header.type = DIGITSUM__TYPE__SAMPLES;
    header.crc = 0;
    seed_message("samples", &header, samples_frames, samples_sizes, 4);
}

int main(int argc, char **argv) {
    must(argc == 2, "usage: seeds FOLDER");
    root = argv[1];
    mkdir(root, 0777);
    seed_idx();
    seed_png();
    seed_checkpoint();
    seed_dialogue();
    seed_batches();
    return 0;
}
