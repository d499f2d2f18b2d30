/* What the fuzz targets share: the input as a file, and as a list of frames. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "proto/digitsum.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry: every target defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define INPUT_FRAMES 6
#define INPUT_PATH 64

/* A file in memory that holds these bytes; `path` opens it. Returns its descriptor, which the
 * caller closes. Aborts where the system has none to give: that is no finding. */
int input_file(const uint8_t *bytes, size_t size, char path[static INPUT_PATH]);

#define INPUT_FOLDER 64

/* Makes a folder in memory for a target, below $FUZZ_FOLDER, which `run` removes, or /dev/shm. */
void input_folder(const char *target, char folder[static INPUT_FOLDER]);

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

/* Takes the next message off the front of *bytes: a byte of flags, whose low three bits are how
 * many frames follow, and these as above. False when nothing is left. */
bool input_next(const uint8_t **bytes, size_t *size, struct input_frames *frames);

/* Frame `at` as a header, with the CRC of the frames behind it put right: NULL where it is none. */
Digitsum__Header *input_header(const struct input_frames *frames, int at);

/* Puts this header, which is freed, in the place of frame `at`, sealed: no input would find its
 * CRC. Returns the bytes, for the caller to free once the frames are sent. */
uint8_t *input_seal(struct input_frames *frames, int at, Digitsum__Header *header);

/* Writes the right digest into a checkpoint's file where its header has one. */
void input_mend_checkpoint(uint8_t *bytes, size_t size);

/* Whether there is something to receive within so many milliseconds. */
bool input_wait(void *socket, long patience);

/* Sends the frames as one message. Aborts when the socket does not take it. */
void input_send(void *socket, const struct input_frames *frames);

#endif
