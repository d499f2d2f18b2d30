/* Messages one by one, for what takes them off a socket, and whole lives of workers. */
#include "tests/fuzz/seeds.h"

#include "common/crc32c.h"
#include "common/sha256.h"
#include "common/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN 7
#define TO_BATCHES 3 /* the control target's flags */

/* Completes the header and packs it; returns its size. */
static size_t pack(Digitsum__Header *header, const void *const *payload, const size_t *sizes,
                   int count, uint8_t packed[static WIRE_HEADER_MAX]) {
    uint32_t frame_sizes[WIRE_FRAMES];
    header->version = WIRE_VERSION;
    header->n_sizes = (size_t)count;
    header->sizes = frame_sizes;
    header->crc = 0;
    for (int i = 0; i < count; i++) {
        frame_sizes[i] = (uint32_t)sizes[i];
        header->crc = crc32c(header->crc, payload[i], sizes[i]);
    }
    seed_must(digitsum__header__get_packed_size(header) <= WIRE_HEADER_MAX, "header");
    size_t size = digitsum__header__pack(header, packed);
    header->n_sizes = 0;
    header->sizes = NULL;
    return size;
}

/* --- one by one ------------------------------------------------------------------------------- */

/* One message as the wire target and the control target take it. */
static void seed_message(const char *name, Digitsum__Header *header, const void *const *payload,
                         const size_t *sizes, int count) {
    static struct seed seed;
    static uint8_t packed[WIRE_HEADER_MAX];
    size_t size = pack(header, payload, sizes, count, packed);
    for (uint8_t router = 0; router < 2; router++) {
        seed_begin(&seed, (uint8_t)(router | (header->run ? 2 : 0)));
        if (router)
            seed_frame(&seed, "worker", 6);
        seed_frame(&seed, packed, size);
        for (int i = 0; i < count; i++)
            seed_frame(&seed, payload[i], sizes[i]);
        char file[64];
        snprintf(file, sizeof file, "%s%s", name, router ? "_routed" : "");
        seed_write("wire", file, seed.bytes, seed.size);
        seed.bytes[0] = header->type == DIGITSUM__TYPE__PAIRS ? TO_BATCHES : 0;
        if (!router)
            seed_write("control", file, seed.bytes, seed.size);
    }
}

static void seed_simple(const char *name, Digitsum__Type type, uint64_t step) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = type;
    header.run = RUN;
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
    hello.n_endpoints = with_dataset ? 2 : 0;
    hello.endpoints = endpoints;
    dataset.name = (char *)"MNIST";
    dataset.sha256.data = sha256;
    dataset.sha256.len = sizeof sha256;
    dataset.train = 60000;
    dataset.test = 10000;
    hello.dataset = with_dataset ? &dataset : NULL;
    char *notices[] = {(char *)"digits without a single image: 4", (char *)"\x1b[2J\xff"};
    hello.n_notices = with_dataset ? 2 : 0;
    hello.notices = notices;
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
    fetch.run = RUN;
    fetch.step = 20;
    fetch.fetch = &range;
    range.offset = 1024;
    range.size = 2048;
    seed_message("fetch", &fetch, NULL, NULL, 0);

    Digitsum__Header report = DIGITSUM__HEADER__INIT;
    Digitsum__Report scores = DIGITSUM__REPORT__INIT;
    uint8_t sha256[SHA256_SIZE] = {5};
    report.type = DIGITSUM__TYPE__REPORT;
    report.run = RUN;
    report.step = 20;
    report.report = &scores;
    scores.epoch = 0.5;
    scores.samples = 2560;
    scores.count = 10000;
    scores.loss = 0.1;
    scores.digit_loss = 0.06;
    scores.sum_loss = 0.04;
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
    header.run = RUN;
    header.count = 2;
    seed_message("pairs", &header, pairs_frames, pairs_sizes, 2);
    header.type = DIGITSUM__TYPE__SAMPLES;
    seed_message("samples", &header, samples_frames, samples_sizes, 4);
}

/* --- lives ------------------------------------------------------------------------------------ */

enum { FROM_EVALUATOR = 0x80 };

/* Adds a message to a life; the wire target gets one of each type on its own. */
static void say_with(struct seed *life, uint8_t flags, Digitsum__Header *header,
                     const void *const *payload, const size_t *sizes, int count) {
    static uint8_t packed[WIRE_HEADER_MAX];
    size_t size = pack(header, payload, sizes, count, packed);
    seed_flags(life, (uint8_t)(flags | (1 + count)));
    seed_frame(life, packed, size);
    for (int i = 0; i < count; i++)
        seed_frame(life, payload[i], sizes[i]);
    static struct seed alone;
    seed_begin(&alone, 2);
    seed_frame(&alone, packed, size);
    for (int i = 0; i < count; i++)
        seed_frame(&alone, payload[i], sizes[i]);
    seed_write("wire", wire_type_name(header->type), alone.bytes, alone.size);
}

