/* Addresses: what may be bound without keys, where a worker binds what others fetch from it, and
 * how it tells them. What hosts mean is resolve.h's. */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

#define ENDPOINT_MAX 256 /* bytes of an address, NUL included */

/* Checks the form: tcp://host:port (port 1-65535, or * where `binding`) or ipc://path (at most 107
 * bytes, the limit of a Unix socket). -1 with a sentence that shows the right form. */
int endpoint_check(const char *address, bool binding, struct error *error);

/* The host (without brackets) and port of a tcp address. False: it is none, or has no port. */
bool endpoint_split(const char *address, char host[static ENDPOINT_MAX],
                    char port[static ENDPOINT_MAX]);

/* Whether nobody outside this machine can reach what is bound there: ipc, or a host all of whose
 * addresses are loopback ones (127.0.0.0/8, [::1], localhost, lo). Looks names up. */
bool endpoint_is_local(const char *address);

/* The own address from which packets to the trainer leave, as a host in an address ("10.0.0.7",
 * "[fd00::7]"). Looks names up; the first address that there is a route to counts. */
int endpoint_facing(const char *trainer, char host[static ENDPOINT_MAX], struct error *error);

/* The address that worker `name` binds for `purpose` ("samples", "split"), given the
 * trainer's address: beside the trainer's own socket for ipc; for tcp a free port on the own
 * address that faces the trainer ("tcp://10.0.0.7:*"), or on `host` where it is not NULL.
 * ERROR_TIMEOUT where the folder of the trainer's socket does not exist: no trainer is there. */
int endpoint_beside(const char *trainer, const char *name, const char *purpose, const char *host,
                    char address[static ENDPOINT_MAX], struct error *error);

/* Binds a zmq socket; the sentence names the address and, for a port in use, says so. The host "*"
 * is IPv6 and IPv4 (IPv4 alone where the kernel has no IPv6), 0.0.0.0 IPv4 alone; a name or an
 * interface stands for all of its addresses, at the same port: with port "*" those at which the
 * port that the system chose for the first, an IPv4 one if there is any, is free. A socket file is
 * not taken from a process that listens on it. Writes the first address, with its port and as an
 * absolute path, into `bound`. */
int endpoint_bind(void *socket, const char *address, char bound[static ENDPOINT_MAX],
                  struct error *error);

/* Removes the socket file of an ipc address that endpoint_bind bound and that is closed now: libzmq
 * leaves it. Nothing for tcp, or "". */
void endpoint_remove(const char *bound);

/* What a joiner connects to, given the address it joined at and an announced one: where
 * the announced host is a "*", the announced port on the host that it reached the trainer by, since
 * the trainer cannot know which of its names others see. Any other is copied as it is. */
int endpoint_resolve(const char *joined, const char *announced, char address[static ENDPOINT_MAX],
                     struct error *error);

/* A bound address as others are told it: `host` in place of its own for tcp, where host is not
 * NULL, for what stands behind a forwarded port or a proxy; the own address that faces `trainer` in
 * place of a wildcard; otherwise copied. */
int endpoint_announce(const char *bound, const char *host, const char *trainer,
                      char address[static ENDPOINT_MAX], struct error *error);

/* The address `offset` ports after `address` (tcp; "*" stays "*"), or with ".suffix" put after the
 * path (ipc): how the trainer's second socket follows from its first. */
int endpoint_next(const char *address, int offset, const char *suffix,
                  char next[static ENDPOINT_MAX], struct error *error);

#endif
