/* What the fuzz targets share: the input as a file, and as a list of frames. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry: every target defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define INPUT_FRAMES 6
#define INPUT_PATH 64

/* A file in memory that holds these bytes; `path` opens it. Returns its descriptor, which the
 * caller closes. Aborts where the system has none to give: that is no finding. */
int input_file(const uint8_t *bytes, size_t size, char path[static INPUT_PATH]);

struct input_frames {
    uint8_t flags;
    int count;
    struct {
        const uint8_t *bytes;
        size_t size;
    } list[INPUT_FRAMES];
};

/* Takes an input apart: a byte of flags, then for each frame its size in two bytes (LE) and its
 * bytes; the last frame may be cut short. */
void input_frames(const uint8_t *bytes, size_t size, struct input_frames *frames);

/* Sends the frames as one message. Aborts when the socket does not take it. */
void input_send(void *socket, const struct input_frames *frames);

#endif
