/* One look at an address, where the other side is whatever a port may be. */
#include "common/reach.h"

#include "common/clock.h"
#include "tests/support/hosts.h"
#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static char found[ENDPOINT_MAX], reason[REACH_REASON];

static enum reach_state look(const char *address, const char *wanted, const char *current) {
    struct error error = {0};
    enum reach_state state;
    struct timespec nap = {0, 2000000};
    struct reach *reach = reach_create(NULL, address, wanted, current, &error);
    cr_assert_not_null(reach, "%s", error.text);
    while ((state = reach_look(reach, found, reason)) == REACH_BUSY)
        nanosleep(&nap, NULL);
    reach_destroy(&reach);
    cr_expect_null(reach);
    return state;
}

static void expect_failed(const char *address, const char *why) {
    cr_expect_eq(look(address, "ROUTER", address), REACH_FAILED, "%s was found", address);
    cr_expect_str_eq(reason, why, "%s: %s", address, reason);
}

/* A socket that listens on a free port of 127.0.0.1; its address. */
static int open_port(char address[static ENDPOINT_MAX], int backlog) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&own, sizeof own), 0);
    cr_assert_eq(listen(descriptor, backlog), 0);
    cr_assert_eq(getsockname(descriptor, (struct sockaddr *)&own, &size), 0);
    snprintf(address, ENDPOINT_MAX, "tcp://127.0.0.1:%u", ntohs(own.sin_port));
    return descriptor;
}

Test(reach, nobody_is_there) {
    static const char refused[] = "127.0.0.1: Connection refused; ::1: "; /* and without IPv6? */
    char address[ENDPOINT_MAX], name[ENDPOINT_MAX], why[REACH_REASON];
    close(open_port(address, 1));
    expect_failed(address, "Connection refused");
    snprintf(name, sizeof name, "tcp://localhost:%s", strrchr(address, ':') + 1);
    cr_expect_eq(look(name, "ROUTER", ""), REACH_FAILED);
    cr_expect_eq(strncmp(reason, refused, strlen(refused)), 0, "%s", reason);
    cr_expect_eq(look("tcp://no-such-host.invalid:5555", "ROUTER", ""), REACH_FAILED);
    snprintf(why, sizeof why, "%s", reason);
    cr_expect(strstr(why, "resol") || strstr(why, "not known"), "%s", why);
}

Test(reach, sockets_of_runs_that_are_over) {
    char folder[64], address[ENDPOINT_MAX];
    scratch_begin(folder);
    snprintf(address, sizeof address, "ipc://%s/control", folder);
    expect_failed(address, "there is no such socket: the run has ended or has not begun");
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    snprintf(path.sun_path, sizeof path.sun_path, "%.107s", address + 6);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&path, sizeof path), 0);
    close(descriptor); /* its file stays */
    expect_failed(address, "nobody listens on that socket any more: the run has ended");
    scratch_end(folder);
}

/* Takes one connection, says `words`, and closes it. */
struct stranger {
    int descriptor;
    const char *words;
};

static void *serve(void *argument) {
    const struct stranger *self = argument;
    char heard[64];
    int connection = accept(self->descriptor, NULL, NULL);
    if (self->words)
        send(connection, self->words, strlen(self->words), MSG_NOSIGNAL);
    while (recv(connection, heard, sizeof heard, 0) > 0 && self->words)
        ; /* until the other side has had enough */
    close(connection);
    return NULL;
}

static void expect_stranger(const char *words, const char *why) {
    char address[ENDPOINT_MAX];
    pthread_t thread;
    struct stranger stranger = {open_port(address, 1), words};
    cr_assert_eq(pthread_create(&thread, NULL, serve, &stranger), 0);
    expect_failed(address, why);
    pthread_join(thread, NULL);
    close(stranger.descriptor);
}

Test(reach, another_program_is_there) {
    expect_stranger("SSH-2.0-OpenSSH_9.2\r\n",
                    "another program answers there: 'SSH-2.0-OpenSSH_9.2'");
    expect_stranger("\x15\x03\x01", "another program answers there, not digitsum");
    expect_stranger(NULL, "another program is there and closes the connection");
}

Test(reach, what_is_there_says_nothing) {
    char address[ENDPOINT_MAX];
    int descriptor = open_port(address, 8); /* the system takes connections; nobody reads */
    expect_failed(address, "accepts the connection but does not answer: stopped, or not digitsum");
    close(descriptor);
}

static void *open_socket(void *context, int type, char bound[static ENDPOINT_MAX]) {
    struct error error = {0};
    void *socket = zmq_socket(context, type);
    cr_assert_eq(endpoint_bind(socket, "tcp://127.0.0.1:*", bound, &error), 0, "%s", error.text);
    return socket;
}

