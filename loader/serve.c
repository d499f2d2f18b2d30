/* See serve.h. */
#include "loader/serve.h"

#include "common/clock.h"
#include "common/peer.h"
#include "loader/gather.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLES_QUEUE = 2,   /* batches that may wait for each augmenter */
    SPLIT_QUEUE = 64,    /* answers that may wait for each evaluator */
    LEASES_MAX = 4096,   /* leases held; each is a few bytes */
    BATCHES_AT_ONCE = 16 /* between two looks at the other sockets */
};

struct serve {
    const struct dataset *dataset;
    const struct log *log;
    void *samples, *split;
    char samples_bound[ENDPOINT_MAX], split_bound[ENDPOINT_MAX];
    uint64_t run, seed; /* run 0: none joined */
    uint32_t batch;
    struct {
        uint64_t first;
        uint32_t count;
    } leases[LEASES_MAX]; /* ring */
    int first, count;
    uint64_t steps;
    bool ready; /* frames hold the batch of ready_step, not yet sent */
    uint64_t ready_step;
    zmq_msg_t frames[4];   /* images, labels, sample numbers, epochs */
    struct log_limits bad; /* of each evaluator */
};

struct serve *serve_create(void *context, const struct dataset *dataset, const char *samples,
                           const char *split, const struct log *log, struct error *error) {
    struct serve *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory to serve batches");
        return NULL;
    }
    self->dataset = dataset;
    self->log = log;
    self->samples = peer_new_data_socket(context, ZMQ_PUSH, SAMPLES_QUEUE, error);
    self->split = peer_new_socket(context, ZMQ_ROUTER, SPLIT_QUEUE, error);
    /* What waits for an augmenter when we leave is made again by another loader. */
    int no_linger = 0;
    if (self->samples)
        zmq_setsockopt(self->samples, ZMQ_LINGER, &no_linger, sizeof no_linger);
    if (!self->samples || !self->split ||
        endpoint_bind(self->samples, samples, self->samples_bound, error) != 0 ||
        endpoint_bind(self->split, split, self->split_bound, error) != 0)
        serve_destroy(&self);
    return self;
}

void serve_describe(const struct dataset *dataset, Digitsum__Dataset *announced) {
    announced->name = (char *)dataset->name;
    announced->synthetic = dataset->synthetic;
    announced->sha256 = (ProtobufCBinaryData){SHA256_SIZE, (uint8_t *)dataset->sha256};
    announced->train = dataset->train.count;
    announced->test = dataset->test.count;
}

static void drop_ready(struct serve *self) {
    for (int i = 0; self->ready && i < 4; i++)
        zmq_msg_close(&self->frames[i]);
    self->ready = false;
}

void serve_destroy(struct serve **pointer) {
    struct serve *self = *pointer;
    if (!self)
        return;
    drop_ready(self);
    if (self->samples)
        zmq_close(self->samples);
    if (self->split)
        zmq_close(self->split);
    endpoint_remove(self->samples_bound);
    endpoint_remove(self->split_bound);
    free(self);
    *pointer = NULL;
}

const char *serve_samples(const struct serve *self) {
    return self->samples_bound;
}

const char *serve_split(const struct serve *self) {
    return self->split_bound;
}

void serve_begin(struct serve *self, uint64_t run, uint64_t seed, uint32_t batch) {
    assert(batch >= 1 && batch <= BATCH_MAX);
    drop_ready(self);
    self->run = run;
    self->seed = seed;
    self->batch = batch;
    self->count = 0;
}

void serve_lease(struct serve *self, const Digitsum__Lease *lease) {
    if (self->count == LEASES_MAX || lease->count < 1)
        return;
    int last = (self->first + self->count) % LEASES_MAX;
    self->leases[last].first = lease->first;
    self->leases[last].count = lease->count < LEASES_MAX ? lease->count : LEASES_MAX;
    self->count++;
}

void serve_poll_items(const struct serve *self, zmq_pollitem_t items[static 2]) {
    bool work = self->ready || self->count > 0;
    items[0] = (zmq_pollitem_t){self->samples, 0, (short)(work ? ZMQ_POLLOUT : 0), 0};
    items[1] = (zmq_pollitem_t){self->split, 0, ZMQ_POLLIN, 0};
}

