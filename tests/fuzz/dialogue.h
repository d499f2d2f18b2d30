/* The trainer's side of a dialogue, for targets that are workers: an input holds what a hostile or
 * broken trainer says, message by message (input_next), and what a loader answers to an evaluator.
 *
 * Headers are mended as far as no input would get them right: CRCs, the sizes of frames, and
 * - WELCOME: batches of a hundred and more, which only cost time, become smaller;
 * - PEERS: the address "L" becomes that of the loader played here, and no host is called but this;
 * - CHECKPOINT: a digest that begins with 0 becomes that of the CHUNK of this step that the input
 *   holds further on, and the size its size; sizes above 64 MiB that are allowed are cut down to
 *   that, for the fuzzer has no 4 GiB to give;
 * - CHUNK: its size becomes its frame's. */
#ifndef TESTS_FUZZ_DIALOGUE_H
#define TESTS_FUZZ_DIALOGUE_H

#include "common/wire.h"
#include "tests/fuzz/input.h"

struct dialogue {
    char folder[INPUT_FOLDER];
    char address[80];
    void *context, *trainer, *loader; /* ROUTERs; the worker of an input joins at `address` */
    char name[32];                    /* of this input's worker */
    unsigned count;
    struct wire_address worker;
    bool listed; /* the worker may be asking our loader for something */
};

/* Opens the sockets where that is not done, and gives the next worker its name. */
void dialogue_begin(struct dialogue *self, const char *target);

/* Waits until the worker has said HELLO. */
void dialogue_meet(struct dialogue *self);

/* Says the message in `frames`; bytes[size] is what follows in the input. False where there is no
 * one to hear it: a SPLIT that nobody asked for, or no frames at all. */
bool dialogue_say(struct dialogue *self, struct input_frames *frames, const uint8_t *bytes,
                  size_t size);

/* Takes off what the worker said. Where it has connected anew, because it was told to be impatient,
 * it is spoken to there from now on; one message may be lost on the old connection. */
void dialogue_hush(struct dialogue *self);

#endif
