/* See endpoint.h. */
#include "common/endpoint.h"

#include "common/reach.h"
#include "common/resolve.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

static const char *const form = "write tcp://host:port or ipc://path";

static bool is_tcp(const char *address) {
    return strncmp(address, "tcp://", 6) == 0;
}

/* Where the port begins, after its colon; NULL where there is none. */
static const char *port_in(const char *address) {
    const char *host = address + 6, *closing = host[0] == '[' ? strchr(host, ']') : NULL;
    if (host[0] == '[')
        return closing && closing > host + 1 && closing[1] == ':' ? closing + 2 : NULL;
    const char *colon = strrchr(host, ':');
    return colon && colon > host ? colon + 1 : NULL;
}

bool endpoint_split(const char *address, char host[static ENDPOINT_MAX],
                    char port[static ENDPOINT_MAX]) {
    const char *begin = address + 6, *text = is_tcp(address) ? port_in(address) : NULL;
    if (!text || strlen(address) >= ENDPOINT_MAX)
        return false;
    bool brackets = begin[0] == '[';
    int length = (int)(text - 1 - begin) - (brackets ? 2 : 0);
    snprintf(host, ENDPOINT_MAX, "%.*s", length, begin + brackets);
    snprintf(port, ENDPOINT_MAX, "%s", text);
    return true;
}

static int check_tcp(const char *address, bool binding, struct error *error) {
    const char *host = address + 6, *port = port_in(address), *first = strchr(host, ':');
    if (strpbrk(host, " \t\r\n"))
        return error_set(error, ERROR_INVALID, "address '%s' has a space in it: %s", address, form);
    if (host[0] == '/')
        return error_set(error, ERROR_INVALID, "address '%s': %s", address, form);
    if (host[0] != '[' && first && strchr(first + 1, ':'))
        return error_set(error, ERROR_INVALID,
                         "address '%s': write an IPv6 address in brackets, as tcp://[::1]:5555",
                         address);
    if (!port || !*port)
        return error_set(error, ERROR_INVALID, "address '%s' has no port: %s", address, form);
    if (binding && strcmp(port, "*") == 0)
        return 0;
    char *end;
    errno = 0;
    long number = strtol(port, &end, 10);
    if (errno || !isdigit((unsigned char)*port) || *end || number < 1 || number > 65535)
        return error_set(error, ERROR_INVALID, "address '%s': the port must be 1 to 65535",
                         address);
    return 0;
}

/* Neither tcp:// nor ipc://: what was meant, where that shows. */
static int refuse_scheme(const char *address, struct error *error) {
    char host[ENDPOINT_MAX], port[ENDPOINT_MAX], meant[ENDPOINT_MAX + 8] = "";
    const char *rest = address;
    struct error ignored;
    if (strncasecmp(address, "tcp:", 4) == 0) { /* tcp:host:5555, tcp:/host:5555, TCP://host:5555 */
        rest += 4 + strspn(address + 4, "/");
        snprintf(meant, sizeof meant, "tcp://%s", rest);
    } else if (strncasecmp(address, "ipc:", 4) == 0) { /* ipc:/path, IPC:///path */
        rest += strncmp(address + 4, "//", 2) == 0 ? 6 : 4;
        snprintf(meant, sizeof meant, "ipc://%s", rest);
    } else if (strchr(address, '/') && !strstr(address, "://"))
        snprintf(meant, sizeof meant, "ipc://%s", address);
    else if (!strstr(address, "://"))
        snprintf(meant, sizeof meant, "tcp://%s", address);
    bool good = strlen(meant) < ENDPOINT_MAX &&
                ((endpoint_split(meant, host, port) && check_tcp(meant, true, &ignored) == 0) ||
                 (strncmp(meant, "ipc://", 6) == 0 && meant[6]));
    return error_set(error, ERROR_INVALID,
                     good ? "address '%s': %s; did you mean %s?" : "address '%s': %s", address,
                     form, meant);
}