static void say(struct seed *life, Digitsum__Header *header, Digitsum__Type type, uint64_t step) {
    header->type = type;
    header->run = RUN;
    header->step = step;
    say_with(life, 0, header, NULL, NULL, 0);
}

static void say_welcome(struct seed *life) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Welcome welcome = DIGITSUM__WELCOME__INIT;
    Digitsum__Warps warps = DIGITSUM__WARPS__INIT;
    welcome.run = RUN;
    welcome.seed = 1;
    welcome.batch = 16;
    welcome.steps = 469;
    welcome.pairs_endpoint = (char *)"ipc:///tmp/pairs";
    welcome.heartbeat_ms = 500;
    welcome.silence_ms = 5000;
    welcome.warps = &warps;
    warps.shift = 1.5f;
    warps.rotate = 12;
    warps.scale = 0.1f;
    warps.shear = 5;
    warps.elastic = 0.5f;
    header.welcome = &welcome;
    say(life, &header, DIGITSUM__TYPE__WELCOME, 0);
}

static void say_simple(struct seed *life, Digitsum__Type type) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    say(life, &header, type, 0);
}

static void say_lease(struct seed *life, uint64_t first, uint32_t count) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Lease lease = DIGITSUM__LEASE__INIT;
    lease.first = first;
    lease.count = count;
    header.lease = &lease;
    say(life, &header, DIGITSUM__TYPE__LEASE, 0);
}

static void say_peers(struct seed *life, char *address) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Peers peers = DIGITSUM__PEERS__INIT;
    Digitsum__Endpoint one = DIGITSUM__ENDPOINT__INIT, two = DIGITSUM__ENDPOINT__INIT;
    Digitsum__Endpoint *both[] = {&one, &two};
    one.role = two.role = DIGITSUM__ROLE__LOADER;
    one.name = (char *)"loader-1";
    two.name = (char *)"loader-2";
    one.address = address;
    two.address = (char *)"tcp://127.0.0.1:9";
    peers.n_endpoints = 2;
    peers.endpoints = both;
    header.peers = &peers;
    say(life, &header, DIGITSUM__TYPE__PEERS, 0);
}

static void say_end(struct seed *life, Digitsum__Type type) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Stop stop = DIGITSUM__STOP__INIT;
    Digitsum__Refusal refusal = DIGITSUM__REFUSAL__INIT;
    stop.reason = refusal.reason = (char *)"enough";
    header.stop = type == DIGITSUM__TYPE__STOP ? &stop : NULL;
    header.refused = type == DIGITSUM__TYPE__REFUSED ? &refusal : NULL;
    say(life, &header, type, 0);
}

/* `first`, `count`: a request as an evaluator sends it to a loader. */
static void say_request(struct seed *life, uint32_t first, uint32_t count) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__SplitRequest rows = DIGITSUM__SPLIT_REQUEST__INIT;
    rows.first = first;
    rows.count = count;
    header.type = DIGITSUM__TYPE__SPLIT_REQUEST;
    header.split = &rows;
    say_with(life, FROM_EVALUATOR, &header, NULL, NULL, 0);
}

/* Rows of a test split of three: the loader's answer. */
static void say_split(struct seed *life, uint32_t first, uint32_t count) {
    static const uint8_t images[3 * IMAGE_PIXELS], labels[3] = {7, 0, 9};
    const void *const payload[] = {images, labels};
    const size_t sizes[] = {count * IMAGE_PIXELS, count};
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__SplitRequest rows = DIGITSUM__SPLIT_REQUEST__INIT;
    Digitsum__Dataset dataset = DIGITSUM__DATASET__INIT;
    uint8_t sha256[32] = {1, 2, 3};
    rows.first = first;
    rows.count = count;
    dataset.name = (char *)"MNIST";
    dataset.sha256.data = sha256;
    dataset.sha256.len = sizeof sha256;
    dataset.train = 5;
    dataset.test = 3;
    header.type = DIGITSUM__TYPE__SPLIT;
    header.count = count;
    header.split = &rows;
    header.dataset = &dataset;
    say_with(life, 0, &header, payload, sizes, 2);
}

