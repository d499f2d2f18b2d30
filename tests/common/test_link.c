/* A socket that is kept connected to a name, against sockets that the test opens and closes. */
#include "common/link.h"

#include "common/clock.h"
#include "tests/support/hosts.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { LONG_S = 20 }; /* only a test that fails waits as long */

static char folder[64], port[16];
static void *context, *ours;
static struct link *joined;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    context = zmq_ctx_new();
    ours = zmq_socket(context, ZMQ_DEALER);
}

static void teardown(void) {
    int linger = 0;
    link_destroy(&joined);
    cr_expect_null(joined);
    zmq_setsockopt(ours, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(ours);
    zmq_ctx_term(context);
    scratch_end(folder);
}

TestSuite(link, .init = setup, .fini = teardown);

/* A ROUTER at `host`, at a free port, or where there is one already at that. */
static void *open_router(const char *host) {
    char address[ENDPOINT_MAX], bound[ENDPOINT_MAX];
    void *router = zmq_socket(context, ZMQ_ROUTER);
    snprintf(address, sizeof address, "tcp://%s:%s", host, port[0] ? port : "*");
    cr_assert_eq(endpoint_bind(router, address, bound, &error), 0, "%s", error.text);
    snprintf(port, sizeof port, "%.15s", strrchr(bound, ':') + 1);
    return router;
}

static void join(const char *host, bool answers, const struct log *log) {
    char address[ENDPOINT_MAX];
    snprintf(address, sizeof address, "tcp://%s:%s", host, port);
    const struct link_spec spec = {
        .socket = ours, .address = address, .answers = answers, .log = log};
    joined = link_create(&spec, &error);
    cr_assert_not_null(joined, "%s", error.text);
}

/* Tends the link until it is connected to `host`. */
static void expect_connected(const char *host) {
    char address[ENDPOINT_MAX];
    int64_t end = clock_now() + LONG_S * CLOCK_SECOND;
    snprintf(address, sizeof address, "tcp://%s:%s", host, port);
    while (strcmp(link_address(joined), address) != 0) {
        cr_assert(clock_now() < end, "connected to '%s', not %s: %s", link_address(joined), address,
                  link_reason(joined));
        poll(NULL, 0, (int)(link_wait(joined) < 50 ? link_wait(joined) : 50));
        link_tend(joined);
    }
}

static void expect_message(void *router) {
    char text[64];
    zmq_pollitem_t item = {router, 0, ZMQ_POLLIN, 0};
    cr_assert_eq(zmq_send(ours, "hello", 5, ZMQ_DONTWAIT), 5);
    cr_assert_eq(zmq_poll(&item, 1, LONG_S * 1000), 1);
    while (zmq_recv(router, text, sizeof text, ZMQ_DONTWAIT) > 0)
        ;
}

Test(link, numeric_addresses_are_connected_to_at_once) {
    void *router = open_router("127.0.0.1");
    join("127.0.0.1", true, NULL);
    expect_connected("127.0.0.1");
    expect_message(router);
    zmq_close(router);
}

Test(link, tries_every_address_of_a_name) {
    hosts_begin(folder, "::1 localhost several\n127.0.0.3 several\n127.0.0.1 several\n");
    void *router = open_router("127.0.0.1");
    join("localhost", true, NULL);
    expect_connected("127.0.0.1");
    expect_message(router);
    link_cut(&joined);
    join("several", true, NULL);
    expect_connected("127.0.0.1");
    expect_message(router);
    zmq_close(router);
}

Test(link, finds_a_name_that_comes_later_and_follows_it) {
    hosts_begin(folder, "127.0.0.1 other\n");
    void *first = open_router("127.0.0.2"), *second = open_router("127.0.0.3");
    join("trainer.invalid", true, NULL);
    for (int i = 0; !link_reason(joined)[0] || strstr(link_reason(joined), "lookup"); i++) {
        cr_assert_lt(i, LONG_S * 1000);
        poll(NULL, 0, 1);
        link_tend(joined);
    }
    cr_expect_str_eq(link_address(joined), "");
    hosts_write(folder, "127.0.0.2 trainer.invalid\n");
    expect_connected("127.0.0.2");
    expect_message(first);
    link_heard(joined);
    cr_expect_str_eq(link_reason(joined), "");
    hosts_write(folder, "127.0.0.3 trainer.invalid\n");
    link_renew(joined); /* as when the trainer is silent */
    expect_connected("127.0.0.3");
    expect_message(second);
    zmq_close(first);
    zmq_close(second);
}

/* Reads a line that the link has logged, which must contain `text`. */
static void expect_line(int descriptor, const char *text) {
    char line[1024];
    struct pollfd item = {.fd = descriptor, .events = POLLIN};
    int64_t end = clock_now() + LONG_S * CLOCK_SECOND;
    while (poll(&item, 1, 10) == 0) {
        cr_assert(clock_now() < end, "no line with '%s'", text);
        link_tend(joined);
    }
    ssize_t size = read(descriptor, line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    cr_expect(strstr(line, text), "expected '%s', got %s", text, line);
}

Test(link, says_what_it_cannot_reach_and_when_it_does) {
    int ends[2];
    struct log log;
    char line[256];
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], "test", LOG_WARNING);
    void *router = open_router("127.0.0.1");
    zmq_close(router);
    join("localhost", true, &log);
    int64_t before = clock_now();
    snprintf(line, sizeof line,
             "cannot reach tcp://localhost:%s (127.0.0.1: Connection refused; ::1: ", port);
    expect_line(ends[0], line);
    cr_expect_geq(clock_now() - before, 2 * CLOCK_SECOND,
                  "a start that is a little slow is no news");
    router = open_router("127.0.0.1");
    expect_connected("127.0.0.1");
    link_heard(joined);
    snprintf(line, sizeof line, "reached tcp://localhost:%s after ", port);
    expect_line(ends[0], line);
    zmq_close(router);
    close(ends[0]);
    close(ends[1]);
}

