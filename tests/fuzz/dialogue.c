/* See dialogue.h. */
#include "tests/fuzz/dialogue.h"

#include "common/sha256.h"
#include "evaluator/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 5000, ANSWER_MS = 10, BATCH_MOST = 100 };

#define SIZE_MOST (UINT64_C(64) << 20) /* of a checkpoint that is offered without being there */

static void must(bool right, const char *what) {
    if (right)
        return;
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    abort();
}

static void *open_router(struct dialogue *self, const char *name, char address[static 80]) {
    int no_linger = 0;
    void *socket = zmq_socket(self->context, ZMQ_ROUTER);
    snprintf(address, 80, "ipc://%s/%s", self->folder, name);
    zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    must(zmq_bind(socket, address) == 0, address);
    return socket;
}

void dialogue_begin(struct dialogue *self, const char *target) {
    if (!self->context) {
        char loader[80];
        input_folder(target, self->folder);
        self->context = zmq_ctx_new();
        self->trainer = open_router(self, "trainer", self->address);
        self->loader = open_router(self, "loader", loader);
    }
    snprintf(self->name, sizeof self->name, "worker-%u", ++self->count);
    self->listed = false;
}

/* The next message on a ROUTER, whoever sent it; false when none comes in time. */
static bool hear(void *socket, long patience, struct wire_message *message) {
    struct error error;
    *message = (struct wire_message){0};
    return input_wait(socket, patience) && wire_receive(socket, true, 0, message, &error) == 1;
}

/* Takes what was heard; true where it is this worker's HELLO: it is answered from there on. */
static bool take(struct dialogue *self, struct wire_message *message) {
    bool met = message->header->type == DIGITSUM__TYPE__HELLO &&
               strcmp(message->header->hello->name, self->name) == 0;
    if (met)
        self->worker = message->from;
    wire_release(message); /* another one: the last words of a worker before */
    return met;
}

void dialogue_meet(struct dialogue *self) {
    struct wire_message message;
    do
        must(hear(self->trainer, LONG_MS, &message), "the worker's HELLO");
    while (!take(self, &message));
}

void dialogue_hush(struct dialogue *self) {
    struct wire_message message;
    while (hear(self->trainer, 0, &message))
        take(self, &message);
}

/* --- mending ---------------------------------------------------------------------------------- */

static void mend_sizes(Digitsum__Header *header, const struct input_frames *frames) {
    size_t count = (size_t)frames->count - 1;
    uint32_t *sizes = realloc(header->sizes, (count + 1) * sizeof *sizes);
    must(sizes != NULL, "memory for sizes");
    for (size_t i = 0; i < count; i++)
        sizes[i] = (uint32_t)frames->list[i + 1].size;
    header->sizes = sizes;
    header->n_sizes = count;
    if (header->type == DIGITSUM__TYPE__CHUNK && header->fetch && count > 0)
        header->fetch->size = sizes[0];
}

/* Whether libzmq would look for this host. */
static bool is_reachable(const char *address) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                ".-:%;[]_*";
    return strncmp(address, "tcp://", 6) == 0 && address[6 + strspn(address + 6, plain)] == '\0';
}

static void mend_peers(struct dialogue *self, Digitsum__Peers *peers) {
    for (size_t i = 0; i < peers->n_endpoints; i++) {
        Digitsum__Endpoint *endpoint = peers->endpoints[i];
        bool ours = strcmp(endpoint->address, "L") == 0;
        if (!ours && !is_reachable(endpoint->address))
            continue;
        free(endpoint->address); /* not empty, so it is not protobuf's own "" */
        must(asprintf(&endpoint->address, ours ? "ipc://%s/loader" : "tcp://127.0.0.1:9",
                      self->folder) > 0,
             "memory");
        self->listed = self->listed || ours;
    }
}

static void mend_welcome(Digitsum__Welcome *welcome) {
    if (welcome->batch > BATCH_MOST && welcome->batch < BATCH_MAX)
        welcome->batch %= BATCH_MOST;
}

static void mend_checkpoint(Digitsum__Header *header, const uint8_t *bytes, size_t size) {
    Digitsum__CheckpointInfo *info = header->checkpoint;
    struct input_frames frames;
    bool found = false;
    if (info->size > SIZE_MOST && info->size <= FOLLOW_BYTES)
        info->size %= SIZE_MOST;
    if (info->sha256.len != SHA256_SIZE || info->sha256.data[0] != 0)
        return;
    while (!found && input_next(&bytes, &size, &frames)) {
        Digitsum__Header *chunk = frames.count == 2 ? input_header(&frames, 0) : NULL;
        found = chunk && chunk->type == DIGITSUM__TYPE__CHUNK && chunk->step == header->step;
        if (chunk)
            digitsum__header__free_unpacked(chunk, NULL);
    }
    if (!found)
        return;
    info->size = frames.list[1].size;
    uint8_t *copy = malloc(frames.list[1].size + 1);
    must(copy != NULL, "memory for a checkpoint");
    memcpy(copy, frames.list[1].bytes, frames.list[1].size);
    input_mend_checkpoint(copy, frames.list[1].size);
    sha256_bytes(copy, frames.list[1].size, info->sha256.data);
    free(copy);
}

/* --- saying ----------------------------------------------------------------------------------- */

static void send_to(void *socket, const struct wire_address *to,
                    const struct input_frames *frames) {
    must(zmq_send(socket, to->bytes, to->size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0, "an address");
    input_send(socket, frames);
}

/* As the loader: answers the newest request, if there is one. */
static bool answer(struct dialogue *self, const struct input_frames *frames) {
    struct wire_message request, newer;
    bool asked = self->listed && hear(self->loader, ANSWER_MS, &request);
    self->listed = asked; /* an answer leads to the next request */
    if (!asked)
        return false;
    while (hear(self->loader, 0, &newer)) { /* those before hung up */
        wire_release(&request);
        wire_move(&request, &newer);
    }
    send_to(self->loader, &request.from, frames);
    wire_release(&request);
    return true;
}

bool dialogue_say(struct dialogue *self, struct input_frames *frames, const uint8_t *bytes,
                  size_t size) {
    if (frames->count == 0)
        return false;
    uint8_t *packed = NULL, *file = NULL;
    bool said = true, split = false;
    Digitsum__Header *header = input_header(frames, 0);
    if (header && header->type == DIGITSUM__TYPE__CHUNK && frames->count == 2) {
        file = malloc(frames->list[1].size + 1);
        must(file != NULL, "memory for a piece");
        memcpy(file, frames->list[1].bytes, frames->list[1].size);
        input_mend_checkpoint(file, frames->list[1].size);
        frames->list[1].bytes = file;
        digitsum__header__free_unpacked(header, NULL);
        header = input_header(frames, 0); /* for the CRC */
    }
    if (header) {
        split = header->type == DIGITSUM__TYPE__SPLIT;
        mend_sizes(header, frames);
        if (header->type == DIGITSUM__TYPE__PEERS && header->peers)
            mend_peers(self, header->peers);
        if (header->type == DIGITSUM__TYPE__WELCOME && header->welcome)
            mend_welcome(header->welcome);
        if (header->type == DIGITSUM__TYPE__CHECKPOINT && header->checkpoint)
            mend_checkpoint(header, bytes, size);
        packed = input_seal(frames, 0, header);
    }
    if (split)
        said = answer(self, frames);
    else
        send_to(self->trainer, &self->worker, frames);
    free(packed);
    free(file);
    return said;
}
