/* See memory.h. */
#include "cuda/memory.h"

#include "cuda/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct memory_block {
    struct memory_block *next;
    void *data;
    bool pinned;
};

int memory_open(struct memory *memory, cudaStream_t stream, struct error *error) {
    size_t total = 0;
    *memory = (struct memory){.stream = stream};
    return cuda_check(cudaMemGetInfo(&memory->free_at_start, &total), "cudaMemGetInfo",
                      "the device's free memory", error);
}

static void *take(struct memory *memory, enum memory_kind kind, size_t size, const char *what,
                  struct error *error) {
    void *data = NULL;
    if (kind == MEMORY_PINNED) {
        cudaError_t status = cudaHostAlloc(&data, size, cudaHostAllocMapped);
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            error_set(error, ERROR_MEMORY, "cuda engine: no pinned memory for %s: %zu bytes wanted",
                      what, size);
            return NULL;
        }
        return cuda_check(status, "cudaHostAlloc", what, error) ? NULL : data;
    }
    cudaError_t status = cudaMalloc(&data, size);
    if (status != cudaErrorMemoryAllocation)
        return cuda_check(status, "cudaMalloc", what, error) ? NULL : data;
    cudaGetLastError(); /* clears it: the device itself is well */
    memory->exhausted = true;
    return NULL;
}

void *memory_alloc(struct memory *memory, enum memory_kind kind, size_t size, bool zero,
                   const char *what, struct error *error) {
    static const uintptr_t nowhere = 4096; /* aligned, and never touched */
    size = size == 0 ? 16 : size;
    if (kind != MEMORY_PINNED)
        *(kind == MEMORY_BATCH ? &memory->per_batch : &memory->fixed) += size;
    if (memory->exhausted && kind != MEMORY_PINNED)
        return (void *)nowhere;
    struct memory_block *block = malloc(sizeof *block);
    if (!block) {
        error_set(error, ERROR_MEMORY, "cuda engine: no memory for %s", what);
        return NULL;
    }
    block->pinned = kind == MEMORY_PINNED;
    block->data = take(memory, kind, size, what, error);
    if (!block->data) {
        free(block);
        return memory->exhausted && kind != MEMORY_PINNED ? (void *)nowhere : NULL;
    }
    block->next = memory->blocks;
    memory->blocks = block;
    if (zero && kind == MEMORY_PINNED)
        memset(block->data, 0, size);
    else if (zero && cuda_check(cudaMemsetAsync(block->data, 0, size, memory->stream),
                                "cudaMemsetAsync", what, error))
        return NULL;
    return block->data;
}

int memory_check(const struct memory *memory, int batch, struct error *error) {
    if (!memory->exhausted)
        return 0;
    const double mib = 1024.0 * 1024.0;
    double needed = (double)memory->fixed + (double)memory->per_batch;
    double room = (double)memory->free_at_start - (double)memory->fixed;
    double fits = room > 0 ? room * 0.95 * batch / ((double)memory->per_batch + 1) : 0;
    if (fits >= 1)
        return error_set(error, ERROR_MEMORY,
                         "cuda engine: batch %d needs %.1f MiB of device memory, %.1f MiB are "
                         "free; a batch of %d would fit",
                         batch, needed / mib, (double)memory->free_at_start / mib,
                         fits < batch ? (int)fits : batch - 1);
    return error_set(error, ERROR_MEMORY,
                     "cuda engine: batch %d needs %.1f MiB of device memory, %.1f MiB are free; no "
                     "batch would fit, since the network alone takes %.1f MiB",
                     batch, needed / mib, (double)memory->free_at_start / mib,
                     (double)memory->fixed / mib);
}

void memory_close(struct memory *memory) {
    while (memory->blocks) {
        struct memory_block *block = memory->blocks;
        memory->blocks = block->next;
        if (block->pinned)
            cudaFreeHost(block->data);
        else
            cudaFree(block->data);
        free(block);
    }
}