Test(link, who_takes_connections_and_does_not_answer_is_named) {
    int ends[2];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], "test", LOG_WARNING);
    void *router = open_router("127.0.0.1");
    join("127.0.0.1", true, &log);
    expect_line(ends[0], "(a ZeroMQ socket accepts connections there, but no trainer answers)");
    zmq_close(router);
    close(ends[0]);
    close(ends[1]);
}

Test(link, data_that_nobody_fetches_is_named) {
    int ends[2];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], "test", LOG_WARNING);
    char address[ENDPOINT_MAX];
    snprintf(address, sizeof address, "ipc://%s/samples", folder);
    void *pull = zmq_socket(context, ZMQ_PULL);
    const struct link_spec spec = {
        .socket = pull, .address = address, .who = "loader-1", .log = &log};
    joined = link_create(&spec, &error);
    cr_assert_not_null(joined);
    expect_line(ends[0], "cannot reach loader-1 at ipc://");
    link_rest(joined);
    cr_expect_geq(link_wait(joined), 1000);
    cr_expect_not(link_tend(joined));
    zmq_close(pull);
    close(ends[0]);
    close(ends[1]);
}

Test(link, finds_the_address_to_bind_beside) {
    char found[ENDPOINT_MAX], address[ENDPOINT_MAX], expected[ENDPOINT_MAX];
    void *router = open_router("127.0.0.1");
    snprintf(address, sizeof address, "tcp://localhost:%s", port);
    snprintf(expected, sizeof expected, "tcp://127.0.0.1:%s", port);
    cr_assert_eq(link_find(address, LONG_S, NULL, found, &error), 0, "%s", error.text);
    cr_expect_str_eq(found, expected);
    cr_assert_eq(link_find("ipc:///tmp/x", LONG_S, NULL, found, &error), 0);
    cr_expect_str_eq(found, "ipc:///tmp/x");
    cr_assert_eq(link_find("tcp://no-such-host.invalid:5555", 1, NULL, found, &error), -1);
    cr_expect_eq(error.code, ERROR_TIMEOUT);
    cr_expect(strstr(error.text, "cannot reach tcp://no-such-host.invalid:5555 ("), "%s",
              error.text);
    cr_expect_eq(link_find("localhost", LONG_S, NULL, found, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    zmq_close(router);
}
