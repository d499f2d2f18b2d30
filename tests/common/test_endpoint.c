/* Addresses as text, and what the system makes of them. */
#include "common/endpoint.h"

#include <criterion/criterion.h>
#include <string.h>
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
    memset(path, 'x', sizeof path);
    memcpy(path, "ipc:///", 7);
    path[150] = '\0';
    refused(path, true, "a socket path has at most 107 bytes");
}

Test(endpoint, local_ones) {
    cr_expect(endpoint_is_local("ipc:///tmp/x"));
    cr_expect(endpoint_is_local("tcp://127.0.0.1:5555"));
    cr_expect(endpoint_is_local("tcp://[::1]:5555"));
    cr_expect(endpoint_is_local("tcp://localhost:5555"));
    cr_expect_not(endpoint_is_local("tcp://*:5555"));
    cr_expect_not(endpoint_is_local("tcp://0.0.0.0:5555"));
    cr_expect_not(endpoint_is_local("tcp://10.0.0.1:5555"));
}

Test(endpoint, beside_the_trainer) {
    struct error error;
    char address[ENDPOINT_MAXIMUM], expected[ENDPOINT_MAXIMUM];
    cr_assert_eq(
        endpoint_beside("ipc:///run/x/control", "loader-1", "samples", NULL, address, &error), 0);
    snprintf(expected, sizeof expected, "ipc:///run/x/loader-1.%ld.samples", (long)getpid());
    cr_expect_str_eq(address, expected);
    cr_assert_eq(endpoint_beside("tcp://127.0.0.1:5555", "a", "b", NULL, address, &error), 0, "%s",
                 error.text);
    cr_expect_str_eq(address, "tcp://127.0.0.1:*");
    cr_assert_eq(endpoint_beside("tcp://far:5555", "a", "b", "10.1.2.3", address, &error), 0);
    cr_expect_str_eq(address, "tcp://10.1.2.3:*");
}

Test(endpoint, what_joiners_connect_to) {
    struct error error;
    char address[ENDPOINT_MAXIMUM];
    cr_assert_eq(endpoint_resolve("tcp://gpu:5555", "tcp://*:5556", address, &error), 0);
    cr_expect_str_eq(address, "tcp://gpu:5556");
    cr_assert_eq(endpoint_resolve("ipc:///a/b", "ipc:///a/b.pairs", address, &error), 0);
    cr_expect_str_eq(address, "ipc:///a/b.pairs");
    cr_expect_eq(endpoint_resolve("tcp://gpu:5555", "gopher://x", address, &error), -1);
    cr_assert_eq(endpoint_announce("tcp://10.0.0.7:4000", "outside", address, &error), 0);
    cr_expect_str_eq(address, "tcp://outside:4000");
    cr_assert_eq(endpoint_announce("tcp://10.0.0.7:4000", NULL, address, &error), 0);
    cr_expect_str_eq(address, "tcp://10.0.0.7:4000");
    cr_assert_eq(endpoint_announce("ipc:///a/b", "outside", address, &error), 0);
    cr_expect_str_eq(address, "ipc:///a/b");
    cr_assert_eq(endpoint_next("tcp://*:5555", 2, "progress", address, &error), 0);
    cr_expect_str_eq(address, "tcp://*:5557");
    cr_assert_eq(endpoint_next("tcp://*:*", 2, "progress", address, &error), 0);
    cr_expect_str_eq(address, "tcp://*:*");
    cr_assert_eq(endpoint_next("ipc:///a/b", 1, "pairs", address, &error), 0);
    cr_expect_str_eq(address, "ipc:///a/b.pairs");
    cr_expect_eq(endpoint_next("tcp://*:65535", 1, "pairs", address, &error), -1);
}

Test(endpoint, bind_names_the_port_in_use_and_removes_its_file) {
    struct error error;
    char bound[ENDPOINT_MAXIMUM], again[ENDPOINT_MAXIMUM], path[64];
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
