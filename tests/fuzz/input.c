/* See input.h. */
#include "tests/fuzz/input.h"

#include "common/crc32c.h"
#include "common/sha256.h"
#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zmq.h>

static void must(int right, const char *what) {
    if (right)
        return;
    perror(what);
    abort();
}

int input_file(const uint8_t *bytes, size_t size, char path[static INPUT_PATH]) {
    int file = memfd_create("input", MFD_CLOEXEC);
    must(file >= 0, "memfd_create");
    must(write(file, bytes, size) == (ssize_t)size, "writing the input");
    snprintf(path, INPUT_PATH, "/proc/self/fd/%d", file);
    return file;
}

void input_folder(const char *target, char folder[static INPUT_FOLDER]) {
    const char *below = getenv("FUZZ_FOLDER");
    int size = snprintf(folder, INPUT_FOLDER, "%s/%s-XXXXXX", below ? below : "/dev/shm", target);
    must(size < INPUT_FOLDER && mkdtemp(folder), "a folder");
}

/* Takes at most `most` frames off the front of bytes[size]; returns how many bytes that were. */
static size_t take_frames(const uint8_t *bytes, size_t size, int most,
                          struct input_frames *frames) {
    size_t at = 0;
    while (frames->count < most && at + 2 <= size) {
        size_t wanted = bytes[at] | (size_t)bytes[at + 1] << 8, left = size - at - 2;
        size_t got = wanted < left ? wanted : left;
        frames->list[frames->count].bytes = bytes + at + 2;
        frames->list[frames->count++].size = got;
        at += 2 + got;
    }
    return at;
}

void input_frames(const uint8_t *bytes, size_t size, struct input_frames *frames) {
    *frames = (struct input_frames){.flags = size ? bytes[0] : 0};
    if (size > 0)
        take_frames(bytes + 1, size - 1, INPUT_FRAMES, frames);
}

bool input_next(const uint8_t **bytes, size_t *size, struct input_frames *frames) {
    if (*size == 0)
        return false;
    *frames = (struct input_frames){.flags = **bytes};
    int most = frames->flags & 7;
    size_t used =
        1 + take_frames(*bytes + 1, *size - 1, most < INPUT_FRAMES ? most : INPUT_FRAMES, frames);
    *bytes += used;
    *size -= used;
    return true;
}

Digitsum__Header *input_header(const struct input_frames *frames, int at) {
    Digitsum__Header *header =
        digitsum__header__unpack(NULL, frames->list[at].size, frames->list[at].bytes);
    uint32_t crc = 0;
    for (int i = at + 1; i < frames->count; i++)
        crc = crc32c(crc, frames->list[i].bytes, frames->list[i].size);
    if (header)
        header->crc = crc;
    return header;
}

uint8_t *input_seal(struct input_frames *frames, int at, Digitsum__Header *header) {
    uint8_t *packed = malloc(digitsum__header__get_packed_size(header) + WIRE_SEAL);
    must(packed != NULL, "memory for a header");
    size_t size = digitsum__header__pack(header, packed);
    wire_seal(packed, size);
    frames->list[at].bytes = packed;
    frames->list[at].size = size + WIRE_SEAL;
    digitsum__header__free_unpacked(header, NULL);
    return packed;
}

#define DIGEST "\"sha256\":\""

void input_mend_checkpoint(uint8_t *bytes, size_t size) {
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    uint8_t *place = memmem(bytes, size, DIGEST, strlen(DIGEST));
    if (!place || (size_t)(bytes + size - place) < strlen(DIGEST) + SHA256_HEX)
        return;
    place += strlen(DIGEST);
    memset(place, '0', SHA256_HEX - 1);
    sha256_bytes(bytes, size, digest);
    sha256_hex(digest, hex);
    memcpy(place, hex, SHA256_HEX - 1);
}

bool input_wait(void *socket, long patience) {
    zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
    int ready;
    do
        ready = zmq_poll(&item, 1, patience);
    while (ready < 0 && zmq_errno() == EINTR); /* libFuzzer's own alarm */
    return ready == 1;
}

void input_send(void *socket, const struct input_frames *frames) {
    for (int i = 0; i < frames->count; i++)
        must(zmq_send(socket, frames->list[i].bytes, frames->list[i].size,
                      ZMQ_DONTWAIT | (i + 1 < frames->count ? ZMQ_SNDMORE : 0)) >= 0,
             "sending the input");
}
