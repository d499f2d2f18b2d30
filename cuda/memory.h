/* Device and pinned memory that lives as long as an engine: taken while planning, given back all at
 * once. One allocation per array, so that a memory checker sees every overrun. */
#ifndef CUDA_MEMORY_H
#define CUDA_MEMORY_H

#include "common/error.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

struct memory_block;

struct memory {
    struct memory_block *blocks;
    cudaStream_t stream;     /* zeroes; borrowed */
    size_t fixed, per_batch; /* bytes asked for: whatever the batch; growing with it */
    size_t free_at_start;    /* bytes that the device had free */
    bool exhausted;          /* an allocation failed: from now on only bytes are counted */
};

enum memory_kind {
    MEMORY_FIXED,  /* size does not depend on the batch */
    MEMORY_BATCH,  /* size is proportional to it */
    MEMORY_PINNED, /* of the host, which device and host may read and write */
};

/* Notes how much the device has free. Device memory is zeroed by `stream`, so that other streams
 * must wait for it once. -1 with ERROR_DEVICE. */
int memory_open(struct memory *memory, cudaStream_t stream, struct error *error);

/* At least `size` bytes (0 is taken as 16), aligned to 256, zeroed where `zero`. NULL with error:
 * ERROR_MEMORY that names `what` and the size for pinned memory, ERROR_DEVICE where the device
 * fails. When the *device* has too little left, what comes back is not memory but a place that must
 * not be touched, so that planning goes on and the whole need becomes known: memory_check tells. */
void *memory_alloc(struct memory *memory, enum memory_kind kind, size_t size, bool zero,
                   const char *what, struct error *error);

/* At the end of planning: -1 with ERROR_MEMORY where the device had too little: how much was
 * needed, how much was free, and which batch would fit. */
int memory_check(const struct memory *memory, int batch, struct error *error);

/* Frees everything. */
void memory_close(struct memory *memory);

#endif
