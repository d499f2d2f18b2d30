/* See endpoint.h. */
#include "common/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

static const char *const form = "write tcp://host:port or ipc://path";

static int check_tcp(const char *address, bool binding, struct error *error) {
    const char *host = address + 6;
    const char *colon = strrchr(host, ':');
    if (!colon || colon == host)
        return error_set(error, ERROR_INVALID, "address '%s' has no port: %s", address, form);
    if (binding && strcmp(colon + 1, "*") == 0)
        return 0;
    char *end;
    errno = 0;
    long port = strtol(colon + 1, &end, 10);
    if (errno || end == colon + 1 || *end || port < 1 || port > 65535)
        return error_set(error, ERROR_INVALID, "address '%s': the port must be 1 to 65535",
                         address);
    return 0;
}

int endpoint_check(const char *address, bool binding, struct error *error) {
    if (strlen(address) >= ENDPOINT_MAXIMUM)
        return error_set(error, ERROR_INVALID, "an address of %zu bytes: at most %d",
                         strlen(address), ENDPOINT_MAXIMUM - 1);
    if (strncmp(address, "tcp://", 6) == 0)
        return check_tcp(address, binding, error);
    if (strncmp(address, "ipc://", 6) != 0 || !address[6])
        return error_set(error, ERROR_INVALID, "address '%s': %s", address, form);
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(address + 6) > most)
        return error_set(error, ERROR_INVALID, "address '%s': a socket path has at most %zu bytes",
                         address, most);
    return 0;
}

bool endpoint_is_local(const char *address) {
    if (strncmp(address, "ipc://", 6) == 0)
        return true;
    return strncmp(address, "tcp://127.", 10) == 0 || strncmp(address, "tcp://[::1]:", 12) == 0 ||
           strncmp(address, "tcp://localhost:", 16) == 0;
}

/* The own address from which packets to the trainer leave: connecting a datagram socket sends
 * nothing, but makes the system choose the route. */
static int own_address(const char *trainer, char *host, size_t size, struct error *error) {
    char name[ENDPOINT_MAXIMUM];
    const char *colon = strrchr(trainer + 6, ':');
    const char *begin = trainer + 6;
    size_t length = (size_t)(colon - begin);
    if (length >= 2 && begin[0] == '[') { /* an IPv6 address in brackets */
        begin++;
        length -= 2;
    }
    snprintf(name, sizeof name, "%.*s", (int)length, begin);
    struct addrinfo wanted = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
    int failure = getaddrinfo(name, colon + 1, &wanted, &found);
    if (failure)
        return error_set(error, ERROR_IO, "cannot find the address of %s: %s", name,
                         gai_strerror(failure));
    int status = -1;
    struct sockaddr_storage own;
    socklen_t own_size = sizeof own;
    int descriptor = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, found->ai_addr, found->ai_addrlen) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&own, &own_size) != 0 ||
        getnameinfo((struct sockaddr *)&own, own_size, name, sizeof name, NULL, 0,
                    NI_NUMERICHOST) != 0)
        error_set_errno(error, "finding the own address that faces %s", trainer);
    else {
        snprintf(host, size, own.ss_family == AF_INET6 ? "[%s]" : "%s", name);
        status = 0;
    }
    if (descriptor >= 0)
        close(descriptor);
    freeaddrinfo(found);
    return status;
}

int endpoint_beside(const char *trainer, const char *name, const char *purpose, const char *host,
                    char address[static ENDPOINT_MAXIMUM], struct error *error) {
    int length;
    if (strncmp(trainer, "ipc://", 6) == 0) {
        const char *slash = strrchr(trainer, '/');
        length = snprintf(address, ENDPOINT_MAXIMUM, "%.*s/%s.%ld.%s", (int)(slash - trainer),
                          trainer, name, (long)getpid(), purpose);
    } else {
        char own[ENDPOINT_MAXIMUM];
        if (!host) {
            if (own_address(trainer, own, sizeof own, error) != 0)
                return -1;
            host = own;
        }
        length = snprintf(address, ENDPOINT_MAXIMUM, "tcp://%s:*", host);
    }
    if (length >= ENDPOINT_MAXIMUM)
        return error_set(error, ERROR_INVALID, "the address for %s's %s is too long", name,
                         purpose);
    return endpoint_check(address, true, error);
}

