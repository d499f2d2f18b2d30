/* See wire.h. The payload rules of each type stand in one function, payload_rule(). */
#include "common/wire.h"

#include "common/crc32c.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *wire_type_name(Digitsum__Type type) {
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&digitsum__type__descriptor, (int)type);
    return value ? value->name : "?";
}

const char *wire_role_name(Digitsum__Role role) {
    switch (role) {
    case DIGITSUM__ROLE__LOADER:
        return "loader";
    case DIGITSUM__ROLE__AUGMENT:
        return "augment";
    case DIGITSUM__ROLE__EVALUATOR:
        return "evaluator";
    case DIGITSUM__ROLE__WATCH:
        return "watch";
    default:
        return "stranger";
    }
}

/* How many payload frames a message of this header must have, and the bytes of each. Returns -1
 * when the header lacks what its type needs or its count is out of range. */
static int payload_rule(const Digitsum__Header *header, size_t sizes[WIRE_FRAMES]) {
    size_t count = header->count;
    bool rows = header->type == DIGITSUM__TYPE__SAMPLES || header->type == DIGITSUM__TYPE__PAIRS ||
                header->type == DIGITSUM__TYPE__SPLIT;
    if (rows && (count < 1 || count > BATCH_MAX))
        return -1;
    switch (header->type) {
    case DIGITSUM__TYPE__SAMPLES: /* images, labels, sample numbers and epochs as uint32 LE */
        sizes[0] = count * IMAGE_PIXELS;
        sizes[1] = count;
        sizes[2] = sizes[3] = count * sizeof(uint32_t);
        return 4;
    case DIGITSUM__TYPE__PAIRS: /* images; labels, digits, sums */
        sizes[0] = count * IMAGE_PIXELS;
        sizes[1] = 3 * count;
        return 2;
    case DIGITSUM__TYPE__SPLIT: /* images, labels */
        sizes[0] = count * IMAGE_PIXELS;
        sizes[1] = count;
        return header->split && header->dataset ? 2 : -1;
    case DIGITSUM__TYPE__CHUNK:
        if (!header->fetch || header->fetch->size < 1 || header->fetch->size > WIRE_CHUNK_MAX)
            return -1;
        sizes[0] = header->fetch->size;
        return 1;
    default:
        return 0;
    }
}

/* Whether the sub-message that this type is about is there. */
static bool body_present(const Digitsum__Header *header) {
    switch (header->type) {
    case DIGITSUM__TYPE__HELLO:
        return header->hello && header->hello->name && header->hello->n_endpoints <= 4;
    case DIGITSUM__TYPE__WELCOME:
        return header->welcome;
    case DIGITSUM__TYPE__REFUSED:
        return header->refused && header->refused->reason;
    case DIGITSUM__TYPE__LEASE:
        return header->lease;
    case DIGITSUM__TYPE__PEERS:
        return header->peers;
    case DIGITSUM__TYPE__CHECKPOINT:
        return header->checkpoint && header->checkpoint->sha256.len == 32 &&
               (header->checkpoint->weights.len == 0 || header->checkpoint->weights.len == 32);
    case DIGITSUM__TYPE__FETCH:
        return header->fetch;
    case DIGITSUM__TYPE__REPORT:
        return header->report;
    case DIGITSUM__TYPE__STOP:
        return header->stop && header->stop->reason;
    case DIGITSUM__TYPE__SPLIT_REQUEST:
        return header->split;
    case DIGITSUM__TYPE__PROGRESS:
        return header->progress;
    case DIGITSUM__TYPE__GONE:
        return header->gone && header->gone->reason;
    default:
        return true;
    }
}

static int check_header(const Digitsum__Header *header, uint64_t run, struct error *error) {
    if (header->version != WIRE_VERSION)
        return error_set(error, ERROR_UNSUPPORTED, "protocol version: expected %d, got %u",
                         WIRE_VERSION, header->version);
    if (header->type <= DIGITSUM__TYPE__NONE || header->type > DIGITSUM__TYPE__GONE)
        return error_set(error, ERROR_CORRUPT, "message type: expected 1 to %d, got %d",
                         DIGITSUM__TYPE__GONE, (int)header->type);
    if (run && header->type != DIGITSUM__TYPE__HELLO && header->run != run)
        return error_set(error, ERROR_CORRUPT, "%s of another run: expected %016llx, got %016llx",
                         wire_type_name(header->type), (unsigned long long)run,
                         (unsigned long long)header->run);
    if (!body_present(header))
        return error_set(error, ERROR_CORRUPT, "%s without its message body",
                         wire_type_name(header->type));
    return 0;
}