int endpoint_check(const char *address, bool binding, struct error *error) {
    if (strlen(address) >= ENDPOINT_MAX)
        return error_set(error, ERROR_INVALID, "an address of %zu bytes: at most %d",
                         strlen(address), ENDPOINT_MAX - 1);
    if (isspace((unsigned char)address[0]))
        return error_set(error, ERROR_INVALID, "address '%s' begins with a space", address);
    if (is_tcp(address))
        return check_tcp(address, binding, error);
    if (strncmp(address, "ipc://", 6) != 0)
        return refuse_scheme(address, error);
    if (!address[6])
        return error_set(error, ERROR_INVALID, "address '%s': %s", address, form);
    if (isspace((unsigned char)address[strlen(address) - 1]))
        return error_set(error, ERROR_INVALID, "address '%s' ends in a space", address);
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(address + 6) > most)
        return error_set(error, ERROR_INVALID, "address '%s': a socket path has at most %zu bytes",
                         address, most);
    return 0;
}

bool endpoint_is_local(const char *address) {
    struct resolved resolved;
    struct error ignored;
    if (!is_tcp(address))
        return true;
    if (resolve_own(address, &resolved, &ignored) != 0)
        return false;
    bool local = resolved.count > 0;
    for (int i = 0; i < resolved.count; i++)
        local = local && resolve_is_loopback(&resolved.list[i]);
    return local;
}

/* Connecting a datagram socket sends nothing, but makes the system choose the route. */
static int facing(const struct resolved_address *peer, char host[static ENDPOINT_MAX]) {
    struct resolved_address own = {.size = sizeof own.socket};
    char text[ENDPOINT_MAX];
    int status = -1;
    int descriptor = socket(peer->socket.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 &&
        connect(descriptor, (const struct sockaddr *)&peer->socket, peer->size) == 0 &&
        getsockname(descriptor, (struct sockaddr *)&own.socket, &own.size) == 0) {
        resolve_host(&own, text);
        snprintf(host, ENDPOINT_MAX, own.socket.ss_family == AF_INET6 ? "[%.200s]" : "%.200s",
                 text);
        status = 0;
    }
    int kept = errno;
    if (descriptor >= 0)
        close(descriptor);
    errno = kept;
    return status;
}

int endpoint_facing(const char *trainer, char host[static ENDPOINT_MAX], struct error *error) {
    struct resolved resolved;
    if (resolve_peers(trainer, &resolved, error) != 0)
        return error_prefix(error, "cannot find the address of %s", trainer);
    for (int i = 0; i < resolved.count; i++)
        if (facing(&resolved.list[i], host) == 0)
            return 0;
    return error_set_errno(error, "finding the own address that faces %s", trainer);
}

/* Beside a socket whose folder is gone nothing can be bound, which would be said of an address that
 * the user never gave. */
static int check_folder(const char *trainer, const char *slash, struct error *error) {
    char folder[ENDPOINT_MAX];
    struct stat status;
    if (trainer[6] == '@' || slash <= trainer + 6)
        return 0;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - trainer - 6), trainer + 6);
    if (stat(folder, &status) == 0 || errno != ENOENT)
        return 0;
    return error_set(error, ERROR_TIMEOUT,
                     "cannot reach %s (there is no folder %s: the run has ended or has not begun)",
                     trainer, folder);
}

int endpoint_beside(const char *trainer, const char *name, const char *purpose, const char *host,
                    char address[static ENDPOINT_MAX], struct error *error) {
    int length;
    if (strncmp(trainer, "ipc://", 6) == 0) {
        const char *slash = strrchr(trainer, '/');
        if (check_folder(trainer, slash, error) != 0)
            return -1;
        length = snprintf(address, ENDPOINT_MAX, "%.*s/%s.%ld.%s", (int)(slash - trainer), trainer,
                          name, (long)getpid(), purpose);
    } else {
        char own[ENDPOINT_MAX];
        if (!host) {
            if (endpoint_facing(trainer, own, error) != 0)
                return -1;
            host = own;
        }
        bool brackets = strchr(host, ':') && host[0] != '['; /* an IPv6 address as it is */
        length = snprintf(address, ENDPOINT_MAX, brackets ? "tcp://[%s]:*" : "tcp://%s:*", host);
    }
    if (length >= ENDPOINT_MAX)
        return error_set(error, ERROR_INVALID, "the address for %s's %s is too long", name,
                         purpose);
    return endpoint_check(address, true, error) == 0 ? reach_check_own(address, error) : -1;
}

