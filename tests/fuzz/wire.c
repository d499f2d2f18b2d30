/* Fuzz target: the frames of one message as any socket hands them out. Bit 0 of the flags: from a
 * ROUTER; bit 1: a run is expected; bit 2: the payload's CRC is left as it is. Otherwise both CRCs
 * are put right: inputs hold the header without its seal. */
#include "common/wire.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>

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
    Digitsum__Header *header = input_header(&frames, router);
    if (header && frames.flags & 4)
        header->crc = 7;
    uint8_t *packed = header ? input_seal(&frames, router, header) : NULL;
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
