/* A CUDA device in software, for tests: the engine's real host code and its real kernels run on the
 * processor, under the sanitizers, with these functions in place of NVIDIA's libraries.
 *
 * What it is for: wrong indices, missing barriers, missing waits between streams, leaks, and what
 * happens when any call fails. Work is lazy: it runs when the host waits, and only as far as it
 * must, so that nothing is in order by luck. New memory is filled with 0xFF (NaN).
 *
 * What it is not: no timing; one device and one host thread; one block after another, so a race
 * between blocks shows only where another order of blocks gives other results. Shared memory keeps
 * what the block before left there. A capture is of one stream, without events. Memory that is
 * freed while queued work still uses it is seen by AddressSanitizer alone. Whether NVIDIA's
 * libraries accept a call is not proved by it.
 *
 * Environment, read once, at the first call:
 *     EMULATOR_FAIL=17             the 17th call fails
 *     EMULATOR_FAIL=cudaMalloc:3   the third call of that name fails
 *     EMULATOR_LOST=20             the 20th graph launch, and all calls after it, fail
 *     EMULATOR_LOST=calls:300      the 300th call, and all after it
 *     EMULATOR_MEMORY=bytes        device memory (8 GiB)
 *     EMULATOR_DEVICES=0           no device
 *     EMULATOR_ORDER=reverse       see emulator_set_order; also shuffle, shuffle:SEED
 *     EMULATOR_NULL_STREAM=now     see emulator_set_late_null_stream */
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
    EMULATOR_GRAPH,      /* graphs, and what was instantiated from them */
    EMULATOR_DESCRIPTOR, /* of cuDNN and cuBLASLt, and their handles */
    EMULATOR_THINGS
};

/* --- what the emulated libraries tell ----------------------------------------------------------
 */

/* Notes that a thing was made (+1) or freed (-1). */
void emulator_count(enum emulator_thing thing, int change);

/* Counts a call; true where it must fail. Every emulated function asks first; those that free do
 * so all the same. */
bool emulator_call(const char *name);

/* --- what tests ask ----------------------------------------------------------------------------
 */

/* Things alive, all kinds together; writes what they are, "2 streams; 1 events; ". `text` may be
 * NULL where size is 0. */
long emulator_alive(char *text, size_t size);
/* Things of one kind alive. */
long emulator_alive_of(enum emulator_thing thing);
/* Bytes of device memory that are allocated. */
size_t emulator_memory_used(void);

/* Calls so far, over all functions; graph launches so far; both since the last reset. */
uint64_t emulator_calls(void);
uint64_t emulator_launches(void);

/* Whether the device is lost. */
bool emulator_is_lost(void);

/* --- faults ------------------------------------------------------------------------------------
 */

/* The `n`-th call from now fails (1 = the next; 0 = none): cudaMalloc and cudaHostAlloc with
 * cudaErrorMemoryAllocation, launches with cudaErrorLaunchOutOfResources, others of the runtime
 * with cudaErrorUnknown. */
void emulator_fail_after(uint64_t n);
/* The `n`-th call of this name from now fails. */
void emulator_fail_call(const char *name, uint64_t n);
/* The `n`-th graph launch from now loses the device (0 = none): it and every call after it answer
 * cudaErrorIllegalAddress, and what was queued never runs. */
void emulator_lose_after(uint64_t n);
/* The `n`-th call from now loses it. */
void emulator_lose_after_calls(uint64_t n);
/* Bytes of device memory. */
void emulator_set_memory(size_t bytes);
/* 0 or 1. */
void emulator_set_devices(int count);

/* --- order -------------------------------------------------------------------------------------
 */

enum emulator_order {
    /* Threads and blocks from the first to the last. Who waits gets what it waits for, and no other
     * stream gets further than that. */
    EMULATOR_FORWARD,
    /* From the last to the first. Where the host waits or asks, all other streams first run as far
     * as they can. */
    EMULATOR_REVERSE,
    /* Threads, blocks and streams at random, the same each time for a seed. */
    EMULATOR_SHUFFLE
};
void emulator_set_order(enum emulator_order order, uint64_t seed);
/* EMULATOR_REVERSE or EMULATOR_FORWARD. */
void emulator_set_reverse(bool reverse);

/* cudaMemset, and cudaMemcpy from host memory that is not pinned, may return before the device has
 * done it: the null stream does it, for which streams made with cudaStreamNonBlocking do not wait.
 * So they are put off until somebody waits for the null stream or the device, unless late is false.
 */
void emulator_set_late_null_stream(bool late);

/* As without any environment: no faults, all memory, one device, forward order, a late null
 * stream, counts of calls 0, the device not lost. Things that are alive stay so. */
void emulator_reset(void);

#ifdef __cplusplus
}
#endif

#endif
