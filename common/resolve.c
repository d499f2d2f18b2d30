/* See resolve.h. */
#include "common/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

/* --- numeric addresses ------------------------------------------------------------------------ */

static uint16_t port_of(const char *port) {
    return htons((uint16_t)(strcmp(port, "*") == 0 ? 0 : strtol(port, NULL, 10)));
}

static void set_port(struct resolved_address *address, uint16_t port) {
    if (address->socket.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->socket)->sin6_port = port;
    else
        ((struct sockaddr_in *)&address->socket)->sin_port = port;
}

/* ::ffff:10.0.0.7 is 10.0.0.7: an IPv4 socket reaches it where the kernel has no IPv6. */
static void unmap(struct resolved_address *address) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    if (address->socket.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        return;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six->sin6_port};
    memcpy(&four.sin_addr, six->sin6_addr.s6_addr + 12, 4);
    memset(&address->socket, 0, sizeof address->socket);
    memcpy(&address->socket, &four, sizeof four);
    address->size = sizeof four;
}

/* Once each: hosts files name the same address on several lines. */
static void add(struct resolved *resolved, const struct sockaddr *socket, socklen_t size,
                uint16_t port) {
    struct resolved_address address = {.size = size};
    if (resolved->count == RESOLVE_MAX || size > sizeof address.socket)
        return;
    memcpy(&address.socket, socket, size);
    set_port(&address, port);
    unmap(&address);
    for (int i = 0; i < resolved->count; i++)
        if (resolved->list[i].size == address.size &&
            memcmp(&resolved->list[i].socket, &address.socket, address.size) == 0)
            return;
    resolved->list[resolved->count++] = address;
}

static void add_loopbacks(struct resolved *resolved, uint16_t port) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    add(resolved, (struct sockaddr *)&four, sizeof four, port);
    add(resolved, (struct sockaddr *)&six, sizeof six, port);
}

bool resolve_is_loopback(const struct resolved_address *address) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    if (address->socket.ss_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    if (address->socket.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    return address->socket.ss_family == AF_UNIX;
}

bool resolve_is_wildcard(const struct resolved_address *address) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    return address->socket.ss_family == AF_INET ? four->sin_addr.s_addr == htonl(INADDR_ANY)
                                                : IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
}