/* What the socket was bound to last, with a real port; an IPv4 address as such, though libzmq, with
 * IPv6 allowed, reports it as "tcp://[::ffff:10.0.0.7]:4711". */
static int read_bound(void *socket, const char *address, char bound[static ENDPOINT_MAX],
                      struct error *error) {
    struct resolved resolved;
    size_t size = ENDPOINT_MAX;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        return error_set(error, ERROR_IO, "cannot tell what %s resolved to: %s", address,
                         zmq_strerror(errno));
    if (is_tcp(bound) && resolve_own(bound, &resolved, error) == 0 && resolved.count == 1)
        resolve_address(&resolved.list[0], bound);
    return 0;
}

static int refuse_bind(const char *address, int number, struct error *error) {
    if (number == EADDRINUSE)
        return error_set(error, ERROR_IO,
                         "%s is in use: another trainer runs there, or choose another port",
                         address);
    return error_set(error, ERROR_IO, "cannot bind %s: %s", address, zmq_strerror(number));
}

/* One numeric address. Not with IPv6 allowed where it is IPv4: a kernel may have no IPv6, and what
 * a mapped address accepts is a setting of the system. 0, or the errno. */
static int bind_numeric(void *socket, const struct resolved_address *own) {
    char address[ENDPOINT_MAX], *colon;
    int before = 0, six = own->socket.ss_family == AF_INET6;
    size_t size = sizeof before;
    resolve_address(own, address);
    colon = strrchr(address, ':');
    if (strcmp(colon, ":0") == 0)
        strcpy(colon, ":*");
    zmq_getsockopt(socket, ZMQ_IPV6, &before, &size);
    zmq_setsockopt(socket, ZMQ_IPV6, &six, sizeof six);
    int failure = zmq_bind(socket, address) == 0 ? 0 : errno;
    zmq_setsockopt(socket, ZMQ_IPV6, &before, sizeof before);
    return failure;
}

/* All addresses of the host, at one port. Some may be missing here (IPv6 switched off), but one
 * that is taken is an error: except where the system chose the port at the first address. */
static int bind_all(void *socket, const char *address, struct resolved *own,
                    char bound[static ENDPOINT_MAX], struct error *error) {
    bool any_port = strcmp(port_in(address), "*") == 0, one = false;
    int failure = EADDRNOTAVAIL;
    for (int i = 0; i < own->count; i++) {
        int status = bind_numeric(socket, &own->list[i]);
        if (status == EADDRINUSE && !(any_port && one))
            return refuse_bind(address, status, error);
        failure = status && !one ? status : failure;
        if (status || one)
            continue;
        one = true;
        struct resolved now;
        if (read_bound(socket, address, bound, error) != 0)
            return -1;
        resolve_own(bound, &now, error);
        for (int j = i + 1; any_port && j < own->count; j++)
            /* sin6_port lies where sin_port does */
            ((struct sockaddr_in *)&own->list[j].socket)->sin_port =
                ((struct sockaddr_in *)&now.list[0].socket)->sin_port;
    }
    char host[ENDPOINT_MAX];
    resolve_host(&own->list[0], host);
    if (!one && failure == EADDRNOTAVAIL)
        return error_set(error, ERROR_IO, "cannot bind %s: %s is not an address of this machine",
                         address, host);
    return one ? 0 : refuse_bind(address, failure, error);
}

/* libzmq removes whatever lies at the path before it binds: only a socket that nobody listens on
 * may go. */
static int check_path(const char *address, struct error *error) {
    struct resolved resolved;
    struct stat status;
    if (address[6] == '@' || lstat(address + 6, &status) != 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, ERROR_IO,
                         "cannot bind %s: there is a file already, and not a socket", address);
    resolve_peers(address, &resolved, error);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool taken =
        descriptor >= 0 && (connect(descriptor, (struct sockaddr *)&resolved.list[0].socket,
                                    resolved.list[0].size) == 0 ||
                            errno == EAGAIN);
    if (descriptor >= 0)
        close(descriptor);
    if (taken)
        return error_set(error, ERROR_IO, "%s is in use: another trainer runs there", address);
    return 0;
}

