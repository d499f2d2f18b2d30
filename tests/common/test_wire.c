/* Messages over real sockets: what is right arrives unchanged; what is wrong is refused by its own
 * sentence, and the next right one still arrives. */
#include "common/crc32c.h"
#include "common/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RUN UINT64_C(0x1234)
#define ROWS 3

struct pair {
    void *context, *from, *to;
};

static void open_pair(struct pair *pair, int queue) {
    pair->context = zmq_ctx_new();
    pair->from = zmq_socket(pair->context, ZMQ_PUSH);
    pair->to = zmq_socket(pair->context, ZMQ_PULL);
    zmq_setsockopt(pair->from, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(pair->to, ZMQ_RCVHWM, &queue, sizeof queue);
    cr_assert_eq(zmq_bind(pair->to, "inproc://wire"), 0);
    cr_assert_eq(zmq_connect(pair->from, "inproc://wire"), 0);
}

static void close_pair(struct pair *pair) {
    int linger = 0;
    zmq_setsockopt(pair->from, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(pair->from);
    zmq_close(pair->to);
    zmq_ctx_term(pair->context);
}

static void fill(zmq_msg_t *frame, size_t size, int value) {
    cr_assert_eq(zmq_msg_init_size(frame, size), 0);
    memset(zmq_msg_data(frame), value, size);
}

/* A right PAIRS message: labels 4, digits 5, sums 9. */
static void right_pairs(Digitsum__Header *header, zmq_msg_t frames[2]) {
    *header = (Digitsum__Header)DIGITSUM__HEADER__INIT;
    header->run = RUN;
    header->type = DIGITSUM__TYPE__PAIRS;
    header->step = 7;
    header->count = ROWS;
    fill(&frames[0], ROWS * IMAGE_PIXELS, 200);
    fill(&frames[1], 3 * ROWS, 4);
    memset((char *)zmq_msg_data(&frames[1]) + ROWS, 5, ROWS);
    memset((char *)zmq_msg_data(&frames[1]) + 2 * ROWS, 9, ROWS);
}

static void send_right(struct pair *pair) {
    Digitsum__Header header;
    zmq_msg_t frames[2];
    struct error error;
    right_pairs(&header, frames);
    cr_assert_eq(wire_send(pair->from, NULL, &header, frames, 2, &error), 1);
}

/* The next message is refused with this code and these words; the one after it is right. */
static void expect_refused(struct pair *pair, enum error_code code, const char *words) {
    struct wire_message message;
    struct error error = {0};
    send_right(pair);
    cr_expect_eq(wire_receive(pair->to, false, RUN, &message, &error), -1);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect_null(message.header);
    cr_assert_eq(wire_receive(pair->to, false, RUN, &message, &error), 1, "%s", error.text);
    cr_expect_eq(message.header->step, 7);
    wire_release(&message);
    cr_expect_eq(wire_receive(pair->to, false, RUN, &message, &error), 0);
}

/* Sends a header as it stands, packed by hand, with `count` payload frames. */
static void send_raw(struct pair *pair, const Digitsum__Header *header, zmq_msg_t *frames,
                     int count) {
    uint8_t packed[4096];
    size_t size = digitsum__header__pack(header, packed);
    wire_seal(packed, size);
    cr_assert_geq(zmq_send(pair->from, packed, size + WIRE_SEAL, count ? ZMQ_SNDMORE : 0), 0);
    for (int i = 0; i < count; i++)
        cr_assert_geq(zmq_msg_send(&frames[i], pair->from, i + 1 < count ? ZMQ_SNDMORE : 0), 0);
}

Test(wire, pairs_arrive_as_a_batch) {
    struct pair pair;
    struct wire_message message, moved = {0};
    struct batch batch;
    struct error error;
    open_pair(&pair, 10);
    send_right(&pair);
    cr_assert_eq(wire_receive(pair.to, false, RUN, &message, &error), 1, "%s", error.text);
    cr_expect_eq(message.frame_count, 2);
    cr_assert_eq(wire_batch(&message, &batch, &error), 0, "%s", error.text);
    wire_move(&moved, &message);
    cr_expect_null(message.header);
    wire_view(&moved, &batch);
    cr_expect_eq(batch.step, 7);
    cr_expect_eq(batch.count, ROWS);
    cr_expect_eq(batch.images[ROWS * IMAGE_PIXELS - 1], 200);
    cr_expect_eq(batch.labels[2], 4);
    cr_expect_eq(batch.digits[0], 5);
    cr_expect_eq(batch.sums[2], 9);
    uint32_t crc = crc32c(0, batch.images, ROWS * IMAGE_PIXELS);
    cr_expect_eq(batch.crc, crc32c(crc, batch.labels, 3 * ROWS));
    wire_release(&moved);
    wire_release(&moved);
    close_pair(&pair);
}

Test(wire, samples_split_and_chunk_arrive) {
    struct pair pair;
    struct wire_message message;
    struct error error;
    zmq_msg_t frames[4];
    open_pair(&pair, 10);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = RUN;
    header.type = DIGITSUM__TYPE__SAMPLES;
    header.count = ROWS;
    fill(&frames[0], ROWS * IMAGE_PIXELS, 1);
    fill(&frames[1], ROWS, 2);
    fill(&frames[2], 4 * ROWS, 3);
    fill(&frames[3], 4 * ROWS, 4);
    cr_assert_eq(wire_send(pair.from, NULL, &header, frames, 4, &error), 1);
    cr_assert_eq(wire_receive(pair.to, false, RUN, &message, &error), 1, "%s", error.text);
    cr_expect_eq(wire_frame(&message, 3)[0], 4);
    wire_release(&message);

    Digitsum__SplitRequest rows = DIGITSUM__SPLIT_REQUEST__INIT;
    Digitsum__Dataset dataset = DIGITSUM__DATASET__INIT;
    header.type = DIGITSUM__TYPE__SPLIT;
    header.split = &rows;
    header.dataset = &dataset;
    fill(&frames[0], ROWS * IMAGE_PIXELS, 1);
    fill(&frames[1], ROWS, 2);
    cr_assert_eq(wire_send(pair.from, NULL, &header, frames, 2, &error), 1);
    cr_assert_eq(wire_receive(pair.to, false, RUN, &message, &error), 1, "%s", error.text);
    wire_release(&message);

    Digitsum__Fetch fetch = DIGITSUM__FETCH__INIT;
    fetch.size = 5;
    header.type = DIGITSUM__TYPE__CHUNK;
    header.fetch = &fetch;
    fill(&frames[0], 5, 9);
    cr_assert_eq(wire_send(pair.from, NULL, &header, frames, 1, &error), 1);
    cr_assert_eq(wire_receive(pair.to, false, RUN, &message, &error), 1, "%s", error.text);
    cr_expect_eq(wire_frame(&message, 0)[4], 9);
    wire_release(&message);
    close_pair(&pair);
}

Test(wire, not_protobuf) {
    struct pair pair;
    open_pair(&pair, 10);
    uint8_t garbage[7 + WIRE_SEAL] = "garbage";
    zmq_send(pair.from, garbage, 7, 0);
    expect_refused(&pair, ERROR_CORRUPT, "a header of 7 bytes whose CRC-32C is wrong");
    wire_seal(garbage, 7);
    zmq_send(pair.from, garbage, sizeof garbage, 0);
    expect_refused(&pair, ERROR_CORRUPT, "a header of 11 bytes that is not protobuf");
    close_pair(&pair);
}

Test(wire, oversized_header) {
    struct pair pair;
    static char big[WIRE_HEADER_MAX + 1];
    open_pair(&pair, 10);
    zmq_send(pair.from, big, sizeof big, ZMQ_SNDMORE);
    zmq_send(pair.from, "x", 1, 0);
    expect_refused(&pair, ERROR_CORRUPT, "a header of 65537 bytes: at most 65536");
    close_pair(&pair);
}

Test(wire, other_version_run_and_type) {
    struct pair pair;
    open_pair(&pair, 10);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = RUN;
    header.type = DIGITSUM__TYPE__HEARTBEAT;
    header.version = 4;
    send_raw(&pair, &header, NULL, 0);
    expect_refused(&pair, ERROR_UNSUPPORTED, "protocol version: expected 3, got 4");
    header.version = WIRE_VERSION;
    header.run = 0x99;
    send_raw(&pair, &header, NULL, 0);
    expect_refused(&pair, ERROR_CORRUPT,
                   "HEARTBEAT of another run: expected 0000000000001234, got 0000000000000099");
    header.run = RUN;
    header.type = 77;
    send_raw(&pair, &header, NULL, 0);
    expect_refused(&pair, ERROR_CORRUPT, "message type: expected 1 to 19, got 77");
    header.type = 0;
    send_raw(&pair, &header, NULL, 0);
    expect_refused(&pair, ERROR_CORRUPT, "message type: expected 1 to 19, got 0");
    close_pair(&pair);
}

Test(wire, no_bit_of_a_header_may_change) {
    struct pair pair;
    uint8_t packed[256];
    open_pair(&pair, 10);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Lease lease = DIGITSUM__LEASE__INIT;
    header.version = WIRE_VERSION;
    header.run = RUN;
    header.type = DIGITSUM__TYPE__LEASE;
    header.lease = &lease;
    lease.first = 4711;
    lease.count = 8;
    size_t size = digitsum__header__pack(&header, packed);
    wire_seal(packed, size);
    for (size_t bit = 0; bit < 8 * (size + WIRE_SEAL); bit++) {
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_geq(zmq_send(pair.from, packed, size + WIRE_SEAL, 0), 0);
        expect_refused(&pair, ERROR_CORRUPT, "whose CRC-32C is wrong");
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < size + WIRE_SEAL; length++) {
        cr_assert_geq(zmq_send(pair.from, packed, length, 0), 0);
        expect_refused(&pair, ERROR_CORRUPT, "whose CRC-32C is wrong");
    }
    close_pair(&pair);
}

Test(wire, missing_bodies) {
    struct pair pair;
    open_pair(&pair, 10);
    static const Digitsum__Type types[] = {
        DIGITSUM__TYPE__HELLO,         DIGITSUM__TYPE__WELCOME, DIGITSUM__TYPE__REFUSED,
        DIGITSUM__TYPE__LEASE,         DIGITSUM__TYPE__PEERS,   DIGITSUM__TYPE__CHECKPOINT,
        DIGITSUM__TYPE__FETCH,         DIGITSUM__TYPE__REPORT,  DIGITSUM__TYPE__STOP,
        DIGITSUM__TYPE__SPLIT_REQUEST, DIGITSUM__TYPE__PROGRESS};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.version = WIRE_VERSION;
        header.run = RUN;
        header.type = types[i];
        send_raw(&pair, &header, NULL, 0);
        expect_refused(&pair, ERROR_CORRUPT, "without its message body");
    }
    close_pair(&pair);
}

Test(wire, frames_and_sizes_that_lie) {
    struct pair pair;
    Digitsum__Header header;
    zmq_msg_t frames[5];
    uint32_t sizes[2] = {ROWS * IMAGE_PIXELS, 3 * ROWS};
    open_pair(&pair, 10);

    right_pairs(&header, frames); /* the second frame is missing */
    header.version = WIRE_VERSION;
    send_raw(&pair, &header, frames, 1);
    zmq_msg_close(&frames[1]);
    expect_refused(&pair, ERROR_CORRUPT, "PAIRS: expected 2 payload frames, got 1");

    right_pairs(&header, frames); /* one too many of all */
    header.version = WIRE_VERSION;
    for (int i = 2; i < 5; i++)
        fill(&frames[i], 1, 0);
    send_raw(&pair, &header, frames, 5);
    expect_refused(&pair, ERROR_CORRUPT, "more than 4 payload frames");

    right_pairs(&header, frames); /* declares nothing */
    header.version = WIRE_VERSION;
    send_raw(&pair, &header, frames, 2);
    expect_refused(&pair, ERROR_CORRUPT, "PAIRS: expected 2 declared sizes, got 0");

    right_pairs(&header, frames); /* has a byte less than it must */
    header.version = WIRE_VERSION;
    header.n_sizes = 2;
    header.sizes = sizes;
    zmq_msg_close(&frames[1]);
    fill(&frames[1], 3 * ROWS - 1, 4);
    send_raw(&pair, &header, frames, 2);
    expect_refused(&pair, ERROR_CORRUPT, "PAIRS frame 2: expected 9 bytes, got 8 (declared 9)");

    right_pairs(&header, frames); /* declares another size than it has */
    header.version = WIRE_VERSION;
    sizes[0]--;
    header.n_sizes = 2;
    header.sizes = sizes;
    send_raw(&pair, &header, frames, 2);
    expect_refused(&pair, ERROR_CORRUPT,
                   "PAIRS frame 1: expected 2352 bytes, got 2352 (declared 2351)");

    right_pairs(&header, frames); /* a count that its bytes deny */
    header.version = WIRE_VERSION;
    header.count = BATCH_MAX + 1;
    send_raw(&pair, &header, frames, 2);
    expect_refused(&pair, ERROR_CORRUPT, "PAIRS with an invalid count of 8193");
    close_pair(&pair);
}

Test(wire, wrong_crc_and_impossible_rows) {
    struct pair pair;
    Digitsum__Header header;
    zmq_msg_t frames[2];
    struct wire_message message;
    struct batch batch;
    struct error error;
    open_pair(&pair, 10);
    right_pairs(&header, frames);
    cr_assert_eq(wire_send_checked(pair.from, NULL, &header, frames, 2, 12345, &error), 1);
    expect_refused(&pair, ERROR_CORRUPT, "PAIRS: expected CRC-32C 00003039, got ");

    static const struct {
        int row, value;
        const char *words;
    } cases[] = {{1, 10, "row 1: label 10, digit 5 and sum 9 do not match"},
                 {ROWS + 2, 10, "row 2: label 4, digit 10 and sum 9 do not match"},
                 {2 * ROWS, 8, "row 0: label 4, digit 5 and sum 8 do not match"}};
    for (int i = 0; i < 3; i++) {
        right_pairs(&header, frames);
        ((uint8_t *)zmq_msg_data(&frames[1]))[cases[i].row] = (uint8_t)cases[i].value;
        cr_assert_eq(wire_send(pair.from, NULL, &header, frames, 2, &error), 1);
        cr_assert_eq(wire_receive(pair.to, false, RUN, &message, &error), 1);
        cr_expect_eq(wire_batch(&message, &batch, &error), -1);
        cr_expect_eq(error.code, ERROR_CORRUPT);
        cr_expect(strstr(error.text, cases[i].words), "%s", error.text);
        wire_release(&message);
    }
    close_pair(&pair);
}

Test(wire, full_queue_leaves_the_payload_with_its_owner) {
    struct pair pair;
    Digitsum__Header header;
    zmq_msg_t frames[2];
    struct error error;
    int status, sent = 0;
    open_pair(&pair, 2);
    do {
        right_pairs(&header, frames);
        status = wire_send(pair.from, NULL, &header, frames, 2, &error);
        sent += status == 1;
    } while (status == 1 && sent < 100);
    cr_expect_eq(status, 0, "%s", error.text);
    cr_expect_lt(sent, 10);
    cr_expect_eq(zmq_msg_size(&frames[0]), ROWS * IMAGE_PIXELS);
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    close_pair(&pair);
}

Test(wire, router_names_the_sender_even_of_what_is_bad) {
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER), *dealer = zmq_socket(context, ZMQ_DEALER);
    int mandatory = 1;
    struct wire_message message;
    struct error error;
    zmq_setsockopt(router, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory);
    zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "me", 2);
    cr_assert_eq(zmq_bind(router, "inproc://router"), 0);
    cr_assert_eq(zmq_connect(dealer, "inproc://router"), 0);
    zmq_send(dealer, "noise", 5, 0);
    cr_expect_eq(wire_receive(router, true, RUN, &message, &error), -1);
    cr_expect_eq(message.from.size, 2);
    cr_expect_arr_eq(message.from.bytes, "me", 2);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = RUN;
    header.type = DIGITSUM__TYPE__HEARTBEAT;
    cr_assert_eq(wire_send(router, &message.from, &header, NULL, 0, &error), 1);
    cr_assert_eq(wire_receive(dealer, false, RUN, &message, &error), 1, "%s", error.text);
    wire_release(&message);
    struct wire_address nobody = {3, "you"};
    cr_expect_eq(wire_send(router, &nobody, &header, NULL, 0, &error), -1);
    cr_expect_eq(error.code, ERROR_CLOSED);
    zmq_close(router);
    zmq_close(dealer);
    zmq_ctx_term(context);
}

