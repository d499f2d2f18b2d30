/* Small kernels that try the emulated device itself. They return what the launch answered. */
#ifndef TESTS_EMULATOR_PROBE_H
#define TESTS_EMULATOR_PROBE_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROBE_THREADS 96 /* of a block: three warps */

/* y[i] = factor x[i], count ≥ 0. No barrier. */
cudaError_t probe_scale(float *y, const float *x, float factor, int count, cudaStream_t stream);

/* sums[block] = Σ of the block's PROBE_THREADS values, in shared memory with barriers. */
cudaError_t probe_sum_blocks(float *sums, const float *x, int blocks, cudaStream_t stream);

/* sums[warp] = Σ of the warp's 32 values, by shuffles. */
cudaError_t probe_sum_warps(float *sums, const float *x, int blocks, cudaStream_t stream);

/* next[i] = x[i + 1] within each warp, by a shuffle down; its last lane keeps its own. */
cudaError_t probe_next(float *next, const float *x, int blocks, cudaStream_t stream);

/* y = x backwards, by way of shared memory; without the barrier it is a race. One block. */
cudaError_t probe_turn(float *y, const float *x, bool barrier, cudaStream_t stream);

/* order[n] = number of the thread, over the grid, that came n-th, and tickets[0] = how many came;
 * tickets[0] is 0 before. */
cudaError_t probe_order(unsigned *order, unsigned *tickets, int blocks, cudaStream_t stream);

/* Two blocks; in the second, threads from `threads` on end before a barrier, or (shuffle) before a
 * shuffle. */
cudaError_t probe_leave(int threads, bool shuffle, cudaStream_t stream);

/* A grid and a block of these sizes that do nothing. */
cudaError_t probe_empty(int blocks, int threads, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