Test(reach, finds_the_right_socket_alone) {
    char address[ENDPOINT_MAX], other[ENDPOINT_MAX];
    void *context = zmq_ctx_new();
    void *router = open_socket(context, ZMQ_ROUTER, address);
    void *push = open_socket(context, ZMQ_PUSH, other);
    cr_expect_eq(look(address, "ROUTER", address), REACH_FOUND, "%s", reason);
    cr_expect_str_eq(found, address);
    expect_failed(other, "a ZeroMQ PUSH socket is there, ROUTER expected: is the port right?");
    /* To look makes nobody a peer: nothing is sent to who looked. */
    cr_expect_eq(look(other, "PUSH", other), REACH_FOUND, "%s", reason);
    cr_expect_eq(zmq_send(push, "x", 1, ZMQ_DONTWAIT), -1);
    zmq_close(router);
    zmq_close(push);
    zmq_ctx_term(context);
}

Test(reach, takes_the_address_that_answers) {
    char folder[64], address[ENDPOINT_MAX], name[ENDPOINT_MAX], wrong[ENDPOINT_MAX];
    void *context = zmq_ctx_new();
    scratch_begin(folder);
    hosts_begin(folder, "::1 several\n127.0.0.9 several\n127.0.0.1 several\n127.0.0.8 single\n");
    void *router = open_socket(context, ZMQ_ROUTER, address);
    snprintf(name, sizeof name, "tcp://several:%s", strrchr(address, ':') + 1);
    cr_expect_eq(look(name, "ROUTER", ""), REACH_FOUND, "%s", reason);
    cr_expect_str_eq(found, address);
    /* One address is not tried the first time, but then. */
    snprintf(name, sizeof name, "tcp://single:%s", strrchr(address, ':') + 1);
    snprintf(wrong, sizeof wrong, "tcp://127.0.0.8:%s", strrchr(address, ':') + 1);
    cr_expect_eq(look(name, "ROUTER", ""), REACH_FOUND, "%s", reason);
    cr_expect_str_eq(found, wrong);
    expect_failed(name, "127.0.0.8: Connection refused");
    zmq_close(router);
    zmq_ctx_term(context);
    scratch_end(folder);
}

Test(reach, keeps_the_address_that_is_used) {
    char folder[64], address[ENDPOINT_MAX], second[ENDPOINT_MAX], name[ENDPOINT_MAX];
    struct error error = {0};
    void *context = zmq_ctx_new();
    scratch_begin(folder);
    hosts_begin(folder, "127.0.0.1 both\n127.0.0.2 both\n");
    void *router = open_socket(context, ZMQ_ROUTER, address);
    snprintf(second, sizeof second, "tcp://127.0.0.2:%s", strrchr(address, ':') + 1);
    cr_assert_eq(endpoint_bind(router, second, name, &error), 0, "%s", error.text);
    snprintf(name, sizeof name, "tcp://both:%s", strrchr(address, ':') + 1);
    cr_expect_eq(look(name, "ROUTER", second), REACH_FOUND, "%s", reason);
    cr_expect_str_eq(found, second);
    cr_expect_eq(look(name, "ROUTER", address), REACH_FOUND, "%s", reason);
    cr_expect_str_eq(found, address);
    zmq_close(router);
    zmq_ctx_term(context);
    scratch_end(folder);
}

Test(reach, a_resolver_that_hangs_keeps_nobody) {
    char folder[64];
    struct error error = {0};
    scratch_begin(folder);
    hosts_hang(folder);
    struct reach *reach = reach_create(NULL, "tcp://trainer.example:5555", "ROUTER", "", &error);
    cr_assert_not_null(reach, "%s", error.text);
    cr_expect_eq(reach_look(reach, found, reason), REACH_BUSY);
    cr_expect_str_eq(reason, "the name lookup has not answered yet");
    /* Nor is there ever more than the bound of such. */
    struct reach_pool *pool = reach_pool_create(2);
    struct reach *others[2];
    for (int i = 0; i < 2; i++) {
        cr_expect_not(reach_pool_full(pool));
        others[i] = reach_create(pool, "tcp://loader.example:5555", "PUSH", "", &error);
        cr_assert_not_null(others[i], "%s", error.text);
    }
    for (int i = 0; i < 2; i++)
        reach_destroy(&others[i]);
    cr_expect(reach_pool_full(pool), "their threads are there still");
    reach_pool_destroy(&pool);
    cr_expect_null(pool);
    reach_destroy(&reach); /* does not wait: the test's own limit is shorter than the resolver's */
    scratch_end(folder);
}

Test(reach, own_names) {
    struct error error = {0};
    cr_expect_eq(reach_check_own("tcp://localhost:5", &error), 0);
    cr_expect_eq(reach_check_own("tcp://*:*", &error), 0);
    cr_expect_eq(reach_check_own("tcp://10.0.0.7:5", &error), 0);
    cr_expect_eq(reach_check_own("ipc:///tmp/x", &error), 0);
    cr_expect_eq(reach_check_own("tcp://no-such-host.invalid:5", &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
}
