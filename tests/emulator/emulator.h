/* A CUDA device in software, for tests: the engine's real host code and its real kernels run on the
 * processor, under the sanitizers, with these functions in place of NVIDIA's libraries.
 *
 * What it is for: wrong indices, missing barriers, missing waits between streams, leaks, and what
 * happens when any call fails. Work is lazy: it runs when the host waits, and only as far as it
 * must, so that nothing is in order by luck. New device memory is filled with 0xFF (NaN).
 *
 * What it is not: no timing, one device, one host thread, one block after another. Whether NVIDIA's
 * libraries accept a call is not proved by it.
 *
 * Environment, read at load: EMULATOR_FAIL=17 (the 17th call fails) or EMULATOR_FAIL=cudaMalloc:3
 * (the third call of that name), EMULATOR_LOST=20 (the 20th graph launch and all calls after it
 * fail), EMULATOR_MEMORY=bytes, EMULATOR_DEVICES=0, EMULATOR_ORDER=reverse (threads and blocks run
 * backwards). */
#ifndef TESTS_EMULATOR_H
#define TESTS_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What may leak. */
enum emulator_thing {
    EMULATOR_DEVICE_BLOCK,
    EMULATOR_HOST_BLOCK,
    EMULATOR_STREAM,
    EMULATOR_EVENT,
    EMULATOR_GRAPH,
    EMULATOR_DESCRIPTOR, /* of cuDNN and cuBLASLt, and their handles */
    EMULATOR_THINGS
};

/* Notes that a thing was made (+1) or freed (-1). */
void emulator_count(enum emulator_thing thing, int change);

/* Counts a call; true where it must fail. Every emulated function asks first. */
bool emulator_call(const char *name);

/* Whether the device is lost: every call fails from then on. */
bool emulator_is_lost(void);

/* Calls so far, over all functions; graph launches so far. */
uint64_t emulator_calls(void);
uint64_t emulator_launches(void);

/* The `n`-th call from now fails (1 = the next; 0 = none). */
void emulator_fail_after(uint64_t n);
/* The `n`-th graph launch from now loses the device (0 = none). */
void emulator_lose_after(uint64_t n);
/* Bytes of device memory. */
void emulator_set_memory(size_t bytes);
/* 0 or 1. */
void emulator_set_devices(int count);
/* Threads and blocks run backwards. */
void emulator_set_reverse(bool reverse);
/* As at the start: no faults, all memory, one device. Things that are alive stay so. */
void emulator_reset(void);

/* Things alive, all kinds together; writes what they are. */
long emulator_alive(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
