/* A message ⇄ its frames, with all checks in one place: what wire_receive hands out is of this
 * protocol version and run, has the frames, sizes and CRC that its header declares, and a header
 * whose enums and counts are in range. Knows sockets and bytes; the meaning is others' work.
 *
 * Frame 0 is a packed Digitsum__Header (proto/digitsum.proto) and the CRC-32C of those bytes;
 * frames 1… are raw payload, whose CRC the header carries. TCP's own checksum lets one in some ten
 * million damaged packets through, and a lease or a report that is wrong by a bit would be
 * believed. */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/batch.h"
#include "common/error.h"
#include "proto/digitsum.pb-c.h"

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#define WIRE_VERSION 3
#define WIRE_SEAL                                                                                  \
    4 /* bytes after the packed header: their CRC-32C, little endian, in every version */
#define WIRE_FRAMES 4                             /* most payload frames of one message */
#define WIRE_HEADER_MAX 65536                     /* bytes of frame 0 */
#define WIRE_CHUNK_MAX (1 << 20)                  /* bytes of one piece of a checkpoint */
#define WIRE_PEER 48                              /* bytes of a peer in words, NUL included */
#define WIRE_FRAME_MAX (BATCH_MAX * IMAGE_PIXELS) /* bytes of any frame: ZMQ_MAXMSGSIZE */

/* The sender's routing id, on ROUTER sockets. */
struct wire_address {
    uint8_t size; /* 0: none */
    uint8_t bytes[255];
};

struct wire_message {
    Digitsum__Header *header;
    struct wire_address from;
    char peer[WIRE_PEER]; /* who sent it, for logs: "10.0.0.7", "process 4711", or "a peer" */
    int frame_count;
    zmq_msg_t frames[WIRE_FRAMES];
};

/* Receives one message without waiting. `router`: an address frame comes first. `run`: the run id
 * that is expected; 0 accepts any (HELLO always passes with 0).
 * Returns 1 with *message filled (release it), 0 if there is none, -1 if what came was bad: it has
 * been taken off the socket and dropped, error tells what (ERROR_CORRUPT; ERROR_UNSUPPORTED for
 * another protocol version), message->peer is set, and message->from where it could be read.
 * ERROR_IO: the socket itself failed. */
int wire_receive(void *socket, bool router, uint64_t run, struct wire_message *message,
                 struct error *error);

/* Frees what wire_receive gave; harmless on a zeroed or released message. */
void wire_release(struct wire_message *message);

/* Moves `from` to `to`, which must be zeroed or released; `from` is zeroed. A zmq_msg_t may not be
 * copied by assignment, so messages that change hands go through here. */
void wire_move(struct wire_message *to, struct wire_message *from);

static inline const uint8_t *wire_frame(const struct wire_message *message, int i) {
    return zmq_msg_data((zmq_msg_t *)&message->frames[i]);
}

/* Sends header and `count` payload frames without waiting; `to` only for ROUTER. Fills in version,
 * sizes and (where there is payload) crc. Sent: returns 1 and the payload messages are empty.
 * Returns 0 when the peer's queue is full, and -1 (ERROR_CLOSED: no such peer; ERROR_IO): then the
 * payload is untouched and still the caller's. */
int wire_send(void *socket, const struct wire_address *to, Digitsum__Header *header,
              zmq_msg_t *payload, int count, struct error *error);

/* As wire_send with the payload's crc known already: not computed again. */
int wire_send_checked(void *socket, const struct wire_address *to, Digitsum__Header *header,
                      zmq_msg_t *payload, int count, uint32_t crc, struct error *error);

/* Writes the seal of the `size` bytes at `packed` right after them. Senders have it done by
 * wire_send; tests and fuzzers that pack a header by hand need it. */
void wire_seal(uint8_t *packed, size_t size);

/* A view of a PAIRS message, after checking that labels and digits are 0-9 and sums their sums.
 * Points into the message, which must outlive it. */
int wire_batch(const struct wire_message *message, struct batch *batch, struct error *error);

/* The same view without the checks, of a message that passed them before. */
void wire_view(const struct wire_message *message, struct batch *batch);

/* "PAIRS" for logs. */
const char *wire_type_name(Digitsum__Type type);

/* "loader" for logs. */
const char *wire_role_name(Digitsum__Role role);

#endif
