/* See peer.h. Three states: joining (HELLO once a second until an answer), joined, ended. */
#include "common/peer.h"

#include "common/clock.h"
#include "common/link.h"
#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONTROL_QUEUE = 256,
    MESSAGES_AT_ONCE = 256,
    LINGER_MS = 500,
    DATA_BUFFER = 256 << 10, /* bytes; the system's own choice grows to megabytes */
    ALIVE_AFTER = 10, /* s without a byte, after which the system asks whether the other side is */
    ALIVE_EVERY = 2,  /* s between questions */
    ALIVE_TRIES = 3,
    GREETING_MS = 5000, /* in which who connects must have said that it speaks ZMTP */
    UNREAD_MS = 5000    /* a tcp connection whose other side takes nothing for so long is closed */
};

#define ZAP_DOMAIN "digitsum"
#define TURN_MAX (2 * CLOCK_SECOND) /* between looks at the clock; more is time spent stopped */

struct peer {
    void *socket; /* DEALER, owned */
    struct link *link;
    const struct log *log;
    char trainer[ENDPOINT_MAX];
    char name[PEER_NAME];
    uint64_t instance; /* of this process, at random */
    Digitsum__Role role;
    char *endpoints[4]; /* owned copies */
    size_t endpoint_count;
    Digitsum__Dataset dataset; /* texts owned, where has_dataset */
    bool has_dataset;
    struct notices notices;
    bool records;
    int64_t patience; /* ns */
    bool joined;
    struct peer_run run;
    int64_t heartbeat, silence; /* ns */
    int64_t asked;              /* when anew, because of a damaged message; 0: never */
    int64_t heard;              /* when the trainer last said anything */
    int64_t connected;          /* when the connection was made, or made anew */
    int handled;                /* messages since peer_receive last returned 0 */
    int64_t looked;             /* when keep_up was called last; 0: never */
    int64_t due;                /* when to send the next HELLO or HEARTBEAT */
    struct log_limit bad;       /* lines about bad messages */
};

void *peer_new_socket(void *context, int type, int queue, struct error *error) {
    void *socket = zmq_socket(context, type);
    int64_t frame = WIRE_FRAME_MAX;
    int linger = LINGER_MS, yes = 1;
    int idle = ALIVE_AFTER, every = ALIVE_EVERY, tries = ALIVE_TRIES, greeting = GREETING_MS;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue) != 0 ||
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame, sizeof frame) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &greeting, sizeof greeting) != 0 ||
        /* With a domain for authentication libzmq turns away peers that speak ZMTP 1 or 2, whose
         * type of socket it does not check: on a PUSH socket they would take batches. There is no
         * authenticator: the peers of today's ZMTP pass. */
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, sizeof ZAP_DOMAIN - 1) != 0 ||
        zmq_setsockopt(socket, ZMQ_IPV6, &yes, sizeof yes) != 0 ||
        zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE, &yes, sizeof yes) != 0 ||
        zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE_IDLE, &idle, sizeof idle) != 0 ||
        zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE_INTVL, &every, sizeof every) != 0 ||
        zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE_CNT, &tries, sizeof tries) != 0) {
        error_set(error, ERROR_IO, "cannot make a socket: %s", zmq_strerror(errno));
        if (socket)
            zmq_close(socket);
        return NULL;
    }
    return socket;
}

