/* See exchange.h. */
#include "augment/exchange.h"

#include "augment/stage.h"
#include "common/clock.h"
#include "common/link.h"
#include "common/peer.h"
#include "common/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLES_QUEUE = 2,    /* batches that may wait from each loader */
    PAIRS_QUEUE = 4,      /* batches that may wait for the trainer */
    BATCHES_AT_ONCE = 16, /* between two looks at the other sockets */
    LOADERS_MAX = 128,
    SOUND_AFTER = 64 /* batches over one connection */
};

#define STRANGE_WAIT CLOCK_SECOND
#define STUCK (3 * CLOCK_SECOND) /* without room for pairs, while the trainer answers */
#define STUCK_MAX (48 * CLOCK_SECOND)
#define STRANGE_EVERY (5 * CLOCK_SECOND)

struct exchange {
    struct exchange_settings settings; /* texts borrowed */
    const struct log *log;
    void *context;
    struct peer *peer;
    void *samples; /* PULL from loaders */
    void *pairs;   /* PUSH to the trainer, NULL until welcomed */
    struct link *pairs_link;
    struct reach_pool *looks;
    struct stage *stage;
    int generation;
    struct {
        char address[ENDPOINT_MAX]; /* as announced */
        struct link *link;
        uint32_t renewals;  /* as the trainer counts them */
    } loaders[LOADERS_MAX]; /* those that there are now */
    int loader_count;
    struct wire_message pending; /* PAIRS that the trainer had no room for yet */
    bool has_pending;
    int64_t pending_since, patience; /* how long it may: the connection may be slow, too */
    uint64_t renewed_at;             /* batches sent before the pairs' connection was made anew */
    uint32_t pairs_renewals;         /* as the trainer counts them */
    struct wire_message strange;     /* SAMPLES of a run that we have not joined: not yet? */
    bool has_strange;
    int64_t strange_since;
    uint64_t batches;
    struct log_limits bad; /* of each loader */
};

/* --- joining a run ---------------------------------------------------------------------------- */

/* A new run, or the same trainer started anew: everything towards it is made afresh. */
static int begin_run(struct exchange *self, const struct peer_run *run, struct error *error) {
    char address[ENDPOINT_MAX];
    self->generation = run->generation;
    if (self->has_pending)
        wire_release(&self->pending);
    self->has_pending = false;
    self->patience = STUCK;
    link_destroy(&self->pairs_link);
    if (self->pairs)
        zmq_close(self->pairs);
    stage_destroy(&self->stage);
    self->stage = stage_create(run->seed, &run->warps, (int)self->settings.threads, error);
    self->pairs = peer_new_data_socket(self->context, ZMQ_PUSH, PAIRS_QUEUE, error);
    if (!self->stage || !self->pairs ||
        endpoint_resolve(peer_trainer(self->peer), run->pairs, address, error) != 0)
        return -1;
    int no_linger = 0; /* what is lost is leased again */
    zmq_setsockopt(self->pairs, ZMQ_LINGER, &no_linger, sizeof no_linger);
    const struct link_spec spec = {.socket = self->pairs,
                                   .address = address,
                                   .who = "the trainer's pairs",
                                   .log = self->log,
                                   .pool = self->looks};
    self->pairs_link = link_create(&spec, error);
    return self->pairs_link ? 0 : -1;
}

static bool listed(const Digitsum__Peers *peers, const char *address) {
    for (size_t i = 0; i < peers->n_endpoints; i++)
        if (strcmp(peers->endpoints[i]->address, address) == 0)
            return true;
    return false;
}

/* Its place among those that we are connected to, or -1. */
static int find_loader(const struct exchange *self, const char *address) {
    for (int i = 0; i < self->loader_count; i++)
        if (strcmp(self->loaders[i].address, address) == 0)
            return i;
    return -1;
}

