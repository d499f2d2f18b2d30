/* Fuzz target: what a trainer says to a loader or an augmenter (bit 0 of the first byte), and what
 * a broken evaluator asks of a loader (messages with bit 7 of their flags). The peer and what
 * serves batches are real; what the two programs do with a message is done here as their main.c
 * does. Each input is a worker's life. */
#include "augment/stage.h"
#include "common/peer.h"
#include "loader/serve.h"
#include "tests/fuzz/dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 5, PATIENCE_MS = 50, FROM_EVALUATOR = 0x80 };

static struct dialogue dialogue;
static struct log quiet;
static struct serve *serve;
static void *asker, *puller; /* an evaluator and an augmenter, of the loader */

static void must(bool right, const char *what) {
    if (right)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void open_loader(void) {
    static uint8_t memory[IMAGES * (IMAGE_PIXELS + 1)];
    static struct dataset dataset;
    const struct split split = {.count = IMAGES, .images = memory, .labels = memory + IMAGES * 784};
    char samples[128], requests[128];
    struct error error;
    log_init(&quiet, 2, "fuzz", LOG_ERROR);
    snprintf(dataset.name, sizeof dataset.name, "five");
    dataset.train = dataset.test = split;
    snprintf(samples, sizeof samples, "ipc://%s/samples", dialogue.folder);
    snprintf(requests, sizeof requests, "ipc://%s/split", dialogue.folder);
    serve = serve_create(dialogue.context, &dataset, samples, requests, &quiet, &error);
    asker = zmq_socket(dialogue.context, ZMQ_DEALER);
    puller = zmq_socket(dialogue.context, ZMQ_PULL);
    must(serve && zmq_connect(asker, requests) == 0 && zmq_connect(puller, samples) == 0, "serve");
}

static void augment(const struct peer_run *run) {
    static uint8_t images[2 * IMAGE_PIXELS] = {9, 9, 9};
    static const uint8_t labels[2] = {3, 9};
    static const uint32_t samples[2] = {0, UINT32_MAX}, epochs[2] = {UINT32_MAX, 1};
    uint8_t pairs[6];
    struct error error;
    struct stage *stage = stage_create(run->seed, &run->warps, 1, &error);
    if (stage)
        stage_run(stage, 2, images, labels, samples, epochs, images, pairs);
    stage_destroy(&stage);
}

/* Hears what there is. -1: the worker would end. */
static int hear(struct peer *peer, bool loader, int *generation) {
    struct wire_message message;
    struct error error = {0};
    int status;
    while ((status = peer_receive(peer, &message, &error)) == 1) {
        const struct peer_run *run = peer_run(peer);
        must(run != NULL, "work without a run");
        if (loader && run->generation != *generation)
            serve_begin(serve, run->run, run->seed, run->batch);
        *generation = loader ? run->generation : *generation;
        if (loader && message.header->type == DIGITSUM__TYPE__LEASE)
            serve_lease(serve, message.header->lease);
        wire_release(&message);
    }
    const struct peer_run *run = peer_run(peer);
    if (!loader && run && run->generation != *generation) {
        *generation = run->generation;
        augment(run);
    }
    must(status == 0 || error.text[0], "an end without a reason");
    must(peer_wait(peer) >= 0, "a wait that is over");
    return status;
}

static void work(void) {
    struct error error;
    char space[64];
    must(serve_work(serve, &error) == 0, "serving failed");
    while (zmq_recv(puller, space, sizeof space, ZMQ_DONTWAIT) >= 0)
        ;
    while (zmq_recv(asker, space, sizeof space, ZMQ_DONTWAIT) >= 0)
        ;
}

static void live(struct peer *peer, bool loader, const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    int generation = 0, status = 0;
    while (status == 0 && input_next(&bytes, &size, &frames)) {
        zmq_pollitem_t items[2];
        serve_poll_items(serve, items);
        bool from_evaluator = loader && frames.count > 0 && frames.flags & FROM_EVALUATOR;
        if (from_evaluator) {
            Digitsum__Header *header = input_header(&frames, 0);
            uint8_t *packed = header ? input_seal(&frames, 0, header) : NULL;
            input_send(asker, &frames);
            free(packed);
        } else if (!dialogue_say(&dialogue, &frames, bytes, size)) {
            continue;
        }
        input_wait(from_evaluator ? items[1].socket : peer_socket(peer), PATIENCE_MS);
        status = hear(peer, loader, &generation);
        if (loader)
            work();
        dialogue_hush(&dialogue);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct error error;
    if (size == 0)
        return 0;
    dialogue_begin(&dialogue, "worker");
    if (!serve)
        open_loader();
    bool loader = !(bytes[0] & 1);
    struct peer_hello hello = {.trainer = dialogue.address,
                               .role = loader ? DIGITSUM__ROLE__LOADER : DIGITSUM__ROLE__AUGMENT,
                               .name = dialogue.name,
                               .endpoints = {loader ? "ipc:///a" : NULL, "ipc:///b"},
                               .patience = 60};
    struct peer *peer = peer_create(dialogue.context, &hello, &quiet, &error);
    must(peer != NULL, "no peer");
    dialogue_meet(&dialogue);
    live(peer, loader, bytes + 1, size - 1);
    peer_destroy(&peer);
    return 0;
}
