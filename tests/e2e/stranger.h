/* The other ends of connections that the real programs must bear: a relay that goes dead without an
 * end, peers of old protocols, readers of what is not theirs. */
#ifndef TESTS_E2E_STRANGER_H
#define TESTS_E2E_STRANGER_H

#include <stdbool.h>
#include <stddef.h>

/* Passes connections to 127.0.0.2:port on to 127.0.0.1:port, for as long as the test lives. Of the
 * first one only `alive` bytes from the far side (`up`: to it) get through; what comes after is
 * taken and thrown away. Fails the test when it cannot listen. */
void stranger_relay(int port, bool up, size_t alive);

/* Whether a connection has been seen to swallow bytes. */
bool stranger_swallowed(void);

/* Connects to 127.0.0.1:port and sends `size` bytes. Returns the descriptor; fails the test. */
int stranger_connect(int port, const void *bytes, size_t size);

/* Bytes that come until the other side closes, at most `most`; fails the test after a minute. */
size_t stranger_read(int descriptor, size_t most);

/* Writes the opening of a ZMTP 3.0 peer with that type of socket ("PULL"); returns its size. */
size_t stranger_opening(const char *type, unsigned char opening[static 128]);

/* Reads for as long as the test lives all that comes to such a peer. */
void stranger_thief(int port, const void *bytes, size_t size);

/* Sockets of the process that listen for TCP connections. */
int stranger_listening(long process);

#endif
