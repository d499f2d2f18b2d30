/* Addresses as text, and what the system makes of them. */
#include "common/endpoint.h"

#include "common/resolve.h"
#include "tests/support/hosts.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

static void refused(const char *address, bool binding, const char *words) {
    struct error error = {0};
    cr_expect_eq(endpoint_check(address, binding, &error), -1, "%s", address);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, words), "%s: %s", address, error.text);
}

Test(endpoint, forms) {
    struct error error;
    char path[200];
    cr_expect_eq(endpoint_check("tcp://host:5555", false, &error), 0);
    cr_expect_eq(endpoint_check("tcp://*:*", true, &error), 0);
    cr_expect_eq(endpoint_check("tcp://[::1]:80", false, &error), 0);
    cr_expect_eq(endpoint_check("ipc:///tmp/x", true, &error), 0);
    refused("host:5555", false, "write tcp://host:port or ipc://path");
    refused("tcp://host", false, "has no port");
    refused("tcp://:5", false, "has no port");
    refused("tcp://host:*", false, "the port must be 1 to 65535");
    refused("tcp://host:0", false, "the port must be 1 to 65535");
    refused("tcp://host:65536", false, "the port must be 1 to 65535");
    refused("tcp://host:5x", false, "the port must be 1 to 65535");
    refused("ipc://", false, "write tcp://host:port or ipc://path");
    cr_expect_eq(endpoint_check("tcp://[fe80::1%eth0]:80", false, &error), 0);
    cr_expect_eq(endpoint_check("tcp://[::ffff:10.0.0.7]:80", false, &error), 0);
    cr_expect_eq(endpoint_check("tcp://host.example.:80", false, &error), 0);
    cr_expect_eq(endpoint_check("ipc://with space/x", false, &error), 0);
    refused("tcp://127.0.0.1", false, "has no port");
    refused("tcp://127.0.0.1:", true, "has no port");
    refused("tcp://[::1]", false, "has no port");
    refused("tcp://[::1:80", false, "has no port");
    refused("tcp://[]:80", false, "has no port");
    refused("tcp://::1:80", false, "write an IPv6 address in brackets, as tcp://[::1]:5555");
    refused("tcp://host:+5", false, "the port must be 1 to 65535");
    refused("tcp://host:5/", false, "the port must be 1 to 65535");
    refused("tcp:///host:5", false, "write tcp://host:port or ipc://path");
    refused("tcp://ho st:5", false, "has a space in it");
    refused("tcp://host:5 ", false, "has a space in it");
    refused(" tcp://host:5", false, "begins with a space");
    refused("ipc:///tmp/x\n", false, "ends in a space");
    refused("http://host:80", false, "write tcp://host:port or ipc://path");
    memset(path, 'x', sizeof path);
    memcpy(path, "ipc:///", 7);
    path[150] = '\0';
    refused(path, true, "a socket path has at most 107 bytes");
}

static void meant(const char *address, const char *other) {
    char words[128];
    snprintf(words, sizeof words, "; did you mean %s?", other);
    refused(address, false, words);
}

Test(endpoint, says_what_was_meant) {
    struct error error;
    meant("localhost:5555", "tcp://localhost:5555");
    meant("tcp:localhost:5555", "tcp://localhost:5555");
    meant("tcp:/localhost:5555", "tcp://localhost:5555");
    meant("TCP://localhost:5555", "tcp://localhost:5555");
    meant("[::1]:5555", "tcp://[::1]:5555");
    meant("ipc:/tmp/x", "ipc:///tmp/x");
    meant("/tmp/x", "ipc:///tmp/x");
    meant("sockets/control", "ipc://sockets/control");
    cr_expect_eq(endpoint_check("localhost", false, &error), -1);
    cr_expect_null(strstr(error.text, "mean"), "%s", error.text);
}

Test(endpoint, local_ones) {
    cr_expect(endpoint_is_local("ipc:///tmp/x"));
    cr_expect(endpoint_is_local("tcp://127.0.0.1:5555"));
    cr_expect(endpoint_is_local("tcp://[::1]:5555"));
    cr_expect(endpoint_is_local("tcp://localhost:5555"));
    cr_expect(endpoint_is_local("tcp://LOCALHOST.:5555"));
    cr_expect(endpoint_is_local("tcp://lo:5555"));
    cr_expect(endpoint_is_local("tcp://[::ffff:127.0.0.1]:5555"));
    cr_expect_not(endpoint_is_local("tcp://127.example.invalid:5555"));
    cr_expect_not(endpoint_is_local("tcp://[::]:5555"));
    cr_expect_not(endpoint_is_local("tcp://*:5555"));
    cr_expect_not(endpoint_is_local("tcp://0.0.0.0:5555"));
    cr_expect_not(endpoint_is_local("tcp://10.0.0.1:5555"));
}

