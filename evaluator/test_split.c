/* See test_split.h. */
#include "evaluator/test_split.h"

#include "common/clock.h"
#include "common/link.h"
#include "common/peer.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 1000, LOADERS_MAX = 128, QUEUE = 8 };

#define ANSWER_PATIENCE (3 * CLOCK_SECOND)

struct test_split {
    void *context;
    const struct log *log;
    char loaders[LOADERS_MAX][ENDPOINT_MAX];
    int loader_count, loader; /* loader: which of them is asked */
    void *socket;             /* DEALER to that one, or NULL */
    struct link *link;        /* of it */
    struct reach_pool *looks;
    bool asked;               /* an answer is due */
    int64_t since;            /* when it was asked for */
    uint32_t total, got;      /* rows; total 0: not known yet */
    uint8_t *images, *labels; /* one allocation, of images */
    uint8_t sha256[32];
};

struct test_split *test_split_create(void *context, const struct log *log) {
    struct test_split *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->context = context;
    self->log = log;
    self->looks = reach_pool_create(LINK_LOOKS);
    if (!self->looks)
        test_split_destroy(&self);
    return self;
}

static void hang_up(struct test_split *self) {
    link_destroy(&self->link);
    if (self->socket)
        zmq_close(self->socket);
    self->socket = NULL;
    self->asked = false;
}

void test_split_destroy(struct test_split **pointer) {
    struct test_split *self = *pointer;
    if (!self)
        return;
    hang_up(self);
    reach_pool_destroy(&self->looks);
    free(self->images);
    free(self);
    *pointer = NULL;
}

void test_split_follow(struct test_split *self, const Digitsum__Peers *peers) {
    struct error error;
    hang_up(self); /* what is under way is asked for again, of whoever is there now */
    self->loader = self->loader_count = 0;
    for (size_t i = 0; i < peers->n_endpoints && self->loader_count < LOADERS_MAX; i++)
        if (endpoint_check(peers->endpoints[i]->address, false, &error) == 0)
            snprintf(self->loaders[self->loader_count++], ENDPOINT_MAX, "%s",
                     peers->endpoints[i]->address);
}

void *test_split_socket(const struct test_split *self) {
    return self->socket;
}

long test_split_wait(const struct test_split *self) {
    return self->link ? link_wait(self->link) : LONG_MAX;
}

/* The loader whose turn it is has an address that cannot be: it is left out until the next PEERS.
 */
static void leave_out(struct test_split *self, const char *why) {
    log_warning(self->log, "cannot connect to a loader at %s: %s", self->loaders[self->loader],
                why);
    hang_up(self);
    self->loader_count--;
    memmove(self->loaders[self->loader], self->loaders[self->loader + 1],
            (size_t)(self->loader_count - self->loader) * sizeof self->loaders[0]);
    self->loader = self->loader < self->loader_count ? self->loader : 0;
}

