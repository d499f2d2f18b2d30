/* A worker's side of the control dialogue, against a trainer that the test plays itself. */
#include "common/peer.h"

#include "common/options.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUN UINT64_C(0xabc)

enum { LONG_MS = 10000 }; /* only a test that fails waits as long */

static char folder[64], address[ENDPOINT_MAX];
static void *context, *router;
static struct wire_address worker; /* whom the trainer talks to: the last that it heard */
static struct peer *peer;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    snprintf(address, sizeof address, "ipc://%s/trainer", folder);
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    cr_assert_eq(zmq_bind(router, address), 0);
}

static void teardown(void) {
    int linger = 0;
    peer_destroy(&peer);
    zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(router);
    zmq_ctx_term(context);
    scratch_end(folder);
}

TestSuite(peer, .init = setup, .fini = teardown);

static void create(int patience) {
    struct peer_hello hello = {.trainer = address,
                               .role = DIGITSUM__ROLE__AUGMENT,
                               .name = "augment-1",
                               .patience = patience};
    peer = peer_create(context, &hello, NULL, &error);
    cr_assert_not_null(peer, "%s", error.text);
}

/* --- the trainer's part ----------------------------------------------------------------------- */

/* The next message from the worker, of this type; others than that are a failure. */
static struct wire_message hear(Digitsum__Type type) {
    struct wire_message message = {0};
    zmq_pollitem_t item = {router, 0, ZMQ_POLLIN, 0};
    cr_assert_eq(zmq_poll(&item, 1, LONG_MS), 1, "the worker says nothing");
    cr_assert_eq(wire_receive(router, true, 0, &message, &error), 1, "%s", error.text);
    cr_assert_eq(message.header->type, type, "expected %s, got %s", wire_type_name(type),
                 wire_type_name(message.header->type));
    worker = message.from;
    return message;
}

static void hear_and_forget(Digitsum__Type type) {
    struct wire_message message = hear(type);
    wire_release(&message);
}

static void say(Digitsum__Type type, uint64_t run, Digitsum__Header *header) {
    header->type = type;
    header->run = run;
    cr_assert_eq(wire_send(router, &worker, header, NULL, 0, &error), 1, "%s", error.text);
}

static void say_plain(Digitsum__Type type, uint64_t run) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    say(type, run, &header);
}

static void say_welcome(uint64_t run, uint32_t batch, uint32_t heartbeat_ms, uint32_t silence_ms) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Welcome welcome = DIGITSUM__WELCOME__INIT;
    Digitsum__Warps warps = DIGITSUM__WARPS__INIT;
    warps.rotate = 8;
    welcome.run = run;
    welcome.seed = 42;
    welcome.batch = batch;
    welcome.steps = 469;
    welcome.warps = &warps;
    welcome.pairs_endpoint = "tcp://*:5556";
    welcome.heartbeat_ms = heartbeat_ms;
    welcome.silence_ms = silence_ms;
    header.welcome = &welcome;
    say(DIGITSUM__TYPE__WELCOME, run, &header);
}

static void say_lease(uint64_t run, uint64_t first) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Lease lease = DIGITSUM__LEASE__INIT;
    lease.first = first;
    lease.count = 1;
    header.lease = &lease;
    say(DIGITSUM__TYPE__LEASE, run, &header);
}

/* --- the worker's part ------------------------------------------------------------------------ */

/* Waits for a message and does what is due. */
static int listen_once(struct wire_message *message) {
    zmq_pollitem_t item = {peer_socket(peer), 0, ZMQ_POLLIN, 0};
    cr_assert_eq(zmq_poll(&item, 1, LONG_MS), 1, "the trainer's message does not come");
    return peer_receive(peer, message, &error);
}

/* Messages come one by one: some may be handled before the one for the caller is there. */
static int listen_for_work(struct wire_message *message) {
    int status;
    do
        status = listen_once(message);
    while (status == 0);
    return status;
}

static void expect_nothing_for_us(void) {
    struct wire_message message;
    cr_expect_eq(listen_once(&message), 0, "%s", error.text);
}

static void expect_end(enum error_code code, const char *sentence) {
    struct wire_message message;
    cr_expect_eq(listen_once(&message), -1);
    cr_expect_eq(error.code, code);
    cr_expect_str_eq(error.text, sentence);
}

static void join(uint64_t run) {
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    say_welcome(run, 128, 0, 0);
    expect_nothing_for_us();
    cr_assert_not_null(peer_run(peer));
}