Test(endpoint, beside_the_trainer) {
    struct error error;
    char address[ENDPOINT_MAX], expected[ENDPOINT_MAX];
    cr_assert_eq(
        endpoint_beside("ipc:///tmp/control", "loader-1", "samples", NULL, address, &error), 0);
    snprintf(expected, sizeof expected, "ipc:///tmp/loader-1.%ld.samples", (long)getpid());
    cr_expect_str_eq(address, expected);
    cr_assert_eq(endpoint_beside("ipc://control", "a", "b", NULL, address, &error), 0);
    cr_assert_eq(endpoint_beside("tcp://127.0.0.1:5555", "a", "b", NULL, address, &error), 0, "%s",
                 error.text);
    cr_expect_str_eq(address, "tcp://127.0.0.1:*");
    cr_assert_eq(endpoint_beside("tcp://far:5555", "a", "b", "10.1.2.3", address, &error), 0);
    cr_expect_str_eq(address, "tcp://10.1.2.3:*");
    cr_assert_eq(endpoint_beside("tcp://far:5555", "a", "b", "::1", address, &error), 0);
    cr_expect_str_eq(address, "tcp://[::1]:*");
    cr_expect_eq(endpoint_beside("tcp://far:5555", "a", "b", "x.invalid", address, &error), -1);
    cr_expect(strstr(error.text, "x.invalid is neither"), "%s", error.text);
}

/* The run is over and its folder gone: said of the address that was given, not of the own one. */
Test(endpoint, nothing_is_beside_a_run_that_is_gone) {
    struct error error;
    char address[ENDPOINT_MAX];
    cr_assert_eq(
        endpoint_beside("ipc:///nonexistent/x/control", "a", "samples", NULL, address, &error), -1);
    cr_expect_eq(error.code, ERROR_TIMEOUT);
    cr_expect_str_eq(error.text, "cannot reach ipc:///nonexistent/x/control (there is no folder "
                                 "/nonexistent/x: the run has ended or has not begun)");
}