void *peer_new_data_socket(void *context, int type, int queue, struct error *error) {
    void *socket = peer_new_socket(context, type, queue, error);
    int buffer = DATA_BUFFER, most = UNREAD_MS;
    if (socket &&
        ((type == ZMQ_PUSH && zmq_setsockopt(socket, ZMQ_TCP_MAXRT, &most, sizeof most) != 0) ||
         zmq_setsockopt(socket, ZMQ_SNDBUF, &buffer, sizeof buffer) != 0 ||
         zmq_setsockopt(socket, ZMQ_RCVBUF, &buffer, sizeof buffer) != 0)) {
        error_set(error, ERROR_IO, "cannot make a socket: %s", zmq_strerror(errno));
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

const char *peer_name(const char *given, const char *role, char name[static PEER_NAME]) {
    char host[PEER_NAME] = "";
    if (given)
        return given;
    if (gethostname(host, sizeof host) != 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    host[strcspn(host, ".")] = '\0'; /* without its domain */
    for (char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 0x80)
            *c = '-';
    snprintf(name, PEER_NAME, "%s-%.32s-%ld", role, host, (long)getpid());
    return name;
}

static int send_hello(struct peer *self, struct error *error) {
    Digitsum__Hello hello = DIGITSUM__HELLO__INIT;
    hello.role = self->role;
    hello.name = self->name;
    hello.program = (char *)DIGITSUM_VERSION;
    hello.instance = self->instance;
    hello.n_endpoints = self->endpoint_count;
    hello.endpoints = self->endpoints;
    hello.dataset = self->has_dataset ? &self->dataset : NULL;
    char *notices[NOTICES_MAX];
    for (int i = 0; i < self->notices.count; i++)
        notices[i] = self->notices.texts[i];
    hello.records = self->records;
    hello.n_notices = (size_t)self->notices.count;
    hello.notices = notices;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__HELLO;
    header.hello = &hello;
    return wire_send(self->socket, NULL, &header, NULL, 0, error);
}

/* Copies the texts of the hello; -1 when memory is short. */
static int copy_hello(struct peer *self, const struct peer_hello *hello) {
    for (; self->endpoint_count < 4 && hello->endpoints[self->endpoint_count];
         self->endpoint_count++) {
        self->endpoints[self->endpoint_count] = strdup(hello->endpoints[self->endpoint_count]);
        if (!self->endpoints[self->endpoint_count])
            return -1;
    }
    if (hello->notices)
        self->notices = *hello->notices;
    if (!hello->dataset)
        return 0;
    self->dataset = *hello->dataset;
    self->has_dataset = true;
    self->dataset.name = strdup(hello->dataset->name);
    self->dataset.sha256.data = malloc(hello->dataset->sha256.len);
    if (!self->dataset.name || !self->dataset.sha256.data)
        return -1;
    memcpy(self->dataset.sha256.data, hello->dataset->sha256.data, hello->dataset->sha256.len);
    return 0;
}

struct peer *peer_create(void *context, const struct peer_hello *hello, const struct log *log,
                         struct error *error) {
    if (endpoint_check(hello->trainer, false, error) != 0)
        return NULL;
    struct peer *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory to join %s", hello->trainer);
        return NULL;
    }
    if (RAND_bytes((unsigned char *)&self->instance, sizeof self->instance) != 1)
        self->instance = 0; /* unknown: a namesake is taken for a restart then */
    self->log = log;
    self->role = hello->role;
    self->records = hello->records;
    self->patience = hello->patience * CLOCK_SECOND;
    self->heartbeat = CLOCK_SECOND;
    self->silence = 5 * CLOCK_SECOND;
    snprintf(self->trainer, sizeof self->trainer, "%s", hello->trainer);
    snprintf(self->name, sizeof self->name, "%s", hello->name);
    if (copy_hello(self, hello) != 0) {
        error_set(error, ERROR_MEMORY, "no memory to join %s", hello->trainer);
        goto failed;
    }
    self->socket = peer_new_socket(context, ZMQ_DEALER, CONTROL_QUEUE, error);
    if (!self->socket)
        goto failed;
    const struct link_spec spec = {
        .socket = self->socket, .address = self->trainer, .answers = true, .log = log};
    self->link = link_create(&spec, error);
    if (!self->link)
        goto failed;
    self->heard = self->connected = clock_now();
    if (send_hello(self, error) < 0)
        goto failed;
    self->due = self->heard + CLOCK_SECOND;
    return self;
failed:
    peer_destroy(&self);
    return NULL;
}

void *peer_socket(const struct peer *self) {
    return self->socket;
}

long peer_wait(const struct peer *self) {
    int64_t left = self->due - clock_now();
    long wait = left <= 0 ? 0 : (long)(left / CLOCK_MILLISECOND) + 1,
         looking = link_wait(self->link);
    return wait < looking ? wait : looking;
}

static void welcome(struct peer *self, const Digitsum__Welcome *text) {
    struct peer_run *run = &self->run;
    run->run = text->run;
    run->seed = text->seed;
    run->batch = text->batch;
    run->steps = text->steps;
    run->made = text->made;
    run->warps = warps_from_message(text->warps);
    snprintf(run->pairs, sizeof run->pairs, "%s", text->pairs_endpoint);
    run->generation++;
    if (text->heartbeat_ms)
        self->heartbeat = text->heartbeat_ms * CLOCK_MILLISECOND;
    if (text->silence_ms)
        self->silence = text->silence_ms * CLOCK_MILLISECOND;
    self->joined = true;
    self->due = clock_now() + self->heartbeat;
    log_info(self->log, "joined %s: run %016llx, batch %u, seed %llu", self->trainer,
             (unsigned long long)run->run, run->batch, (unsigned long long)run->seed);
}

static void rejoin(struct peer *self, const char *why) {
    if (self->joined)
        log_warning(self->log, "%s; joining %s again", why, self->trainer);
    self->joined = false;
    self->due = clock_now();
}

/* The trainer's answer makes us begin anew; until then what we have goes on. Not more than once a
 * second, whatever is thrown at us. */
static void ask_again(struct peer *self) {
    int64_t now = clock_now();
    struct error ignored; /* what cannot be sent now is a damaged message more */
    if (!self->joined || now - self->asked < CLOCK_SECOND)
        return;
    self->asked = now;
    send_hello(self, &ignored);
}

/* One message from the trainer: 1 if it is work for the caller, 0 if it was for us. */
static int handle(struct peer *self, struct wire_message *message, struct error *error) {
    const Digitsum__Header *header = message->header;
    self->heard = clock_now();
    link_heard(self->link);
    switch (header->type) {
    case DIGITSUM__TYPE__WELCOME:
        if (header->welcome->batch < 1 || header->welcome->batch > BATCH_MAX)
            return error_set(error, ERROR_CORRUPT, "the trainer announced batches of %u: 1 to %d",
                             header->welcome->batch, BATCH_MAX);
        welcome(self, header->welcome);
        return 0;
    case DIGITSUM__TYPE__REFUSED:
        return error_set(error, ERROR_REFUSED, "%s refused us: %.300s", self->trainer,
                         header->refused->reason);
    case DIGITSUM__TYPE__UNKNOWN:
        /* Each heartbeat that waited for the new trainer has this answer: one HELLO will do. */
        if (self->joined)
            rejoin(self, "the trainer does not know us (it restarted)");
        return 0;
    case DIGITSUM__TYPE__STOP:
        return error_set(error, ERROR_CLOSED, "the run is over: %.300s", header->stop->reason);
    case DIGITSUM__TYPE__HEARTBEAT:
        return 0;
    default:
        return self->joined;
    }
}

/* Sends what is due. -1 when the trainer has been silent for longer than we are patient. */
static int keep_up(struct peer *self, struct error *error) {
    int64_t now = clock_now(), away = self->looked ? now - self->looked : 0;
    self->looked = now;
    if (away > TURN_MAX) { /* stopped, or without a processor: cannot say who was silent */
        self->heard += away;
        self->connected += away;
    }
    if (now - self->heard > self->patience)
        return link_give_up(self->link, self->patience / CLOCK_SECOND, error);
    /* A connection may be dead without an end: its other side was cut off, or a damaged length
     * makes it wait for bytes that never come. A new one is clean. What waited to be sent is
     * dropped, and said again after joining. */
    if (now - self->heard > self->silence && now - self->connected > self->silence) {
        rejoin(self, "the trainer is silent");
        self->connected = now;
        link_renew(self->link);
    }
    if (link_tend(self->link))
        self->due = self->connected = now;
    if (now < self->due)
        return 0;
    if (!self->joined) {
        self->due = now + CLOCK_SECOND;
        return send_hello(self, error) < 0 ? -1 : 0;
    }
    self->due = now + self->heartbeat;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__HEARTBEAT;
    return peer_send(self, &header, error) < 0 ? -1 : 0;
}

int peer_receive(struct peer *self, struct wire_message *message, struct error *error) {
    while (self->handled < MESSAGES_AT_ONCE) {
        uint64_t expected = self->joined ? self->run.run : 0;
        struct error bad = {0};
        int status = wire_receive(self->socket, false, 0, message, &bad);
        if (status == 0)
            break;
        self->handled++;
        if (status < 0) {
            uint64_t held;
            if (bad.code == ERROR_IO) {
                *error = bad;
                return -1;
            }
            if (log_limit_pass(&self->bad, clock_now(), 60 * CLOCK_SECOND, &held))
                log_warning(self->log, "bad message from %s dropped: %s (%llu more)", self->trainer,
                            bad.text, (unsigned long long)held);
            /* It may have been an offer or a lease, and nothing tells which: whoever joins again
             * hears all that matters anew. */
            ask_again(self);
            continue;
        }
        /* Work of a run that we have not joined (any more) is stale; what shapes the joining, or
         * says that there is nothing to join, is not bound to a run. */
        Digitsum__Type type = message->header->type;
        bool about_joining = type == DIGITSUM__TYPE__WELCOME || type == DIGITSUM__TYPE__REFUSED ||
                             type == DIGITSUM__TYPE__UNKNOWN ||
                             (type == DIGITSUM__TYPE__STOP && !self->joined);
        if (!about_joining && message->header->run != expected) {
            wire_release(message);
            continue;
        }
        status = handle(self, message, error);
        if (status == 1)
            return 1;
        wire_release(message);
        if (status < 0)
            return -1;
    }
    self->handled = 0;
    return keep_up(self, error);
}

void peer_ask(struct peer *self) {
    self->due = clock_now();
}

const struct peer_run *peer_run(const struct peer *self) {
    return self->joined ? &self->run : NULL;
}

int64_t peer_silence(const struct peer *self) {
    return clock_now() - self->heard;
}

const char *peer_trainer(const struct peer *self) {
    const char *reached = link_address(self->link);
    return reached[0] ? reached : self->trainer;
}

int peer_send(struct peer *self, Digitsum__Header *header, struct error *error) {
    if (!self->joined)
        return 0;
    header->run = self->run.run;
    return wire_send(self->socket, NULL, header, NULL, 0, error);
}

void peer_destroy(struct peer **pointer) {
    struct peer *self = *pointer;
    if (!self)
        return;
    if (self->socket) {
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.type = DIGITSUM__TYPE__GOODBYE;
        struct error ignored;
        peer_send(self, &header, &ignored);
        zmq_close(self->socket);
    }
    link_destroy(&self->link);
    for (size_t i = 0; i < self->endpoint_count; i++)
        free(self->endpoints[i]);
    if (self->has_dataset) {
        free(self->dataset.name);
        free(self->dataset.sha256.data);
    }
    free(self);
    *pointer = NULL;
}