/* With IPv6 allowed, libzmq tells an IPv4 address as "tcp://[::ffff:10.0.0.7]:4711". */
static void unmap(char address[static ENDPOINT_MAXIMUM]) {
    static const char mapped[] = "tcp://[::ffff:";
    char plain[ENDPOINT_MAXIMUM], *end = strchr(address, ']');
    if (strncmp(address, mapped, strlen(mapped)) != 0 || !strchr(address, '.') || !end)
        return;
    snprintf(plain, sizeof plain, "tcp://%.*s%s", (int)(end - address - (long)strlen(mapped)),
             address + strlen(mapped), end + 1);
    memcpy(address, plain, sizeof plain);
}

int endpoint_bind(void *socket, const char *address, char bound[static ENDPOINT_MAXIMUM],
                  struct error *error) {
    if (zmq_bind(socket, address) != 0) {
        if (errno == EADDRINUSE)
            return error_set(error, ERROR_IO,
                             "%s is in use: another trainer runs there, or choose another port",
                             address);
        return error_set(error, ERROR_IO, "cannot bind %s: %s", address, zmq_strerror(errno));
    }
    size_t size = ENDPOINT_MAXIMUM;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        return error_set(error, ERROR_IO, "cannot tell what %s resolved to: %s", address,
                         zmq_strerror(errno));
    unmap(bound);
    return 0;
}

void endpoint_remove(const char *bound) {
    if (strncmp(bound, "ipc://", 6) == 0)
        unlink(bound + 6);
}

int endpoint_resolve(const char *joined, const char *announced,
                     char address[static ENDPOINT_MAXIMUM], struct error *error) {
    int length;
    if (strncmp(announced, "tcp://*:", 8) == 0 && strncmp(joined, "tcp://", 6) == 0) {
        const char *colon = strrchr(joined, ':');
        length = snprintf(address, ENDPOINT_MAXIMUM, "%.*s:%s", (int)(colon - joined), joined,
                          announced + 8);
    } else {
        length = snprintf(address, ENDPOINT_MAXIMUM, "%s", announced);
    }
    if (length >= ENDPOINT_MAXIMUM)
        return error_set(error, ERROR_CORRUPT, "an announced address is too long");
    return endpoint_check(address, false, error);
}

int endpoint_announce(const char *bound, const char *host, char address[static ENDPOINT_MAXIMUM],
                      struct error *error) {
    bool replace = host && strncmp(bound, "tcp://", 6) == 0;
    int length = replace
                     ? snprintf(address, ENDPOINT_MAXIMUM, "tcp://%s%s", host, strrchr(bound, ':'))
                     : snprintf(address, ENDPOINT_MAXIMUM, "%s", bound);
    if (length >= ENDPOINT_MAXIMUM)
        return error_set(error, ERROR_INVALID, "the address to announce is too long");
    return endpoint_check(address, false, error);
}

int endpoint_next(const char *address, int offset, const char *suffix,
                  char next[static ENDPOINT_MAXIMUM], struct error *error) {
    int length;
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "ipc://", 6) == 0)
        length = snprintf(next, ENDPOINT_MAXIMUM, "%s.%s", address, suffix);
    else if (strcmp(colon, ":*") == 0)
        length = snprintf(next, ENDPOINT_MAXIMUM, "%s", address);
    else
        length = snprintf(next, ENDPOINT_MAXIMUM, "%.*s:%ld", (int)(colon - address), address,
                          strtol(colon + 1, NULL, 10) + offset);
    if (length >= ENDPOINT_MAXIMUM)
        return error_set(error, ERROR_INVALID, "address '%s' is too long", address);
    return endpoint_check(next, true, error);
}
