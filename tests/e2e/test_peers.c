/* Peers and connections as they are at their worst: that go dead without an end, that speak old
 * protocols, that read what is not theirs, that come by the thousand. */
#include "tests/e2e/run.h"
#include "tests/e2e/stranger.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(peers, .timeout = 300);

/* Waits until there is such a line, and returns the port in it. */
static int port_after(struct e2e *run, int process, const char *text) {
    char address[200];
    e2e_expect(run, process, text);
    e2e_after(run, process, text, address, sizeof address);
    return atoi(strrchr(address, ':') + 1);
}

/* A trainer on tcp; workers join it at `host`. Returns the port of its control socket. */
static int begin(struct e2e *run, const char *host, const char *steps, int *trainer) {
    e2e_begin(run);
    strcpy(run->address, "tcp://127.0.0.1:*");
    *trainer =
        e2e_trainer(run, (const char *const[]){"--steps", steps, "--checkpoint-every", "20", NULL});
    int port = port_after(run, *trainer, "listening at ");
    snprintf(run->address, sizeof run->address, "tcp://%s:%d", host, port);
    return port;
}

/* A loader that tells others that it is at `announce`. Returns the port of its samples. */
static int start_loader(struct e2e *run, const char *announce, int *loader) {
    const char *const args[] = {
        "--join", "@ADDRESS",     "--name", "l",          "--data", run->data, "--train-limit",
        "640",    "--test-limit", "10",     "--announce", announce, NULL};
    *loader = e2e_start(run, "loader", "l", args);
    return port_after(run, *loader, "samples at ");
}

/* What a write that failed once looks like from the other side; libzmq does not try it again. */
Test(peers, samples_that_stop_coming_are_fetched_by_a_new_connection) {
    struct e2e run;
    int trainer, loader;
    begin(&run, "127.0.0.1", "60", &trainer);
    int samples = start_loader(&run, "127.0.0.2", &loader);
    stranger_relay(samples, false, 500000); /* of the first connection: nine batches or so */
    e2e_augment(&run, "a");
    e2e_expect(&run, trainer, "no batch of loader l has arrived for 3 s");
    int64_t noticed = clock_now();
    cr_expect(stranger_swallowed());
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_lt(clock_now() - noticed, 20 * CLOCK_SECOND, "no wait of 30 s or more");
    cr_expect_eq(e2e_summary_number(&run, "steps"), 60);
    e2e_end(&run);
}

/* As after a damaged length, which makes the trainer wait for bytes that never come: the augmenter
 * sees nothing of it. The pairs are at the port after the control socket's. */
Test(peers, pairs_that_never_arrive_are_sent_by_a_new_connection) {
    struct e2e run;
    int loader, port = 20000 + (int)(getpid() % 5000) * 2;
    e2e_begin(&run);
    snprintf(run.address, sizeof run.address, "tcp://127.0.0.1:%d", port);
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "60", NULL});
    e2e_expect(&run, trainer, "listening at ");
    start_loader(&run, "127.0.0.1", &loader);
    snprintf(run.address, sizeof run.address, "tcp://127.0.0.2:%d", port);
    stranger_relay(port, true, LONG_MAX);
    stranger_relay(port + 1, true, 500000);
    int augment = e2e_augment(&run, "a");
    e2e_expect(&run, trainer, "no batch has arrived at all: augmenters reconnect to the trainer");
    e2e_expect(&run, augment, "reconnecting to the trainer's pairs");
    cr_expect(stranger_swallowed());
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 60);
    e2e_end(&run);
}

/* An old peer's type of socket is not checked by libzmq: it would be handed batches. */
Test(peers, old_protocols_are_turned_away) {
    static const char first[] = "\1\0"; /* ZMTP 1.0: an anonymous peer */
    static const char second[] = "\377\0\0\0\0\0\0\0\0\177\1\7\0\0"; /* ZMTP 2.0: a PULL socket */
    struct e2e run;
    int trainer, loader;
    int control = begin(&run, "127.0.0.1", "60", &trainer);
    int samples = start_loader(&run, "127.0.0.1", &loader);
    int ports[] = {samples, control};
    int old[4];
    for (int i = 0; i < 4; i++)
        old[i] = stranger_connect(ports[i / 2], i % 2 ? second : first,
                                  i % 2 ? sizeof second - 1 : sizeof first - 1);
    e2e_augment(&run, "a");
    for (int i = 0; i < 4; i++) {
        cr_expect_lt(stranger_read(old[i], 1000), 100, "peer %d was handed batches", i);
        close(old[i]);
    }
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    e2e_end(&run);
}

/* Of today's protocol and of the right type: half of the batches go to it, and are asked for
 * again. */
Test(peers, a_thief_does_not_stop_the_run) {
    unsigned char opening[128];
    struct e2e run;
    int trainer, loader;
    begin(&run, "127.0.0.1", "60", &trainer);
    int samples = start_loader(&run, "127.0.0.1", &loader);
    stranger_thief(samples, opening, stranger_opening("PULL", opening));
    e2e_augment(&run, "a");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_gt(e2e_summary_number(&run, "batches_released_again"), 0, "nothing was stolen");
    e2e_end(&run);
}

/* Each topic costs memory, and time with every message: there is nothing to subscribe to. */
Test(peers, nothing_can_be_subscribed_to) {
    unsigned char opening[128];
    struct e2e run;
    int trainer, loader;
    int control = begin(&run, "127.0.0.1", "100000", &trainer);
    start_loader(&run, "127.0.0.1", &loader);
    e2e_augment(&run, "a");
    int evaluator = e2e_evaluator(&run, "e");
    int watch = e2e_start(&run, "watch", "watch",
                          (const char *const[]){"--join", run.address, "--progress", NULL});
    e2e_expect(&run, watch, "digit ");
    cr_expect_eq(stranger_listening(run.list[trainer].process.pid), 2, "control and pairs");
    cr_expect_eq(stranger_listening(run.list[evaluator].process.pid), 0);
    int descriptor = stranger_connect(control, opening, stranger_opening("SUB", opening));
    cr_expect_lt(stranger_read(descriptor, 1000), 200);
    close(descriptor);
    e2e_end(&run);
}

/* More connections than descriptors that a process has by default. */
Test(peers, a_thousand_idle_connections_do_not_end_a_run) {
    enum { CONNECTIONS = 1100 };
    static int open[CONNECTIONS];
    struct rlimit limit, usual;
    struct e2e run;
    int trainer, loader;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 4096)
        cr_skip_test("no more than %llu descriptors here", (unsigned long long)limit.rlim_max);
    usual = limit;
    usual.rlim_cur = 1024;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    int control = begin(&run, "127.0.0.1", "60", &trainer);
    start_loader(&run, "127.0.0.1", &loader);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    unsigned char opening[128]; /* whole ones, so that no time for the handshake ends them */
    size_t size = stranger_opening("DEALER", opening);
    for (int i = 0; i < CONNECTIONS; i++)
        open[i] = stranger_connect(control, opening, size);
    e2e_augment(&run, "a");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        close(open[i]);
    e2e_end(&run);
}
