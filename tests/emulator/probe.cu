/* See probe.h. */
#include "tests/emulator/probe.h"

#include "cuda/kernels/launch.cuh"

#define ALL 0xffffffffu

/* Grid over count, block PROBE_THREADS; guarded. */
__global__ void scale(float *y, const float *x, float factor, int count) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count)
        y[i] = factor * x[i];
}

__global__ void sum_blocks(float *sums, const float *x) {
    __shared__ float part[PROBE_THREADS];
    unsigned own = threadIdx.x;
    part[own] = x[blockIdx.x * PROBE_THREADS + own];
    __syncthreads();
    for (unsigned half = PROBE_THREADS / 2; half >= 3; half /= 2) {
        if (own < half)
            part[own] += part[own + half];
        __syncthreads();
    }
    if (own == 0)
        sums[blockIdx.x] = part[0] + part[1] + part[2];
}

__global__ void sum_warps(float *sums, const float *x) {
    unsigned i = blockIdx.x * PROBE_THREADS + threadIdx.x;
    float sum = x[i];
    for (int mask = 16; mask > 0; mask /= 2)
        sum += __shfl_xor_sync(ALL, sum, mask);
    sum = __shfl_sync(ALL, sum, 0);
    if (threadIdx.x % 32 == 31)
        sums[i / 32] = sum;
}

__global__ void next_lane(float *next, const float *x) {
    unsigned i = blockIdx.x * PROBE_THREADS + threadIdx.x;
    next[i] = __shfl_down_sync(ALL, x[i], 1);
}

__global__ void turn(float *y, const float *x, bool barrier) {
    __shared__ float all[PROBE_THREADS];
    all[threadIdx.x] = x[threadIdx.x];
    if (barrier)
        __syncthreads();
    y[threadIdx.x] = all[PROBE_THREADS - 1 - threadIdx.x];
}

__global__ void order_of(unsigned *order, unsigned *tickets) {
    unsigned ticket = atomicAdd(tickets, 1u);
    order[ticket] = blockIdx.x * PROBE_THREADS + threadIdx.x;
}

__global__ void leave(int threads, bool shuffle) {
    if (blockIdx.x == 1 && (int)threadIdx.x >= threads)
        return;
    if (shuffle)
        (void)__shfl_xor_sync(ALL, threadIdx.x, 1);
    else
        __syncthreads();
}

__global__ void nothing() {
}

cudaError_t probe_scale(float *y, const float *x, float factor, int count, cudaStream_t stream) {
    return launch(scale, dim3((unsigned)(count + PROBE_THREADS - 1) / PROBE_THREADS),
                  dim3(PROBE_THREADS), stream, y, x, factor, count);
}

cudaError_t probe_sum_blocks(float *sums, const float *x, int blocks, cudaStream_t stream) {
    return launch(sum_blocks, dim3((unsigned)blocks), dim3(PROBE_THREADS), stream, sums, x);
}

cudaError_t probe_sum_warps(float *sums, const float *x, int blocks, cudaStream_t stream) {
    return launch(sum_warps, dim3((unsigned)blocks), dim3(PROBE_THREADS), stream, sums, x);
}

cudaError_t probe_next(float *next, const float *x, int blocks, cudaStream_t stream) {
    return launch(next_lane, dim3((unsigned)blocks), dim3(PROBE_THREADS), stream, next, x);
}

cudaError_t probe_turn(float *y, const float *x, bool barrier, cudaStream_t stream) {
    return launch(turn, dim3(1), dim3(PROBE_THREADS), stream, y, x, barrier);
}

cudaError_t probe_order(unsigned *order, unsigned *tickets, int blocks, cudaStream_t stream) {
    return launch(order_of, dim3((unsigned)blocks), dim3(PROBE_THREADS), stream, order, tickets);
}

cudaError_t probe_leave(int threads, bool shuffle, cudaStream_t stream) {
    return launch(leave, dim3(2), dim3(PROBE_THREADS), stream, threads, shuffle);
}

cudaError_t probe_empty(int blocks, int threads, cudaStream_t stream) {
    return launch(nothing, dim3((unsigned)blocks), dim3((unsigned)threads), stream);
}