/* Not asked afterwards, and 0: the loader was left out. */
static int ask(struct test_split *self, int64_t now, struct error *error) {
    if (!self->socket) {
        int no_linger = 0;
        self->socket = peer_new_socket(self->context, ZMQ_DEALER, QUEUE, error);
        if (!self->socket)
            return -1;
        zmq_setsockopt(self->socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
        /* It is asked for 3 s only, and then this says why; the link itself has nothing to say. */
        const struct link_spec spec = {
            .socket = self->socket, .address = self->loaders[self->loader], .pool = self->looks};
        struct error bad;
        self->link = link_create(&spec, &bad);
        if (!self->link) {
            leave_out(self, bad.text);
            return 0;
        }
    }
    Digitsum__SplitRequest rows = DIGITSUM__SPLIT_REQUEST__INIT;
    rows.first = self->got;
    rows.count = ROWS_AT_ONCE;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__SPLIT_REQUEST;
    header.split = &rows;
    int status = wire_send(self->socket, NULL, &header, NULL, 0, error);
    self->asked = true;
    self->since = now;
    return status < 0 ? -1 : 0;
}

static int check_rows(const struct test_split *self, const struct wire_message *message,
                      struct error *error) {
    const Digitsum__Header *header = message->header;
    if (header->type != DIGITSUM__TYPE__SPLIT)
        return error_set(error, ERROR_CORRUPT, "%s instead of SPLIT", wire_type_name(header->type));
    const Digitsum__Dataset *dataset = header->dataset;
    if (dataset->test < 1 || dataset->test > TEST_SPLIT_MAX || dataset->sha256.len != 32)
        return error_set(error, ERROR_CORRUPT, "a test split of %u images: expected 1 to %d",
                         dataset->test, TEST_SPLIT_MAX);
    if (self->total &&
        (dataset->test != self->total || memcmp(dataset->sha256.data, self->sha256, 32) != 0))
        return error_set(error, ERROR_CORRUPT, "another dataset than the loader before had");
    if (header->split->first != self->got || header->count > dataset->test - self->got)
        return error_set(error, ERROR_CORRUPT, "rows %u to %u: expected them from %u on",
                         header->split->first, header->split->first + header->count, self->got);
    const uint8_t *labels = wire_frame(message, 1);
    for (uint32_t i = 0; i < header->count; i++)
        if (labels[i] > 9)
            return error_set(error, ERROR_CORRUPT, "label %u of test image %u", labels[i],
                             self->got + i);
    return 0;
}

/* The first good answer says how much there is to come; a bad one says nothing. */
static int make_room(struct test_split *self, const Digitsum__Dataset *dataset,
                     struct error *error) {
    self->images = malloc((size_t)dataset->test * (IMAGE_PIXELS + 1));
    if (!self->images)
        return error_set(error, ERROR_MEMORY, "no memory for %u test images", dataset->test);
    self->labels = self->images + (size_t)dataset->test * IMAGE_PIXELS;
    self->total = dataset->test;
    memcpy(self->sha256, dataset->sha256.data, 32);
    return 0;
}

static int take_rows(struct test_split *self, const struct wire_message *message,
                     struct error *error) {
    const Digitsum__Header *header = message->header;
    if (check_rows(self, message, error) != 0 ||
        (!self->total && make_room(self, header->dataset, error) != 0))
        return -1;
    memcpy(self->images + (size_t)self->got * IMAGE_PIXELS, wire_frame(message, 0),
           (size_t)header->count * IMAGE_PIXELS);
    memcpy(self->labels + self->got, wire_frame(message, 1), header->count);
    self->got += header->count;
    return 0;
}

static void next_loader(struct test_split *self, const char *why) {
    log_warning(self->log, "the test split from %s: %s; asking the next loader",
                self->loaders[self->loader], why);
    hang_up(self);
    self->loader = (self->loader + 1) % self->loader_count;
}

int test_split_work(struct test_split *self, int64_t now, struct error *error) {
    if (self->link && link_tend(self->link))
        self->asked = false; /* nobody was there to be asked before */
    while (!test_split_whole(self) && self->loader_count > 0) {
        if (!self->asked && ask(self, now, error) != 0)
            return -1;
        if (!self->asked)
            continue;
        struct wire_message message;
        struct error bad;
        int status = wire_receive(self->socket, false, 0, &message, &bad);
        if (status == 0) {
            if (now - self->since < ANSWER_PATIENCE)
                return 0;
            const char *reason = link_reason(self->link);
            char why[512];
            snprintf(why, sizeof why, "no answer for 3 s%s%s", reason[0] ? ": " : "", reason);
            next_loader(self, why);
            continue;
        }
        if (status == 1)
            status = take_rows(self, &message, &bad);
        wire_release(&message);
        self->asked = false;
        if (status < 0 && bad.code != ERROR_CORRUPT && bad.code != ERROR_UNSUPPORTED) {
            *error = bad;
            return -1;
        }
        if (status < 0) {
            next_loader(self, bad.text);
            return 0; /* at most one turn a call: bad loaders must not keep us busy */
        }
    }
    if (test_split_whole(self) && self->socket)
        hang_up(self);
    return 0;
}

bool test_split_whole(const struct test_split *self) {
    return self->total > 0 && self->got == self->total;
}

uint32_t test_split_count(const struct test_split *self) {
    return self->total;
}

const uint8_t *test_split_images(const struct test_split *self) {
    return self->images;
}

const uint8_t *test_split_labels(const struct test_split *self) {
    return self->labels;
}