Test(wire, names_the_peer_by_address_or_process) {
    static const char *const addresses[] = {"tcp://127.0.0.1:*", "ipc://@wire-names-%d"};
    for (int i = 0; i < 2; i++) {
        void *context = zmq_ctx_new();
        void *pull = zmq_socket(context, ZMQ_PULL), *push = zmq_socket(context, ZMQ_PUSH);
        char address[64], bound[64], expected[WIRE_PEER] = "127.0.0.1";
        size_t size = sizeof bound;
        struct wire_message message;
        struct error error;
        int both = 1; /* IPv4 and IPv6, as our sockets are */
        zmq_setsockopt(pull, ZMQ_IPV6, &both, sizeof both);
        snprintf(address, sizeof address, addresses[i], (int)getpid());
        cr_assert_eq(zmq_bind(pull, address), 0);
        cr_assert_eq(zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, bound, &size), 0);
        cr_assert_eq(zmq_connect(push, bound), 0);
        if (i == 1)
            snprintf(expected, sizeof expected, "process %d", (int)getpid());
        zmq_send(push, "noise", 5, 0);
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.run = RUN;
        header.type = DIGITSUM__TYPE__HEARTBEAT;
        cr_assert_eq(wire_send(push, NULL, &header, NULL, 0, &error), 1);
        zmq_pollitem_t item = {pull, 0, ZMQ_POLLIN, 0};
        cr_assert_eq(zmq_poll(&item, 1, 10000), 1);
        cr_expect_eq(wire_receive(pull, false, RUN, &message, &error), -1);
        cr_expect_str_eq(message.peer, expected);
        cr_assert_eq(zmq_poll(&item, 1, 10000), 1);
        cr_expect_eq(wire_receive(pull, false, RUN, &message, &error), 1);
        cr_expect_str_eq(message.peer, expected);
        wire_release(&message);
        zmq_close(push);
        zmq_close(pull);
        zmq_ctx_term(context);
    }
}
