/* See input.h. */
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
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

void input_frames(const uint8_t *bytes, size_t size, struct input_frames *frames) {
    *frames = (struct input_frames){.flags = size ? bytes[0] : 0};
    size_t at = 1;
    while (frames->count < INPUT_FRAMES && at + 2 <= size) {
        size_t wanted = bytes[at] | (size_t)bytes[at + 1] << 8, left = size - at - 2;
        size_t got = wanted < left ? wanted : left;
        frames->list[frames->count].bytes = bytes + at + 2;
        frames->list[frames->count++].size = got;
        at += 2 + got;
    }
}

void input_send(void *socket, const struct input_frames *frames) {
    for (int i = 0; i < frames->count; i++)
        must(zmq_send(socket, frames->list[i].bytes, frames->list[i].size,
                      ZMQ_DONTWAIT | (i + 1 < frames->count ? ZMQ_SNDMORE : 0)) >= 0,
             "sending the input");
}