/* The trainer counts up where nothing comes over a connection, though neither end need see why. */
static void follow_renewals(struct exchange *self, const Digitsum__Peers *peers) {
    for (size_t i = 0; i < peers->n_endpoints; i++) {
        int known = find_loader(self, peers->endpoints[i]->address);
        if (known < 0 || self->loaders[known].renewals == peers->endpoints[i]->renewals)
            continue;
        self->loaders[known].renewals = peers->endpoints[i]->renewals;
        log_info(self->log, "reconnecting to loader %.63s", peers->endpoints[i]->name);
        link_renew(self->loaders[known].link);
    }
    const struct peer_run *run = peer_run(self->peer);
    bool same = run && run->generation == self->generation; /* or it is made afresh anyway */
    if (same && self->pairs_link && self->pairs_renewals != peers->pairs_renewals) {
        log_info(self->log, "reconnecting to the trainer's pairs");
        link_renew(self->pairs_link);
    }
    self->pairs_renewals = peers->pairs_renewals;
}

/* Follows the trainer's list of loaders: leaves those that went, joins those that came. */
static void follow_loaders(struct exchange *self, const Digitsum__Peers *peers) {
    for (int i = self->loader_count - 1; i >= 0; i--) {
        if (listed(peers, self->loaders[i].address))
            continue;
        link_cut(&self->loaders[i].link);
        self->loaders[i] = self->loaders[--self->loader_count];
    }
    for (size_t i = 0; i < peers->n_endpoints; i++) {
        const char *address = peers->endpoints[i]->address;
        const struct link_spec spec = {.socket = self->samples,
                                       .address = address,
                                       .who = peers->endpoints[i]->name,
                                       .log = self->log,
                                       .pool = self->looks};
        struct error error;
        if (find_loader(self, address) >= 0 || self->loader_count == LOADERS_MAX)
            continue;
        struct link *made = link_create(&spec, &error);
        if (!made) {
            log_warning(self->log, "cannot connect to loader %.63s: %s", peers->endpoints[i]->name,
                        error.text);
            continue;
        }
        self->loaders[self->loader_count].link = made;
        self->loaders[self->loader_count].renewals = peers->endpoints[i]->renewals;
        snprintf(self->loaders[self->loader_count++].address, ENDPOINT_MAX, "%s", address);
    }
}

static void follow_peers(struct exchange *self, const Digitsum__Peers *peers) {
    follow_loaders(self, peers);
    follow_renewals(self, peers);
}

/* libzmq never tries a write again that failed once: the queue fills up then for good. */
static void check_pending(struct exchange *self) {
    int64_t now = clock_now();
    if (!self->has_pending || peer_silence(self->peer) > CLOCK_SECOND) {
        self->pending_since = now;
        return;
    }
    if (now - self->pending_since < self->patience)
        return;
    log_warning(self->log, "the trainer has taken no pairs for %lld s: reconnecting",
                (long long)(self->patience / CLOCK_SECOND));
    link_renew(self->pairs_link);
    self->pending_since = now;
    self->renewed_at = self->batches;
    if (self->patience < STUCK_MAX)
        self->patience *= 2;
}

/* Does what is due in keeping up the connections; returns the milliseconds until there is more. */
static long tend_links(struct exchange *self) {
    long wait = peer_wait(self->peer), due;
    if (self->pairs_link) {
        check_pending(self);
        link_tend(self->pairs_link);
        due = link_wait(self->pairs_link);
        wait = due < wait ? due : wait;
    }
    for (int i = 0; i < self->loader_count; i++) {
        link_tend(self->loaders[i].link);
        due = link_wait(self->loaders[i].link);
        wait = due < wait ? due : wait;
    }
    return wait;
}

/* --- samples in, pairs out -------------------------------------------------------------------- */

