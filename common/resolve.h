/* From the host in an address to the numeric addresses that a joiner tries or a trainer binds.
 *
 * Names are resolved by the system (getaddrinfo), except two kinds. "localhost" and "*.localhost",
 * in any case and with a dot behind or not, are the loopback addresses whatever /etc/hosts or a
 * name server says (RFC 6761, 6.3). A wildcard ("*", 0.0.0.0, [::]) in an address to join is this
 * machine: the loopback as well. Leaves connecting to reach.h, binding to endpoint.h. */
#ifndef COMMON_RESOLVE_H
#define COMMON_RESOLVE_H

#include "common/endpoint.h"

#include <sys/socket.h>

enum { RESOLVE_MAX = 16 }; /* addresses of one name that are looked at */

struct resolved_address {
    struct sockaddr_storage socket;
    socklen_t size;
};

struct resolved {
    int count;
    struct resolved_address list[RESOLVE_MAX]; /* in the order in which to try them */
};

/* Whether `address` to join leads to other addresses than it says: a name, or a wildcard. Never
 * blocks.
 */
bool resolve_needed(const char *address);

/* What to connect to for `address`, tcp or ipc, which endpoint_check has found good. Blocks as long
 * as the system's resolver does. At least one address, or -1: ERROR_IO with the resolver's reason
 * alone ("Name or service not known"). */
int resolve_peers(const char *address, struct resolved *resolved, struct error *error);

/* What to bind for a tcp address: itself where it is numeric (a mapped IPv4 address as IPv4), all
 * addresses of an interface of that name, or all of a host name; IPv4 first. Port "*" is 0. None at
 * all for the host "*". -1: ERROR_INVALID, the name means nothing here. */
int resolve_own(const char *address, struct resolved *resolved, struct error *error);

/* 127.0.0.0/8, ::1, those mapped, and Unix sockets. */
bool resolve_is_loopback(const struct resolved_address *address);

/* 0.0.0.0 or [::]. */
bool resolve_is_wildcard(const struct resolved_address *address);

/* As an address of ours ("tcp://[::1]:5555", "ipc:///run/x"), and the host alone ("::1"). */
void resolve_address(const struct resolved_address *address, char text[static ENDPOINT_MAX]);
void resolve_host(const struct resolved_address *address, char text[static ENDPOINT_MAX]);

#endif
