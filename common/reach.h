/* One look at an address, in a thread of its own: resolves it, tries all that it resolves to, and
 * says which of them answers as ZeroMQ does, or why none. So a resolver that hangs makes nobody
 * wait, and what libzmq keeps to itself, why a connection fails, is told.
 *
 * The addresses are tried one a quarter of a second after another, or at once where one has failed,
 * and the first that answers is taken (RFC 8305, "happy eyeballs"). An answer is ZMTP's greeting
 * and the type of socket that the other side has (rfc.zeromq.org, 23/ZMTP). The connection is
 * closed before ZMTP's handshake is complete, so that no message is ever routed to it. */
#ifndef COMMON_REACH_H
#define COMMON_REACH_H

#include "common/endpoint.h"

enum { REACH_REASON = 320 }; /* bytes of a reason, NUL included */

enum reach_state { REACH_BUSY, REACH_FOUND, REACH_FAILED };

struct reach;

/* Bounds the threads of those who look for addresses that others give them: a resolver that hangs
 * keeps a thread that nobody waits for any more. At most `most` at a time. NULL: no memory. */
struct reach_pool;
struct reach_pool *reach_pool_create(int most);
bool reach_pool_full(struct reach_pool *pool); /* a NULL pool never is */
void reach_pool_destroy(struct reach_pool **pool);

/* Starts to look at `address`, which endpoint_check has found good. `wanted`: the type that the
 * other side's socket should have ("ROUTER"). `current`: the numeric address that is used now,
 * tried first where it is still one of them; "" where none is, and then a host that has one address
 * only is taken for found without a connection. Counts in `pool`, which may be NULL. NULL: no
 * memory or no thread.
 */
struct reach *reach_create(struct reach_pool *pool, const char *address, const char *wanted,
                           const char *current, struct error *error);

/* Never waits. REACH_FOUND: `found` is the numeric address, as tcp://… or ipc://…. Otherwise
 * `reason` says what is the matter, or what is waited for: "Connection refused", or for a name
 * "::1: Connection refused; 127.0.0.1: nothing answers". */
enum reach_state reach_look(struct reach *self, char found[static ENDPOINT_MAX],
                            char reason[static REACH_REASON]);

/* Never waits: a thread that still looks ends by itself. NULL-safe. */
void reach_destroy(struct reach **self);

/* Whether the host of an address to bind means anything on this machine: a numeric address, "*", a
 * name or an interface; ipc always. Waits for the resolver, but not when a signal comes. -1:
 * ERROR_INVALID (with a sentence), ERROR_TIMEOUT, ERROR_INTERRUPTED. */
int reach_check_own(const char *address, struct error *error);

#endif