/* Others may have another working folder. */
static void make_absolute(char bound[static ENDPOINT_MAX]) {
    char folder[ENDPOINT_MAX], whole[3 * ENDPOINT_MAX];
    struct error ignored;
    if (bound[6] == '/' || bound[6] == '@' || !getcwd(folder, sizeof folder))
        return;
    snprintf(whole, sizeof whole, "ipc://%s/%s", folder, bound + 6);
    if (endpoint_check(whole, true, &ignored) == 0)
        snprintf(bound, ENDPOINT_MAX, "%.*s", ENDPOINT_MAX - 1, whole);
}

int endpoint_bind(void *socket, const char *address, char bound[static ENDPOINT_MAX],
                  struct error *error) {
    struct resolved own = {0};
    if (is_tcp(address) && resolve_own(address, &own, error) != 0)
        return error_prefix(error, "cannot bind");
    if (own.count > 0)
        return bind_all(socket, address, &own, bound, error);
    if (!is_tcp(address) && check_path(address, error) != 0)
        return -1;
    if (zmq_bind(socket, address) != 0)
        return refuse_bind(address, errno, error);
    if (read_bound(socket, address, bound, error) != 0)
        return -1;
    if (!is_tcp(bound))
        make_absolute(bound);
    return 0;
}

void endpoint_remove(const char *bound) {
    if (strncmp(bound, "ipc://", 6) == 0)
        unlink(bound + 6);
}

int endpoint_resolve(const char *joined, const char *announced, char address[static ENDPOINT_MAX],
                     struct error *error) {
    int length;
    if (strncmp(announced, "tcp://*:", 8) == 0 && strncmp(joined, "tcp://", 6) == 0) {
        const char *colon = strrchr(joined, ':');
        length = snprintf(address, ENDPOINT_MAX, "%.*s:%s", (int)(colon - joined), joined,
                          announced + 8);
    } else {
        length = snprintf(address, ENDPOINT_MAX, "%s", announced);
    }
    if (length >= ENDPOINT_MAX)
        return error_set(error, ERROR_CORRUPT, "an announced address is too long");
    return endpoint_check(address, false, error);
}

int endpoint_announce(const char *bound, const char *host, const char *trainer,
                      char address[static ENDPOINT_MAX], struct error *error) {
    char own[ENDPOINT_MAX];
    struct resolved resolved;
    bool tcp = is_tcp(bound);
    if (tcp && !host && resolve_own(bound, &resolved, error) == 0 &&
        (resolved.count == 0 || resolve_is_wildcard(&resolved.list[0]))) {
        if (endpoint_facing(trainer, own, error) != 0)
            return -1;
        host = own;
    }
    bool brackets = host && strchr(host, ':') && host[0] != '[';
    int length = tcp && host
                     ? snprintf(address, ENDPOINT_MAX, brackets ? "tcp://[%s]%s" : "tcp://%s%s",
                                host, strrchr(bound, ':'))
                     : snprintf(address, ENDPOINT_MAX, "%s", bound);
    if (length >= ENDPOINT_MAX)
        return error_set(error, ERROR_INVALID, "the address to announce is too long");
    return endpoint_check(address, false, error);
}

int endpoint_next(const char *address, int offset, const char *suffix,
                  char next[static ENDPOINT_MAX], struct error *error) {
    int length;
    const char *colon = strrchr(address, ':');
    bool path = strncmp(address, "ipc://", 6) == 0;
    if (!path && strtol(colon + 1, NULL, 10) > 65535 - offset)
        return error_set(error, ERROR_INVALID,
                         "address '%s': %s need the port %d after it, and there is none: choose a "
                         "lower one",
                         address, suffix, offset);
    if (path)
        length = snprintf(next, ENDPOINT_MAX, "%s.%s", address, suffix);
    else if (strcmp(colon, ":*") == 0)
        length = snprintf(next, ENDPOINT_MAX, "%s", address);
    else
        length = snprintf(next, ENDPOINT_MAX, "%.*s:%ld", (int)(colon - address), address,
                          strtol(colon + 1, NULL, 10) + offset);
    if (length >= ENDPOINT_MAX)
        return error_set(error, ERROR_INVALID, "address '%s' is too long", address);
    return endpoint_check(next, true, error);
}