/* Reads `count` little-endian numbers: frames need not be aligned. */
static void read_numbers(const uint8_t *bytes, uint32_t count, uint32_t *numbers) {
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 |
                     (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
}

static int check_samples(const struct exchange *self, const struct wire_message *message,
                         struct error *error) {
    const struct peer_run *run = peer_run(self->peer);
    const Digitsum__Header *header = message->header;
    if (header->type != DIGITSUM__TYPE__SAMPLES)
        return error_set(error, ERROR_CORRUPT, "%s on the samples socket",
                         wire_type_name(header->type));
    if (!run || header->run != run->run)
        return error_set(error, ERROR_CORRUPT,
                         "SAMPLES of another run: expected %016llx, got %016llx",
                         run ? (unsigned long long)run->run : 0, (unsigned long long)header->run);
    if (header->count != run->batch)
        return error_set(error, ERROR_CORRUPT, "SAMPLES of step %" PRIu64 " with %u rows",
                         header->step, header->count);
    const uint8_t *labels = wire_frame(message, 1);
    for (uint32_t i = 0; i < header->count; i++)
        if (labels[i] > 9)
            return error_set(error, ERROR_CORRUPT, "SAMPLES of step %" PRIu64 ", row %u: label %u",
                             header->step, i, labels[i]);
    return 0;
}

/* Turns SAMPLES into PAIRS in place: the images' frame goes on as it came, warped where the run
 * warps, and one small frame of labels, digits and sums takes the place of the other three. */
static int make_pairs(struct exchange *self, struct wire_message *message, struct error *error) {
    uint32_t count = message->header->count;
    uint32_t *numbers = malloc(2 * sizeof *numbers * count);
    zmq_msg_t pairs;
    if (!numbers)
        return error_set(error, ERROR_MEMORY, "no memory for a batch of %u", count);
    if (zmq_msg_init_size(&pairs, 3 * (size_t)count) != 0) {
        free(numbers);
        return error_set(error, ERROR_MEMORY, "no memory for a batch of %u", count);
    }
    read_numbers(wire_frame(message, 2), count, numbers);
    read_numbers(wire_frame(message, 3), count, numbers + count);
    uint8_t *images = zmq_msg_data(&message->frames[0]);
    stage_run(self->stage, count, images, wire_frame(message, 1), numbers, numbers + count, images,
              zmq_msg_data(&pairs));
    free(numbers);
    zmq_msg_move(&message->frames[1], &pairs);
    zmq_msg_close(&pairs);
    while (message->frame_count > 2)
        zmq_msg_close(&message->frames[--message->frame_count]);
    message->header->type = DIGITSUM__TYPE__PAIRS;
    return 0;
}

/* 1: sent, 0: the trainer has no room (pending holds it). */
static int send_pairs(struct exchange *self, struct wire_message *message, struct error *error) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = message->header->run;
    header.type = DIGITSUM__TYPE__PAIRS;
    header.step = message->header->step;
    header.count = message->header->count;
    int status = wire_send(self->pairs, NULL, &header, message->frames, 2, error);
    self->batches += status == 1;
    if (status == 1 && self->batches - self->renewed_at > SOUND_AFTER)
        self->patience = STUCK;
    return status;
}

static void drop_sample(struct exchange *self, struct wire_message *message,
                        const struct error *bad) {
    uint64_t held;
    if (log_limits_pass(&self->bad, message->peer, clock_now(), 60 * CLOCK_SECOND, 1, &held))
        log_warning(self->log, "bad samples from %s dropped: %s (%" PRIu64 " more)", message->peer,
                    bad->text, held);
    wire_release(message);
}

/* One SAMPLES message that arrived whole. 1: dealt with, 0: the trainer has no room. */
static int take(struct exchange *self, struct wire_message *message, struct error *error) {
    struct error bad;
    if (check_samples(self, message, &bad) != 0) {
        drop_sample(self, message, &bad);
        return 1;
    }
    int status = make_pairs(self, message, error);
    if (status == 0)
        status = send_pairs(self, message, error);
    if (status == 0) {
        wire_move(&self->pending, message);
        self->has_pending = true;
        return 0;
    }
    wire_release(message);
    return status;
}

/* A trainer that restarted is noticed by its loaders and by us at different moments. Samples of a
 * run that we do not know make us ask, and wait for a moment: were they dropped, nothing would be
 * left to overtake them, and the run would stand still for seconds. Now and then only, for they may
 * also come from a loader that is behind. */
static bool hold(struct exchange *self, const struct peer_run *run, struct wire_message *message) {
    int64_t now = clock_now();
    if (message->header->run == run->run || now - self->strange_since < STRANGE_EVERY)
        return false;
    self->strange_since = now;
    wire_move(&self->strange, message);
    self->has_strange = true;
    peer_ask(self->peer);
    return true;
}

/* What we held, once we have joined its run, or given up to. As take. */
static int take_strange(struct exchange *self, const struct peer_run *run, struct error *error) {
    struct wire_message message = {0};
    bool ours = self->strange.header->run == run->run;
    if (!ours && clock_now() - self->strange_since < STRANGE_WAIT)
        return 0;
    wire_move(&message, &self->strange);
    self->has_strange = false;
    if (ours)
        self->strange_since = 0; /* it was right to wait, and may be again */
    return take(self, &message, error);
}

