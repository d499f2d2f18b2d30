/* See telemetry.h. */
#include "deploy/telemetry.h"

#include <stdlib.h>

struct telemetry {
    struct peer *peer;
    bool progress;
    bool over; /* the run is over, or the trainer is gone */
};

struct telemetry *telemetry_create(void *context, const char *join, const char *name, bool progress,
                                   int patience, const struct log *log, struct error *error) {
    struct telemetry *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory to watch %s", join);
        return NULL;
    }
    struct peer_hello hello = {
        .trainer = join, .role = DIGITSUM__ROLE__WATCH, .name = name, .patience = patience};
    self->progress = progress;
    self->peer = peer_create(context, &hello, log, error);
    if (!self->peer)
        telemetry_destroy(&self);
    return self;
}

zmq_pollitem_t telemetry_item(const struct telemetry *self) {
    return (zmq_pollitem_t){.socket = peer_socket(self->peer), .events = ZMQ_POLLIN};
}

long telemetry_wait(const struct telemetry *self) {
    return peer_wait(self->peer);
}

int telemetry_next(struct telemetry *self, struct wire_message *message, struct error *error) {
    int status;
    while ((status = peer_receive(self->peer, message, error)) == 1) {
        Digitsum__Type type = message->header->type;
        if (type == DIGITSUM__TYPE__REPORT || (type == DIGITSUM__TYPE__PROGRESS && self->progress))
            return 1;
        wire_release(message);
    }
    self->over = status < 0;
    return status;
}

void telemetry_destroy(struct telemetry **pointer) {
    struct telemetry *self = *pointer;
    if (!self)
        return;
    /* A watcher's goodbye is a courtesy: not worth waiting for a trainer that is gone. */
    int linger = self->over ? 0 : 50;
    if (self->peer)
        zmq_setsockopt(peer_socket(self->peer), ZMQ_LINGER, &linger, sizeof linger);
    peer_destroy(&self->peer);
    free(self);
    *pointer = NULL;
}