Test(endpoint, what_joiners_connect_to) {
    struct error error;
    char address[ENDPOINT_MAX];
    cr_assert_eq(endpoint_resolve("tcp://gpu:5555", "tcp://*:5556", address, &error), 0);
    cr_expect_str_eq(address, "tcp://gpu:5556");
    cr_assert_eq(endpoint_resolve("ipc:///a/b", "ipc:///a/b.pairs", address, &error), 0);
    cr_expect_str_eq(address, "ipc:///a/b.pairs");
    cr_expect_eq(endpoint_resolve("tcp://gpu:5555", "gopher://x", address, &error), -1);
    cr_assert_eq(
        endpoint_announce("tcp://10.0.0.7:4000", "outside", "tcp://127.0.0.1:1", address, &error),
        0);
    cr_expect_str_eq(address, "tcp://outside:4000");
    cr_assert_eq(
        endpoint_announce("tcp://10.0.0.7:4000", NULL, "tcp://127.0.0.1:1", address, &error), 0);
    cr_expect_str_eq(address, "tcp://10.0.0.7:4000");
    cr_assert_eq(endpoint_announce("ipc:///a/b", "outside", "tcp://127.0.0.1:1", address, &error),
                 0);
    cr_expect_str_eq(address, "ipc:///a/b");
    /* A wildcard is nothing to connect to: the address that the trainer is reached from. */
    cr_assert_eq(
        endpoint_announce("tcp://0.0.0.0:4000", NULL, "tcp://127.0.0.1:1", address, &error), 0);
    cr_expect_str_eq(address, "tcp://127.0.0.1:4000");
    cr_assert_eq(endpoint_announce("tcp://[::]:4000", "fd00::7", "tcp://[::1]:1", address, &error),
                 0);
    cr_expect_str_eq(address, "tcp://[fd00::7]:4000");
    cr_assert_eq(endpoint_next("tcp://*:5555", 2, "progress", address, &error), 0);
    cr_expect_str_eq(address, "tcp://*:5557");
    cr_assert_eq(endpoint_next("tcp://*:*", 2, "progress", address, &error), 0);
    cr_expect_str_eq(address, "tcp://*:*");
    cr_assert_eq(endpoint_next("ipc:///a/b", 1, "pairs", address, &error), 0);
    cr_expect_str_eq(address, "ipc:///a/b.pairs");
    cr_assert_eq(endpoint_next("tcp://*:65533", 2, "progress", address, &error), 0);
    cr_expect_str_eq(address, "tcp://*:65535");
    cr_expect_eq(endpoint_next("tcp://*:65535", 1, "pairs", address, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "address 'tcp://*:65535': pairs need the port 1 after it, and "
                                 "there is none: choose a lower one");
}

Test(endpoint, bind_names_the_port_in_use_and_removes_its_file) {
    struct error error;
    char bound[ENDPOINT_MAX], again[ENDPOINT_MAX], path[64];
    void *context = zmq_ctx_new();
    void *one = zmq_socket(context, ZMQ_PULL), *two = zmq_socket(context, ZMQ_PULL);
    cr_assert_eq(endpoint_bind(one, "tcp://127.0.0.1:*", bound, &error), 0);
    cr_expect_null(strchr(bound, '*'));
    int ipv6 = 1;
    void *three = zmq_socket(context, ZMQ_PULL);
    zmq_setsockopt(three, ZMQ_IPV6, &ipv6, sizeof ipv6);
    cr_assert_eq(endpoint_bind(three, "tcp://127.0.0.1:*", again, &error), 0);
    cr_expect_eq(strncmp(again, "tcp://127.0.0.1:", 16), 0, "%s", again);
    zmq_close(three);
    cr_expect_eq(endpoint_bind(two, bound, again, &error), -1);
    cr_expect(strstr(error.text, "is in use"), "%s", error.text);
    snprintf(path, sizeof path, "ipc:///tmp/digitsum-endpoint-%ld", (long)getpid());
    cr_assert_eq(endpoint_bind(two, path, bound, &error), 0);
    cr_expect_eq(access(path + 6, F_OK), 0);
    zmq_close(one);
    zmq_close(two);
    zmq_ctx_term(context);
    endpoint_remove(bound);
    cr_expect_neq(access(path + 6, F_OK), 0);
    endpoint_remove("tcp://127.0.0.1:1");
}

/* --- what is bound ---------------------------------------------------------------------------- */

/* Whether a connection to `host` at the port of `bound` is taken. */
static bool taken(const char *host, const char *bound) {
    char address[ENDPOINT_MAX];
    struct resolved resolved;
    struct error error;
    snprintf(address, sizeof address, "tcp://%s%s", host, strrchr(bound, ':'));
    cr_assert_eq(resolve_peers(address, &resolved, &error), 0);
    int descriptor = socket(resolved.list[0].socket.ss_family, SOCK_STREAM, 0);
    bool good = descriptor >= 0 && connect(descriptor, (struct sockaddr *)&resolved.list[0].socket,
                                           resolved.list[0].size) == 0;
    if (descriptor >= 0)
        close(descriptor);
    return good;
}

/* Binds it at a free port, and says who may connect: IPv4, another IPv4, IPv6. */
static void binds(const char *address, const char *bound_host, bool four, bool other, bool six) {
    char bound[ENDPOINT_MAX];
    struct error error = {0};
    int yes = 1;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    zmq_setsockopt(socket, ZMQ_IPV6, &yes, sizeof yes);
    cr_assert_eq(endpoint_bind(socket, address, bound, &error), 0, "%s", error.text);
    cr_expect_eq(strncmp(bound, bound_host, strlen(bound_host)), 0, "%s: %s", address, bound);
    cr_expect_eq(taken("127.0.0.1", bound), four, "%s, 127.0.0.1", address);
    cr_expect_eq(taken("127.0.0.2", bound), other, "%s, 127.0.0.2", address);
    cr_expect_eq(taken("[::1]", bound), six, "%s, ::1", address);
    zmq_close(socket);
    zmq_ctx_term(context);
}

static bool has_ipv6(void) {
    char bound[ENDPOINT_MAX];
    struct error error;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    bool has = endpoint_bind(socket, "tcp://[::1]:*", bound, &error) == 0;
    zmq_close(socket);
    zmq_ctx_term(context);
    return has;
}

Test(endpoint, binds_all_that_a_host_means) {
    char folder[64];
    bool six = has_ipv6();
    scratch_begin(folder);
    hosts_begin(folder, "127.0.0.1 both\n127.0.0.2 both\n");
    binds("tcp://localhost:*", "tcp://127.0.0.1:", true, false, six);
    binds("tcp://LOCALHOST.:*", "tcp://127.0.0.1:", true, false, six);
    binds("tcp://both:*", "tcp://127.0.0.", true, true, false);
    binds("tcp://lo:*", "tcp://127.0.0.1:", true, false, six);
    binds("tcp://*:*", "tcp://", true, true, six);
    binds("tcp://0.0.0.0:*", "tcp://0.0.0.0:", true, true, false);
    binds("tcp://[::ffff:127.0.0.1]:*", "tcp://127.0.0.1:", true, false, false);
    if (six) {
        char address[ENDPOINT_MAX];
        struct error error = {0};
        binds("tcp://[::]:*", "tcp://[::]:", true, true, true);
        cr_assert_eq(endpoint_announce("tcp://[::]:4000", NULL, "tcp://[::1]:1", address, &error),
                     0, "%s", error.text);
        cr_expect_str_eq(address, "tcp://[::1]:4000");
    }
    scratch_end(folder);
}

Test(endpoint, binds_where_the_kernel_has_no_ipv6) {
    hosts_without_ipv6();
    binds("tcp://*:*", "tcp://", true, true, false);
    binds("tcp://localhost:*", "tcp://127.0.0.1:", true, false, false);
    binds("tcp://127.0.0.1:*", "tcp://127.0.0.1:", true, false, false);
}

static void cannot_bind(const char *address, const char *sentence) {
    char bound[ENDPOINT_MAX];
    struct error error = {0};
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    cr_expect_eq(endpoint_bind(socket, address, bound, &error), -1, "%s", address);
    cr_expect_str_eq(error.text, sentence, "%s: %s", address, error.text);
    zmq_close(socket);
    zmq_ctx_term(context);
}

Test(endpoint, says_why_it_cannot_bind) {
    char folder[64], path[SCRATCH_PATH], address[ENDPOINT_MAX], bound[ENDPOINT_MAX], sentence[512];
    struct error error;
    scratch_begin(folder);
    hosts_begin(folder, "192.0.2.7 elsewhere\n127.0.0.2 taken\n127.0.0.3 taken\n");
    cannot_bind("tcp://elsewhere:5555",
                "cannot bind tcp://elsewhere:5555: 192.0.2.7 is not an address of this machine");
    cannot_bind("tcp://192.0.2.8:5555",
                "cannot bind tcp://192.0.2.8:5555: 192.0.2.8 is not an address of this machine");
    /* One of a name's addresses is in use, and the port was asked for. */
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    cr_assert_eq(endpoint_bind(socket, "tcp://127.0.0.3:*", bound, &error), 0);
    snprintf(address, sizeof address, "tcp://taken%s", strrchr(bound, ':'));
    snprintf(sentence, sizeof sentence,
             "%s is in use: another trainer runs there, or choose another port", address);
    cannot_bind(address, sentence);
    /* A file that is no socket is not removed, nor a socket on which someone listens. */
    scratch_write(folder, "precious", "x", path);
    snprintf(address, sizeof address, "ipc://%.200s", path);
    snprintf(sentence, sizeof sentence, "cannot bind %s: there is a file already, and not a socket",
             address);
    cannot_bind(address, sentence);
    cr_expect_eq(access(path, F_OK), 0);
    snprintf(address, sizeof address, "ipc://%s/live", folder);
    cr_assert_eq(endpoint_bind(socket, address, bound, &error), 0);
    snprintf(sentence, sizeof sentence, "%s is in use: another trainer runs there", address);
    cannot_bind(address, sentence);
    zmq_close(socket);
    zmq_ctx_term(context);
    scratch_end(folder);
}

Test(endpoint, a_relative_path_is_told_as_an_absolute_one) {
    char folder[64], bound[ENDPOINT_MAX], expected[ENDPOINT_MAX];
    struct error error = {0};
    scratch_begin(folder);
    cr_assert_eq(chdir(folder), 0);
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    cr_assert_eq(endpoint_bind(socket, "ipc://control", bound, &error), 0, "%s", error.text);
    snprintf(expected, sizeof expected, "ipc://%s/control", folder);
    cr_expect_str_eq(bound, expected);
    zmq_close(socket);
    zmq_ctx_term(context);
    endpoint_remove(bound);
    scratch_end(folder);
}