Test(peer, introduces_itself) {
    uint8_t sha256[32];
    Digitsum__Dataset dataset = DIGITSUM__DATASET__INIT;
    memset(sha256, 0xab, sizeof sha256);
    dataset.name = "MNIST";
    dataset.sha256 = (ProtobufCBinaryData){sizeof sha256, sha256};
    dataset.train = 60000;
    dataset.test = 10000;
    struct peer_hello hello = {.trainer = address,
                               .role = DIGITSUM__ROLE__LOADER,
                               .name = "loader-1",
                               .endpoints = {"ipc:///tmp/a", "ipc:///tmp/b"},
                               .dataset = &dataset,
                               .patience = 60};
    peer = peer_create(context, &hello, NULL, &error);
    cr_assert_not_null(peer, "%s", error.text);
    memset(sha256, 0, sizeof sha256); /* it has copies */
    cr_expect_null(peer_run(peer));
    struct wire_message message = hear(DIGITSUM__TYPE__HELLO);
    const Digitsum__Hello *heard = message.header->hello;
    cr_expect_eq(message.header->run, 0);
    cr_expect_eq(heard->role, DIGITSUM__ROLE__LOADER);
    cr_expect_str_eq(heard->name, "loader-1");
    cr_expect_str_eq(heard->program, DIGITSUM_VERSION);
    cr_assert_eq(heard->n_endpoints, 2);
    cr_expect_str_eq(heard->endpoints[1], "ipc:///tmp/b");
    cr_assert_not_null(heard->dataset);
    cr_expect_eq(heard->dataset->train, 60000);
    cr_expect_eq(heard->dataset->sha256.data[31], 0xab);
    wire_release(&message);
}

Test(peer, learns_of_the_run) {
    create(60);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__HEARTBEAT;
    cr_expect_eq(peer_send(peer, &header, &error), 0, "not welcomed yet");
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    say_welcome(RUN, 128, 0, 0);
    expect_nothing_for_us();
    const struct peer_run *run = peer_run(peer);
    cr_assert_not_null(run);
    cr_expect_eq(run->run, RUN);
    cr_expect_eq(run->seed, 42);
    cr_expect_eq(run->batch, 128);
    cr_expect_eq(run->steps, 469);
    cr_expect_eq(run->warps.rotate, 8);
    cr_expect_str_eq(run->pairs, "tcp://*:5556");
    cr_expect_eq(run->generation, 1);
    cr_expect_leq(peer_wait(peer), 1001);
    cr_expect_eq(peer_send(peer, &header, &error), 1);
    struct wire_message message = hear(DIGITSUM__TYPE__HEARTBEAT);
    cr_expect_eq(message.header->run, RUN);
    wire_release(&message);
}

Test(peer, gives_work_of_its_run_alone_to_its_caller) {
    struct wire_message message;
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    say_lease(0, 1);   /* before the welcome */
    say_lease(RUN, 2); /* likewise */
    say_welcome(RUN, 128, 0, 0);
    say_lease(RUN + 1, 3); /* of another run */
    say_plain(DIGITSUM__TYPE__HEARTBEAT, RUN);
    say_lease(RUN, 4);
    cr_assert_eq(listen_for_work(&message), 1, "%s", error.text);
    cr_assert_eq(message.header->type, DIGITSUM__TYPE__LEASE);
    cr_expect_eq(message.header->lease->first, 4);
    wire_release(&message);
    cr_expect_eq(peer_receive(peer, &message, &error), 0);
}

Test(peer, is_refused_with_the_reason) {
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Refusal body = DIGITSUM__REFUSAL__INIT;
    char sentence[512];
    body.reason = "no room";
    header.refused = &body;
    say(DIGITSUM__TYPE__REFUSED, 0x99, &header);
    snprintf(sentence, sizeof sentence, "%s refused us: no room", address);
    expect_end(ERROR_REFUSED, sentence);
}

Test(peer, joins_again_when_it_is_not_known) {
    join(RUN);
    say_plain(DIGITSUM__TYPE__UNKNOWN, RUN + 1);
    expect_nothing_for_us();
    cr_expect_null(peer_run(peer));
    hear_and_forget(DIGITSUM__TYPE__HELLO); /* at once */
    say_welcome(RUN + 1, 64, 0, 0);
    expect_nothing_for_us();
    cr_assert_not_null(peer_run(peer));
    cr_expect_eq(peer_run(peer)->run, RUN + 1);
    cr_expect_eq(peer_run(peer)->batch, 64);
    cr_expect_eq(peer_run(peer)->generation, 2);
}

Test(peer, ends_when_its_run_does) {
    join(RUN);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Stop body = DIGITSUM__STOP__INIT;
    body.reason = "all steps are trained";
    header.stop = &body;
    say(DIGITSUM__TYPE__STOP, RUN + 1, &header); /* somebody else's */
    expect_nothing_for_us();
    say(DIGITSUM__TYPE__STOP, RUN, &header);
    expect_end(ERROR_CLOSED, "the run is over: all steps are trained");
}

Test(peer, comes_too_late_for_a_run_that_is_over) {
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    Digitsum__Stop body = DIGITSUM__STOP__INIT;
    body.reason = "all steps are trained";
    header.stop = &body;
    say(DIGITSUM__TYPE__STOP, RUN, &header);
    expect_end(ERROR_CLOSED, "the run is over: all steps are trained");
}

Test(peer, impossible_batches_end_it) {
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    say_welcome(RUN, 0, 0, 0);
    expect_end(ERROR_CORRUPT, "the trainer announced batches of 0: 1 to 8192");
    say_welcome(RUN, BATCH_MAX + 1, 0, 0);
    expect_end(ERROR_CORRUPT, "the trainer announced batches of 8193: 1 to 8192");
    cr_expect_null(peer_run(peer));
}

