/* What the tests of the kernels share: a stream, and arrays that exist twice, on the device and as
 * doubles here.
 *
 * Whatever fails in here fails the test. */
#ifndef TESTS_CUDA_KERNELS_RIG_H
#define TESTS_CUDA_KERNELS_RIG_H

#include "cuda/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

struct rig_block;

struct rig {
    cudaStream_t stream;
    struct rig_block *blocks; /* freed by rig_close */
};

struct rig rig_open(void);
void rig_close(struct rig *rig);

/* Waits for the stream; fails where `status`, or what it waited for, is an error. */
void rig_done(struct rig *rig, cudaError_t status);

/* Device memory of exactly `size` bytes with a copy of `from`; where that is NULL every byte is
 * 0xff, which is a NaN in both element types. */
void *rig_put(struct rig *rig, const void *from, size_t size);
/* Waits, and copies back. */
void rig_get(struct rig *rig, void *to, const void *device, size_t size);
/* Host memory that lives as long as the rig, zeroed. */
void *rig_alloc(struct rig *rig, size_t size);

/* `host` has what was stored, already rounded to the type. */
struct array {
    struct values values;
    size_t count;
    double *host;
};

/* Every value -1 … 1, by `salt`, in steps that bf16 has as well. */
struct array rig_random(struct rig *rig, enum element type, size_t count, uint32_t salt);
/* Of these values. */
struct array rig_array(struct rig *rig, enum element type, const double *values, size_t count);
/* Nothing that could be taken for a result; host is zeros. */
struct array rig_empty(struct rig *rig, enum element type, size_t count);
/* Another array of the same values. */
struct array rig_copy(struct rig *rig, const struct array *array);

/* Number `i` of the random values; for whole numbers see rig_word. */
double rig_value(uint32_t salt, size_t i);
uint32_t rig_word(uint32_t salt, size_t i);

/* One value as the type stores it. */
double rig_rounded(enum element type, double value);

/* Waits, and compares: NaN where NaN is wanted; otherwise within `tolerance` × (1 + |wanted|), and
 * half a step of the type. */
void rig_expect(struct rig *rig, const struct array *got, const double *wanted, double tolerance,
                const char *what);
/* Waits, and compares bit by bit. */
void rig_expect_same(struct rig *rig, const void *a, const void *b, size_t size, const char *what);

/* Has the emulator run blocks and threads from the last to the first from now on, or in the usual
 * order. Nothing on a real device. */
void rig_reverse(bool reverse);

static inline const char *rig_name(enum element type) {
    return type == ELEMENT_BF16 ? "bf16" : "f32";
}

#endif