static int work(struct exchange *self, struct error *error) {
    const struct peer_run *run = peer_run(self->peer);
    int status = 1;
    if (!run || !self->pairs)
        return 0;
    if (self->has_pending) {
        status = send_pairs(self, &self->pending, error);
        if (status != 1)
            return status;
        wire_release(&self->pending);
        self->has_pending = false;
    }
    if (self->has_strange)
        status = take_strange(self, run, error);
    for (int i = 0; i < BATCHES_AT_ONCE && status == 1; i++) {
        struct wire_message message;
        struct error bad;
        int got = wire_receive(self->samples, false, 0, &message, &bad);
        if (got == 0)
            return 0;
        if (got < 0 && bad.code == ERROR_IO) {
            *error = bad;
            return -1;
        }
        if (got < 0)
            drop_sample(self, &message, &bad);
        else if (hold(self, run, &message))
            return 0;
        else
            status = take(self, &message, error);
    }
    return status < 0 ? -1 : 0;
}

/* --- life ------------------------------------------------------------------------------------- */

struct exchange *exchange_create(const struct exchange_settings *settings, const struct log *log,
                                 struct error *error) {
    struct exchange *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for the augmenter");
        return NULL;
    }
    self->settings = *settings;
    self->log = log;
    self->looks = reach_pool_create(LINK_LOOKS);
    self->context = zmq_ctx_new();
    if (!self->looks)
        error_set(error, ERROR_MEMORY, "no memory for the augmenter");
    else if (!self->context)
        error_set(error, ERROR_IO, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    else
        self->samples = peer_new_data_socket(self->context, ZMQ_PULL, SAMPLES_QUEUE, error);
    struct peer_hello hello = {.trainer = settings->join,
                               .role = DIGITSUM__ROLE__AUGMENT,
                               .name = settings->name,
                               .patience = (int)settings->patience};
    if (self->samples)
        self->peer = peer_create(self->context, &hello, log, error);
    if (!self->peer)
        exchange_destroy(&self);
    return self;
}

/* Control messages. 0 go on, -1 end (ERROR_CLOSED: in good order). */
static int hear(struct exchange *self, struct error *error) {
    struct wire_message message;
    int status;
    while ((status = peer_receive(self->peer, &message, error)) == 1) {
        if (message.header->type == DIGITSUM__TYPE__PEERS)
            follow_peers(self, message.header->peers);
        wire_release(&message);
    }
    const struct peer_run *run = peer_run(self->peer);
    if (status == 0 && run && run->generation != self->generation)
        status = begin_run(self, run, error);
    return status;
}

int exchange_loop(struct exchange *self, struct error *error) {
    while (!signals_stop()) {
        long wait = tend_links(self);
        bool full = self->has_pending || self->has_strange || !self->pairs;
        zmq_pollitem_t items[] = {{peer_socket(self->peer), 0, ZMQ_POLLIN, 0},
                                  {NULL, signals_descriptor(), ZMQ_POLLIN, 0},
                                  {self->samples, 0, (short)(full ? 0 : ZMQ_POLLIN), 0},
                                  {self->pairs, 0, ZMQ_POLLOUT, 0}};
        if (zmq_poll(items, self->has_pending ? 4 : 3, wait) < 0 && errno != EINTR)
            return error_set(error, ERROR_IO, "waiting for messages: %s", zmq_strerror(errno));
        if (hear(self, error) != 0)
            return error->code == ERROR_CLOSED ? 0 : -1;
        if (work(self, error) != 0)
            return -1;
    }
    return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
}

uint64_t exchange_batches(const struct exchange *self) {
    return self->batches;
}

void exchange_destroy(struct exchange **pointer) {
    struct exchange *self = *pointer;
    if (!self)
        return;
    peer_destroy(&self->peer);
    link_destroy(&self->pairs_link);
    for (int i = 0; i < self->loader_count; i++)
        link_destroy(&self->loaders[i].link);
    reach_pool_destroy(&self->looks);
    wire_release(&self->strange);
    wire_release(&self->pending);
    if (self->samples)
        zmq_close(self->samples);
    if (self->pairs)
        zmq_close(self->pairs);
    if (self->context)
        zmq_ctx_term(self->context);
    stage_destroy(&self->stage);
    free(self);
    *pointer = NULL;
}