static int check_payload(const struct wire_message *message, struct error *error) {
    const Digitsum__Header *header = message->header;
    const char *name = wire_type_name(header->type);
    size_t sizes[WIRE_FRAMES];
    int expected = payload_rule(header, sizes);
    if (expected < 0)
        return error_set(error, ERROR_CORRUPT, "%s with an invalid count of %u", name,
                         header->count);
    if (message->frame_count != expected)
        return error_set(error, ERROR_CORRUPT, "%s: expected %d payload frames, got %d", name,
                         expected, message->frame_count);
    if (expected == 0)
        return 0;
    if ((int)header->n_sizes != expected)
        return error_set(error, ERROR_CORRUPT, "%s: expected %d declared sizes, got %zu", name,
                         expected, header->n_sizes);
    uint32_t crc = 0;
    for (int i = 0; i < expected; i++) {
        size_t size = zmq_msg_size((zmq_msg_t *)&message->frames[i]);
        if (size != sizes[i] || header->sizes[i] != sizes[i])
            return error_set(error, ERROR_CORRUPT,
                             "%s frame %d: expected %zu bytes, got %zu (declared %u)", name, i + 1,
                             sizes[i], size, header->sizes[i]);
        crc = crc32c(crc, wire_frame(message, i), size);
    }
    if (crc != header->crc)
        return error_set(error, ERROR_CORRUPT, "%s: expected CRC-32C %08x, got %08x", name,
                         header->crc, crc);
    return 0;
}

/* Takes the rest of a multipart message off the socket, so that the next receive starts clean. */
static void drain(void *socket, bool more) {
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        more = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
}

void wire_seal(uint8_t *packed, size_t size) {
    uint32_t crc = crc32c(0, packed, size);
    for (int i = 0; i < WIRE_SEAL; i++)
        packed[size + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

static bool is_sealed(const uint8_t *frame, size_t size) {
    if (size < WIRE_SEAL)
        return false;
    uint32_t crc = crc32c(0, frame, size - WIRE_SEAL);
    for (int i = 0; i < WIRE_SEAL; i++)
        if (frame[size - WIRE_SEAL + (size_t)i] != (uint8_t)(crc >> (8 * i)))
            return false;
    return true;
}

/* What libzmq knows of the other end: for tcp an IP address, for ipc
 * "localhost:user:group:process". */
static void name_peer(zmq_msg_t *frame, char peer[static WIRE_PEER]) {
    const char *address = zmq_msg_gets(frame, "Peer-Address");
    static const char mapped[] = "::ffff:"; /* an IPv4 address on a socket that takes both */
    if (address && strncmp(address, mapped, strlen(mapped)) == 0 && strchr(address, '.'))
        address += strlen(mapped);
    const char *colon = address ? strchr(address, ':') : NULL;
    unsigned process;
    if (!address || !address[0])
        snprintf(peer, WIRE_PEER, "a peer");
    else if (colon && sscanf(colon, ":%*u:%*u:%u", &process) == 1)
        snprintf(peer, WIRE_PEER, "process %u", process);
    else
        snprintf(peer, WIRE_PEER, "%s", address);
}

static int receive_frames(void *socket, bool router, struct wire_message *message, zmq_msg_t *frame,
                          struct error *error) {
    if (router) {
        size_t size = zmq_msg_size(frame);
        if (size > sizeof message->from.bytes || !zmq_msg_more(frame)) {
            drain(socket, zmq_msg_more(frame));
            return error_set(error, ERROR_CORRUPT, "a message without a header");
        }
        message->from.size = (uint8_t)size;
        memcpy(message->from.bytes, zmq_msg_data(frame), size);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0)
            return error_set_errno(error, "receiving a header");
    }
    name_peer(frame, message->peer); /* not every address frame of a ROUTER knows it */
    bool more = zmq_msg_more(frame);
    size_t size = zmq_msg_size(frame);
    if (size > WIRE_HEADER_MAX) {
        drain(socket, more);
        return error_set(error, ERROR_CORRUPT, "a header of %zu bytes: at most %d", size,
                         WIRE_HEADER_MAX);
    }
    bool sealed = is_sealed(zmq_msg_data(frame), size);
    if (sealed)
        message->header = digitsum__header__unpack(NULL, size - WIRE_SEAL, zmq_msg_data(frame));
    while (more && message->frame_count < WIRE_FRAMES) {
        zmq_msg_t *next = &message->frames[message->frame_count];
        zmq_msg_init(next);
        message->frame_count++;
        if (zmq_msg_recv(next, socket, ZMQ_DONTWAIT) < 0)
            return error_set_errno(error, "receiving payload");
        more = zmq_msg_more(next);
    }
    if (more) {
        drain(socket, more);
        return error_set(error, ERROR_CORRUPT, "a message of more than %d payload frames",
                         WIRE_FRAMES);
    }
    if (!sealed)
        return error_set(error, ERROR_CORRUPT, "a header of %zu bytes whose CRC-32C is wrong",
                         size);
    if (!message->header)
        return error_set(error, ERROR_CORRUPT, "a header of %zu bytes that is not protobuf", size);
    return 0;
}

int wire_receive(void *socket, bool router, uint64_t run, struct wire_message *message,
                 struct error *error) {
    *message = (struct wire_message){.peer = "a peer"};
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        if (errno == EAGAIN || errno == EINTR)
            return 0;
        return error_set_errno(error, "receiving a message");
    }
    int status = receive_frames(socket, router, message, &frame, error);
    zmq_msg_close(&frame);
    if (status == 0)
        status = check_header(message->header, run, error);
    if (status == 0)
        status = check_payload(message, error);
    if (status == 0)
        return 1;
    struct wire_message bad = *message; /* a bad peer can still be named */
    wire_release(message);
    message->from = bad.from;
    memcpy(message->peer, bad.peer, sizeof bad.peer);
    return -1;
}

