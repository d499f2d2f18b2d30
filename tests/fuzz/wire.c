/* Fuzz target: the frames of one message as any socket hands them out. Bit 0 of the flags: from a
 * ROUTER; bit 1: a run is expected. Both CRCs are put right: inputs hold the header without its
 * seal. */
#include "common/wire.h"
#include "common/crc32c.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

struct rig {
    void *context, *ours, *theirs;
};

static struct rig rig;

static void open_rig(void) {
    rig.context = zmq_ctx_new();
    rig.ours = zmq_socket(rig.context, ZMQ_PAIR);
    rig.theirs = zmq_socket(rig.context, ZMQ_PAIR);
    if (zmq_bind(rig.ours, "inproc://fuzz") != 0 || zmq_connect(rig.theirs, "inproc://fuzz") != 0)
        abort();
}

/* Replaces frame `at`, the header, by one with the right CRC, in `packed`, which the caller frees.
 */
static uint8_t *mend_crc(struct input_frames *frames, int at) {
    Digitsum__Header *header =
        digitsum__header__unpack(NULL, frames->list[at].size, frames->list[at].bytes);
    if (!header)
        return NULL;
    header->crc = 0;
    for (int i = at + 1; i < frames->count; i++)
        header->crc = crc32c(header->crc, frames->list[i].bytes, frames->list[i].size);
    uint8_t *packed = malloc(digitsum__header__get_packed_size(header) + WIRE_SEAL);
    if (packed) {
        frames->list[at].size = digitsum__header__pack(header, packed) + WIRE_SEAL;
        wire_seal(packed, frames->list[at].size - WIRE_SEAL);
        frames->list[at].bytes = packed;
    }
    digitsum__header__free_unpacked(header, NULL);
    return packed;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    struct wire_message message;
    struct error error;
    struct batch batch;
    if (!rig.context)
        open_rig();
    input_frames(bytes, size, &frames);
    bool router = frames.flags & 1;
    if (frames.count <= router)
        return 0;
    uint8_t *packed = mend_crc(&frames, router);
    input_send(rig.theirs, &frames);
    free(packed);
    if (wire_receive(rig.ours, router, frames.flags & 2 ? 7 : 0, &message, &error) == 1) {
        if (message.header->type == DIGITSUM__TYPE__PAIRS)
            wire_batch(&message, &batch, &error);
        wire_release(&message);
    }
    /* What is left of a bad message would be taken for the next one. */
    if (wire_receive(rig.ours, router, 0, &message, &error) != 0)
        abort();
    return 0;
}
