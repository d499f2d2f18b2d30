/* See telemetry.h. One SUB socket, connected to the trainer and to every evaluator. */
#include "deploy/telemetry.h"

#include "common/clock.h"
#include "common/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE = 1000, SOURCES = 64 };

struct telemetry {
    struct peer *peer;
    void *socket; /* SUB */
    const struct log *log;
    bool progress;
    int generation; /* of the WELCOME that the sources belong to */
    struct reach_pool *looks;
    struct {
        char address[ENDPOINT_MAXIMUM];
        struct link *link;
        bool evaluator; /* or the trainer */
    } sources[SOURCES]; /* what the socket is connected to */
    int source_count;
    struct log_limit bad;
    bool over; /* the peer has ended; what is queued comes first */
    struct error why;
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
    self->log = log;
    self->progress = progress;
    self->looks = reach_pool_create(LINK_LOOKS);
    if (!self->looks)
        error_set(error, ERROR_MEMORY, "no memory to watch %s", join);
    else
        self->peer = peer_create(context, &hello, log, error);
    if (self->peer)
        self->socket = peer_new_socket(context, ZMQ_SUB, QUEUE, error);
    if (!self->peer || !self->socket)
        goto failed;
    if (zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, "", 0) != 0) {
        error_set(error, ERROR_IO, "cannot subscribe: %s", zmq_strerror(errno));
        goto failed;
    }
    return self;
failed:
    telemetry_destroy(&self);
    return NULL;
}

void telemetry_items(const struct telemetry *self, zmq_pollitem_t items[static TELEMETRY_ITEMS]) {
    items[0] = (zmq_pollitem_t){.socket = peer_socket(self->peer), .events = ZMQ_POLLIN};
    items[1] = (zmq_pollitem_t){.socket = self->socket, .events = ZMQ_POLLIN};
}

long telemetry_wait(const struct telemetry *self) {
    long wait = self->over ? 0 : peer_wait(self->peer);
    for (int i = 0; i < self->source_count; i++) {
        long due = link_wait(self->sources[i].link);
        wait = due < wait ? due : wait;
    }
    return wait;
}

static int find(const struct telemetry *self, const char *address) {
    for (int i = 0; i < self->source_count; i++)
        if (strcmp(self->sources[i].address, address) == 0)
            return i;
    return -1;
}

static void add(struct telemetry *self, const char *announced, const char *who, bool evaluator) {
    char address[ENDPOINT_MAXIMUM];
    struct error error = {0};
    if (!announced || !announced[0])
        return;
    if (endpoint_resolve(peer_trainer(self->peer), announced, address, &error) != 0) {
        log_warning(self->log, "cannot listen to what the trainer announced: %s", error.text);
        return;
    }
    if (find(self, address) >= 0)
        return;
    if (self->source_count == SOURCES) {
        log_warning(self->log, "not listening to %s: there are %d others already", address,
                    SOURCES);
        return;
    }
    const struct link_spec spec = {.socket = self->socket,
                                   .address = address,
                                   .who = who,
                                   .log = self->log,
                                   .pool = self->looks};
    self->sources[self->source_count].link = link_create(&spec, &error);
    if (!self->sources[self->source_count].link) {
        log_warning(self->log, "cannot listen to %s: %s", address, error.text);
        return;
    }
    self->sources[self->source_count].evaluator = evaluator;
    memcpy(self->sources[self->source_count++].address, address, sizeof address);
}

static void drop(struct telemetry *self, int i) {
    link_cut(&self->sources[i].link);
    self->sources[i] = self->sources[--self->source_count];
}

/* After a WELCOME: what an earlier run or trainer announced is stale. */
static void follow_welcome(struct telemetry *self) {
    const struct peer_run *run = peer_run(self->peer);
    if (!run || run->generation == self->generation)
        return;
    self->generation = run->generation;
    while (self->source_count > 0)
        drop(self, self->source_count - 1);
    if (self->progress)
        add(self, run->progress, "the trainer's progress", false);
}

/* PEERS lists all that there are now. An evaluator that is gone is left connected: what it has sent
 * may be under way still, and a socket that nobody serves costs nothing. */
static void follow_peers(struct telemetry *self, const Digitsum__Peers *peers) {
    for (int i = 0; i < self->source_count; i++) {
        bool listed = false;
        for (size_t j = 0; j < peers->n_endpoints; j++)
            listed = listed || strcmp(peers->endpoints[j]->address, self->sources[i].address) == 0;
        if (!listed && self->sources[i].evaluator)
            link_rest(self->sources[i].link);
    }
    for (size_t i = 0; i < peers->n_endpoints; i++)
        if (peers->endpoints[i]->role == DIGITSUM__ROLE__EVALUATOR)
            add(self, peers->endpoints[i]->address, peers->endpoints[i]->name, true);
}

/* 1 with a message of telemetry, 0 if there is none now. */
static int receive(struct telemetry *self, struct wire_message *message, struct error *error) {
    for (;;) {
        struct error bad = {0};
        int status = wire_receive(self->socket, false, 0, message, &bad);
        if (status == 0)
            return 0;
        if (status < 0 && bad.code != ERROR_CORRUPT) {
            *error = bad;
            return -1;
        }
        if (status < 0) {
            uint64_t held;
            if (log_limit_pass(&self->bad, clock_now(), 60 * CLOCK_SECOND, &held))
                log_warning(self->log, "a bad message was dropped: %s (%llu more)", bad.text,
                            (unsigned long long)held);
            continue;
        }
        Digitsum__Type type = message->header->type;
        if (type == DIGITSUM__TYPE__PROGRESS || type == DIGITSUM__TYPE__REPORT)
            return 1;
        wire_release(message);
    }
}

int telemetry_next(struct telemetry *self, struct wire_message *message, struct error *error) {
    while (!self->over) {
        int status = peer_receive(self->peer, message, &self->why);
        if (status < 0)
            self->over = true;
        else
            follow_welcome(self);
        if (status <= 0)
            break;
        if (message->header->type == DIGITSUM__TYPE__PEERS)
            follow_peers(self, message->header->peers);
        wire_release(message);
    }
    for (int i = 0; i < self->source_count && !self->over; i++)
        link_tend(self->sources[i].link);
    int status = receive(self, message, error);
    if (status == 0 && self->over) {
        *error = self->why;
        return -1;
    }
    return status;
}

void telemetry_destroy(struct telemetry **pointer) {
    struct telemetry *self = *pointer;
    if (!self)
        return;
    for (int i = 0; i < self->source_count; i++)
        link_destroy(&self->sources[i].link);
    reach_pool_destroy(&self->looks);
    if (self->socket)
        zmq_close(self->socket);
    /* A watcher's goodbye is a courtesy: not worth waiting for a trainer that is gone. */
    int linger = self->over ? 0 : 50;
    if (self->peer)
        zmq_setsockopt(peer_socket(self->peer), ZMQ_LINGER, &linger, sizeof linger);
    peer_destroy(&self->peer);
    free(self);
    *pointer = NULL;
}