/* Makes the batch of the next leased step. Gathers straight into the frames that will be sent. */
static int make_batch(struct serve *self, struct error *error) {
    uint32_t batch = self->batch;
    const size_t sizes[4] = {(size_t)batch * IMAGE_PIXELS, batch, 4 * (size_t)batch,
                             4 * (size_t)batch};
    uint32_t *numbers = malloc(2 * sizes[2]);
    int made = 0;
    while (numbers && made < 4 && zmq_msg_init_size(&self->frames[made], sizes[made]) == 0)
        made++;
    if (made < 4) {
        while (made > 0)
            zmq_msg_close(&self->frames[--made]);
        free(numbers);
        return error_set(error, ERROR_MEMORY, "no memory for a batch of %u", batch);
    }
    self->ready = true;
    self->ready_step = self->leases[self->first].first++;
    if (--self->leases[self->first].count == 0) {
        self->first = (self->first + 1) % LEASES_MAX;
        self->count--;
    }
    gather_batch(&self->dataset->train, self->seed, self->ready_step, batch,
                 zmq_msg_data(&self->frames[0]), zmq_msg_data(&self->frames[1]), numbers,
                 numbers + batch);
    /* Little endian on the wire, and frames need not be aligned. */
    for (int frame = 0; frame < 2; frame++) {
        uint8_t *out = zmq_msg_data(&self->frames[2 + frame]);
        for (uint32_t i = 0; i < batch; i++)
            for (int byte = 0; byte < 4; byte++)
                out[4 * i + (uint32_t)byte] =
                    (uint8_t)(numbers[(uint32_t)frame * batch + i] >> (8 * byte));
    }
    free(numbers);
    return 0;
}

static int send_batches(struct serve *self, struct error *error) {
    for (int i = 0; i < BATCHES_AT_ONCE && (self->ready || self->count > 0); i++) {
        if (!self->ready && make_batch(self, error) != 0)
            return -1;
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.run = self->run;
        header.type = DIGITSUM__TYPE__SAMPLES;
        header.step = self->ready_step;
        header.count = self->batch;
        int status = wire_send(self->samples, NULL, &header, self->frames, 4, error);
        if (status < 0)
            return -1;
        if (status == 0)
            return 0;
        drop_ready(self);
        self->steps++;
    }
    return 0;
}

static void answer(struct serve *self, const struct wire_message *message) {
    const struct split *test = &self->dataset->test;
    uint32_t first = message->header->split->first, count = message->header->split->count;
    if (count < 1 || count > BATCH_MAX || first >= test->count) {
        log_debug(self->log, "request for %u rows from %u on, of %u: ignored", count, first,
                  test->count);
        return;
    }
    if (count > test->count - first)
        count = test->count - first;
    zmq_msg_t frames[2];
    if (zmq_msg_init_size(&frames[0], (size_t)count * IMAGE_PIXELS) != 0)
        return; /* the evaluator asks again */
    if (zmq_msg_init_size(&frames[1], count) != 0) {
        zmq_msg_close(&frames[0]);
        return;
    }
    memcpy(zmq_msg_data(&frames[0]), test->images + (size_t)first * IMAGE_PIXELS,
           (size_t)count * IMAGE_PIXELS);
    memcpy(zmq_msg_data(&frames[1]), test->labels + first, count);
    Digitsum__SplitRequest rows = DIGITSUM__SPLIT_REQUEST__INIT;
    rows.first = first;
    rows.count = count;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = message->header->run;
    header.type = DIGITSUM__TYPE__SPLIT;
    header.count = count;
    header.split = &rows;
    Digitsum__Dataset dataset = DIGITSUM__DATASET__INIT;
    serve_describe(self->dataset, &dataset);
    header.dataset = &dataset;
    struct error ignored;
    if (wire_send(self->split, &message->from, &header, frames, 2, &ignored) == 1)
        return;
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
}

static int answer_requests(struct serve *self, struct error *error) {
    for (int i = 0; i < BATCHES_AT_ONCE; i++) {
        struct wire_message message;
        struct error bad;
        uint64_t held;
        int status = wire_receive(self->split, true, 0, &message, &bad);
        if (status == 0)
            return 0;
        if (status < 0 && bad.code == ERROR_IO) {
            *error = bad;
            return -1;
        }
        if (status == 1 && message.header->type == DIGITSUM__TYPE__SPLIT_REQUEST)
            answer(self, &message);
        else if (log_limits_pass(&self->bad, message.peer, clock_now(), 60 * CLOCK_SECOND, 1,
                                 &held))
            log_warning(self->log, "bad request from %s dropped: %s (%" PRIu64 " more)",
                        message.peer, status < 0 ? bad.text : "not a SPLIT_REQUEST", held);
        wire_release(&message);
    }
    return 0;
}

int serve_work(struct serve *self, struct error *error) {
    if (answer_requests(self, error) != 0)
        return -1;
    return send_batches(self, error);
}

uint64_t serve_steps(const struct serve *self) {
    return self->steps;
}