void wire_release(struct wire_message *message) {
    if (message->header)
        digitsum__header__free_unpacked(message->header, NULL);
    for (int i = 0; i < message->frame_count; i++)
        zmq_msg_close(&message->frames[i]);
    *message = (struct wire_message){0};
}

void wire_move(struct wire_message *to, struct wire_message *from) {
    to->header = from->header;
    to->from = from->from;
    memcpy(to->peer, from->peer, sizeof to->peer);
    to->frame_count = from->frame_count;
    for (int i = 0; i < from->frame_count; i++) {
        zmq_msg_init(&to->frames[i]);
        zmq_msg_move(&to->frames[i], &from->frames[i]);
    }
    from->header = NULL;
    wire_release(from);
}

int wire_send(void *socket, const struct wire_address *to, Digitsum__Header *header,
              zmq_msg_t *payload, int count, struct error *error) {
    uint32_t crc = 0;
    for (int i = 0; i < count; i++)
        crc = crc32c(crc, zmq_msg_data(&payload[i]), zmq_msg_size(&payload[i]));
    return wire_send_checked(socket, to, header, payload, count, crc, error);
}

/* The first frame alone can be refused; once it is in, the rest of a multipart message is too. */
static int send_first(void *socket, zmq_msg_t *frame, struct error *error) {
    if (zmq_msg_send(frame, socket, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0)
        return 1;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    if (errno == EHOSTUNREACH)
        return error_set(error, ERROR_CLOSED, "the peer is not connected");
    return error_set_errno(error, "sending a message");
}

int wire_send_checked(void *socket, const struct wire_address *to, Digitsum__Header *header,
                      zmq_msg_t *payload, int count, uint32_t crc, struct error *error) {
    assert(count >= 0 && count <= WIRE_FRAMES);
    uint32_t sizes[WIRE_FRAMES];
    for (int i = 0; i < count; i++)
        sizes[i] = (uint32_t)zmq_msg_size(&payload[i]);
    header->version = WIRE_VERSION;
    header->n_sizes = (size_t)count;
    header->sizes = sizes;
    header->crc = crc;
    zmq_msg_t frame, address;
    int status = 1;
    size_t size = digitsum__header__get_packed_size(header);
    if (zmq_msg_init_size(&frame, size + WIRE_SEAL) != 0) {
        error_set(error, ERROR_MEMORY, "no memory for a message header");
        status = -1;
    } else {
        digitsum__header__pack(header, zmq_msg_data(&frame));
        wire_seal(zmq_msg_data(&frame), size);
        int more = count ? ZMQ_SNDMORE : 0;
        if (to) {
            zmq_msg_init_size(&address, to->size);
            memcpy(zmq_msg_data(&address), to->bytes, to->size);
            status = send_first(socket, &address, error);
            if (status != 1)
                zmq_msg_close(&address);
        }
        if (status == 1 && zmq_msg_send(&frame, socket, ZMQ_DONTWAIT | more) < 0)
            status = errno == EAGAIN ? 0 : error_set_errno(error, "sending a message");
        for (int i = 0; status == 1 && i < count; i++)
            if (zmq_msg_send(&payload[i], socket,
                             ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0)) < 0)
                status = error_set_errno(error, "sending payload");
        if (status != 1)
            zmq_msg_close(&frame);
    }
    header->n_sizes = 0;
    header->sizes = NULL;
    return status;
}

void wire_view(const struct wire_message *message, struct batch *batch) {
    assert(message->header->type == DIGITSUM__TYPE__PAIRS);
    uint32_t count = message->header->count;
    const uint8_t *labels = wire_frame(message, 1);
    *batch = (struct batch){.step = message->header->step,
                            .count = count,
                            .crc = message->header->crc,
                            .images = wire_frame(message, 0),
                            .labels = labels,
                            .digits = labels + count,
                            .sums = labels + 2 * (size_t)count};
}

int wire_batch(const struct wire_message *message, struct batch *batch, struct error *error) {
    wire_view(message, batch);
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->labels[i] > 9 || batch->digits[i] > 9 ||
            batch->sums[i] != batch->labels[i] + batch->digits[i])
            return error_set(
                error, ERROR_CORRUPT,
                "PAIRS of step %llu, row %u: label %u, digit %u and sum %u do not match",
                (unsigned long long)batch->step, i, batch->labels[i], batch->digits[i],
                batch->sums[i]);
    return 0;
}