/* A checkpoint whose digest is to be put right, with 0, or is wrong; and its one piece. */
static void say_offer(struct seed *life, uint64_t step, uint32_t sequence, size_t size,
                      uint8_t digest) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__CheckpointInfo info = DIGITSUM__CHECKPOINT_INFO__INIT;
    uint8_t sha256[32] = {digest};
    info.size = size;
    info.sha256.data = sha256;
    info.sha256.len = sizeof sha256;
    info.weights.data = sha256;
    info.weights.len = sequence % 2 ? sizeof sha256 : 0;
    info.epoch = 0.5;
    info.samples = 2560;
    info.sequence = sequence;
    info.epoch_end = sequence % 2;
    info.seconds = 3.5;
    header.checkpoint = &info;
    say(life, &header, DIGITSUM__TYPE__CHECKPOINT, step);
}

static void say_chunk(struct seed *life, uint64_t step, const uint8_t *bytes, size_t size) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Fetch fetch = DIGITSUM__FETCH__INIT;
    const void *const payload[] = {bytes};
    fetch.size = (uint32_t)size;
    header.fetch = &fetch;
    header.type = DIGITSUM__TYPE__CHUNK;
    header.run = RUN;
    header.step = step;
    say_with(life, 0, &header, payload, &size, 1);
}

static void say_gone(struct seed *life, uint64_t step) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Gone gone = DIGITSUM__GONE__INIT;
    gone.reason = (char *)"it is shorter than it was";
    header.gone = &gone;
    say(life, &header, DIGITSUM__TYPE__GONE, step);
}

static void seed_workers(void) {
    static struct seed life;
    seed_begin(&life, 0);
    say_welcome(&life);
    say_lease(&life, 0, 3);
    say_request(&life, 0, 1000);
    say_request(&life, 4, 1);
    say_lease(&life, 1000000, 4096);
    say_simple(&life, DIGITSUM__TYPE__UNKNOWN);
    say_welcome(&life);
    say_lease(&life, 3, 1);
    say_end(&life, DIGITSUM__TYPE__STOP);
    seed_write("worker", "loader", life.bytes, life.size);
    seed_begin(&life, 1);
    say_welcome(&life);
    say_peers(&life, (char *)"ipc:///tmp/samples");
    say_simple(&life, DIGITSUM__TYPE__HEARTBEAT);
    say_welcome(&life);
    say_end(&life, DIGITSUM__TYPE__REFUSED);
    seed_write("worker", "augmenter", life.bytes, life.size);
}

static void seed_evaluators(void) {
    static struct seed life;
    size_t size;
    uint8_t *bytes = seed_make_checkpoint(20, &size);
    for (uint8_t files = 0; files < 2; files++) {
        seed_begin(&life, files);
        say_welcome(&life);
        say_peers(&life, (char *)"L");
        say_split(&life, 0, 2);
        say_split(&life, 2, 1);
        say_offer(&life, 20, 1, 4096, 0);
        say_chunk(&life, 20, bytes, size);
        say_offer(&life, 30, 3, 4096, 0);
        say_chunk(&life, 30, bytes, size / 2);
        say_offer(&life, 40, 4, 4096, 0);
        say_gone(&life, 40);
        say_gone(&life, 30);
        say_end(&life, DIGITSUM__TYPE__STOP);
        seed_write("evaluator", files ? "with_files" : "without_files", life.bytes, life.size);
    }
    free(bytes);
}

/* What a life has more seldom: a step offered again once it is scored, another network, a digest
 * that stays wrong, and more offers than are kept. */
static void seed_seldom(void) {
    static struct seed life;
    static const uint8_t piece[64];
    size_t size, more;
    uint8_t *bytes = seed_make_checkpoint(20, &size), *other = seed_make_checkpoint(30, &more);
    uint8_t *name = memmem(other, more, "small", 5);
    seed_must(name != NULL, "the network's name");
    memcpy(name, "other", 5);
    seed_begin(&life, 1);
    say_welcome(&life);
    say_peers(&life, (char *)"L");
    say_split(&life, 0, 3);
    for (uint32_t i = 0; i < 2; i++) {
        say_offer(&life, 20, 1 + i, 4096, 0);
        say_chunk(&life, 20, bytes, size);
    }
    say_offer(&life, 30, 3, 4096, 0);
    say_chunk(&life, 30, other, more);
    say_offer(&life, 40, 4, sizeof piece, 1);
    for (int try = 0; try < 3; try++)
        say_chunk(&life, 40, piece, sizeof piece);
    seed_write("evaluator", "seldom", life.bytes, life.size);
    seed_begin(&life, 0);
    say_welcome(&life);
    for (uint32_t i = 0; i < 260; i++)
        say_offer(&life, 100 + i, 1 + i, 4096, 1);
    seed_write("evaluator", "many", life.bytes, life.size);
    free(bytes);
    free(other);
}

void seed_messages(void) {
    seed_dialogue();
    seed_batches();
    seed_workers();
    seed_evaluators();
    seed_seldom();
}