void resolve_host(const struct resolved_address *address, char text[static ENDPOINT_MAX]) {
    const struct sockaddr_un *path = (const struct sockaddr_un *)&address->socket;
    if (address->socket.ss_family == AF_UNIX)
        snprintf(text, ENDPOINT_MAX, "%s", path->sun_path);
    else if (getnameinfo((const struct sockaddr *)&address->socket, address->size, text,
                         ENDPOINT_MAX, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(text, ENDPOINT_MAX, "?");
}

void resolve_address(const struct resolved_address *address, char text[static ENDPOINT_MAX]) {
    char host[ENDPOINT_MAX];
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    resolve_host(address, host);
    if (address->socket.ss_family == AF_UNIX)
        snprintf(text, ENDPOINT_MAX, "ipc://%.*s", ENDPOINT_MAX - 7, host);
    else if (address->socket.ss_family == AF_INET6)
        snprintf(text, ENDPOINT_MAX, "tcp://[%.128s]:%u", host, ntohs(six->sin6_port));
    else
        snprintf(text, ENDPOINT_MAX, "tcp://%.128s:%u", host, ntohs(four->sin_port));
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_localhost(const char *host) {
    size_t length = strlen(host), word = strlen("localhost");
    if (length > 0 && host[length - 1] == '.')
        length--;
    return length >= word && strncasecmp(host + length - word, "localhost", word) == 0 &&
           (length == word || host[length - word - 1] == '.');
}

/* 0, or what getaddrinfo says. */
static int look_up(const char *host, uint16_t port, int flags, struct resolved *resolved) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found = NULL;
    int failure = getaddrinfo(host, NULL, &wanted, &found);
    if (failure)
        return failure;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        if (each->ai_family == AF_INET || each->ai_family == AF_INET6)
            add(resolved, each->ai_addr, each->ai_addrlen, port);
    freeaddrinfo(found);
    return resolved->count > 0 ? 0 : EAI_NONAME;
}

static const char *reason_of(int failure) {
    return failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure);
}

bool resolve_needed(const char *address) {
    char host[ENDPOINT_MAX], port[ENDPOINT_MAX];
    struct resolved resolved = {0};
    return endpoint_split(address, host, port) &&
           (look_up(host, 0, AI_NUMERICHOST, &resolved) != 0 ||
            resolve_is_wildcard(&resolved.list[0]));
}

int resolve_peers(const char *address, struct resolved *resolved, struct error *error) {
    char host[ENDPOINT_MAX], port[ENDPOINT_MAX];
    *resolved = (struct resolved){0};
    if (!endpoint_split(address, host, port)) {
        struct sockaddr_un path = {.sun_family = AF_UNIX};
        snprintf(path.sun_path, sizeof path.sun_path, "%s", address + 6);
        memcpy(&resolved->list[0].socket, &path, sizeof path);
        resolved->list[0].size = sizeof path;
        if (path.sun_path[0] == '@') { /* libzmq's way to write the abstract namespace */
            ((struct sockaddr_un *)&resolved->list[0].socket)->sun_path[0] = '\0';
            resolved->list[0].size =
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path.sun_path));
        }
        resolved->count = 1;
        return 0;
    }
    int failure = 0;
    if (is_localhost(host) || strcmp(host, "*") == 0)
        add_loopbacks(resolved, port_of(port));
    else
        failure = look_up(host, port_of(port), 0, resolved);
    if (failure)
        return error_set(error, ERROR_IO, "%s", reason_of(failure));
    if (resolve_is_wildcard(&resolved->list[0])) {
        *resolved = (struct resolved){0};
        add_loopbacks(resolved, port_of(port));
    }
    return 0;
}

/* All addresses of the interface `host`; false where there is no such interface. */
static bool add_interface(const char *host, uint16_t port, struct resolved *resolved) {
    struct ifaddrs *list = NULL;
    if (if_nametoindex(host) == 0 || getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *each = list; each; each = each->ifa_next) {
        int family = each->ifa_addr ? each->ifa_addr->sa_family : AF_UNSPEC;
        if (strcmp(each->ifa_name, host) != 0 || (family != AF_INET && family != AF_INET6))
            continue;
        add(resolved, each->ifa_addr,
            family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6), port);
    }
    freeifaddrs(list);
    return true;
}

/* IPv4 first, otherwise in the order that they have. */
static void four_first(struct resolved *resolved) {
    struct resolved sorted = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < resolved->count; i++)
            if ((resolved->list[i].socket.ss_family == AF_INET) == (pass == 0))
                sorted.list[sorted.count++] = resolved->list[i];
    *resolved = sorted;
}

int resolve_own(const char *address, struct resolved *resolved, struct error *error) {
    char host[ENDPOINT_MAX], port[ENDPOINT_MAX];
    *resolved = (struct resolved){0};
    endpoint_split(address, host, port);
    if (strcmp(host, "*") == 0)
        return 0;
    if (is_localhost(host)) {
        add_loopbacks(resolved, port_of(port));
        return 0;
    }
    if (add_interface(host, port_of(port), resolved)) {
        if (resolved->count == 0)
            return error_set(error, ERROR_INVALID, "%s: the interface %s has no address", address,
                             host);
    } else {
        int failure = look_up(host, port_of(port), 0, resolved);
        if (failure)
            return error_set(
                error, ERROR_INVALID,
                "%s: %s is neither an interface of this machine nor a name that resolves (%s)",
                address, host, reason_of(failure));
    }
    four_first(resolved);
    return 0;
}