Test(peer, noise_is_dropped_and_the_next_message_heard) {
    join(RUN);
    struct wire_message message;
    for (int i = 0; i < 3; i++) {
        zmq_send(router, worker.bytes, worker.size, ZMQ_SNDMORE);
        zmq_send(router, "noise", 5, 0);
    }
    say_lease(RUN, 5);
    cr_assert_eq(listen_for_work(&message), 1, "%s", error.text);
    cr_expect_eq(message.header->lease->first, 5);
    wire_release(&message);
    /* What was lost may have mattered: it asks to be told all anew, but not for each. */
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    cr_expect_eq(wire_receive(router, true, 0, &message, &error), 0, "it asked more than once");
}

Test(peer, gives_up_when_there_is_never_a_word) {
    struct wire_message message;
    char sentence[512];
    int status;
    create(0); /* no patience at all: over as soon as the clock has moved */
    while ((status = peer_receive(peer, &message, &error)) == 0)
        ;
    cr_expect_eq(status, -1);
    cr_expect_eq(error.code, ERROR_TIMEOUT);
    snprintf(sentence, sizeof sentence, "no word from the trainer at %s for 0 s", address);
    cr_expect_str_eq(error.text, sentence);
}

/* Whoever was stopped for longer than its patience did not listen. Here time is the matter. */
Test(peer, time_in_which_it_was_stopped_does_not_count) {
    struct wire_message message;
    create(4);
    cr_assert_eq(peer_receive(peer, &message, &error), 0, "%s", error.text);
    nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
    cr_expect_eq(peer_receive(peer, &message, &error), 0, "%s", error.text);
}

Test(peer, beats_its_heart_and_notices_silence) {
    struct wire_message message;
    create(60);
    hear_and_forget(DIGITSUM__TYPE__HELLO);
    say_welcome(RUN, 128, 1, 20);
    expect_nothing_for_us();
    while (peer_run(peer))
        cr_assert_eq(peer_receive(peer, &message, &error), 0, "%s", error.text);
    cr_expect_eq(peer_wait(peer), 0, "something is due");
    cr_assert_eq(peer_receive(peer, &message, &error), 0, "%s", error.text);
    hear_and_forget(DIGITSUM__TYPE__HEARTBEAT);
    for (bool again = false; !again;) { /* after the heartbeats, it joins again */
        zmq_pollitem_t item = {router, 0, ZMQ_POLLIN, 0};
        cr_assert_eq(zmq_poll(&item, 1, LONG_MS), 1);
        cr_assert_eq(wire_receive(router, true, 0, &message, &error), 1, "%s", error.text);
        again = message.header->type == DIGITSUM__TYPE__HELLO;
        /* By another connection: the first may be dead without an end. */
        cr_expect(!again || message.from.size != worker.size ||
                  memcmp(message.from.bytes, worker.bytes, worker.size) != 0);
        wire_release(&message);
    }
}

Test(peer, says_goodbye_to_a_run_that_it_joined) {
    join(RUN);
    peer_destroy(&peer);
    cr_expect_null(peer);
    peer_destroy(&peer);
    struct wire_message message = hear(DIGITSUM__TYPE__GOODBYE);
    cr_expect_eq(message.header->run, RUN);
    wire_release(&message);
}

Test(peer, addresses_that_cannot_be) {
    struct peer_hello hello = {.trainer = "localhost", .name = "x"};
    cr_expect_null(peer_create(context, &hello, NULL, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "address 'localhost': write tcp://host:port or ipc://path");
}

Test(peer, is_called_as_it_was_told_or_by_role_host_and_process) {
    char name[PEER_NAME], end[32];
    cr_expect_str_eq(peer_name("given", "loader", name), "given");
    cr_assert_eq(peer_name(NULL, "loader", name), name);
    snprintf(end, sizeof end, "-%d", (int)getpid());
    cr_expect_eq(strncmp(name, "loader-", 7), 0, "%s", name);
    cr_expect_str_eq(name + strlen(name) - strlen(end), end);
    cr_expect_eq(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"),
                 strlen(name), "%s", name);
}

Test(peer, lets_its_caller_go_while_messages_keep_coming) {
    enum { FLOOD = 600 };
    struct wire_message message;
    join(RUN);
    for (int i = 0; i < FLOOD; i++)
        say_lease(RUN, (uint64_t)i);
    int heard = 0, pauses = 0;
    while (heard < FLOOD) {
        zmq_pollitem_t item = {peer_socket(peer), 0, ZMQ_POLLIN, 0};
        cr_assert_eq(zmq_poll(&item, 1, LONG_MS), 1);
        int status, before = heard;
        while ((status = peer_receive(peer, &message, &error)) == 1) {
            cr_assert_eq(message.header->lease->first, (uint64_t)heard);
            wire_release(&message);
            heard++;
        }
        cr_assert_eq(status, 0, "%s", error.text);
        cr_expect_leq(heard - before, 256);
        pauses++;
    }
    cr_expect_geq(pauses, 3);
}
