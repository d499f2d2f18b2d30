/* Adding up what the threads of a block have, and what the parts of a grid have left: always in the
 * same order. Used by the sums over rows (reduce.cu) and batch normalisation (batchnorm.cu). */
#ifndef CUDA_KERNELS_SUMS_CUH
#define CUDA_KERNELS_SUMS_CUH

#include "cuda/kernels/rows.cuh"

/* --- within a block of rows.cuh -------------------------------------------------------------- */

/* Adds the threads' sums down the rows of the block and over the fold; then calls
 * done(channel, sum) once for each channel of the block. `planes` is shared memory; value k of
 * thread t is planes[k][t], so that neighbours are in different banks. All threads call it. */
template <int N, typename Done>
__device__ __forceinline__ void sum_block(float (*planes)[THREADS], const float (&sums)[N],
                                          const struct rows_view &view,
                                          const struct rows_place &place, Done done) {
    int thread = (int)threadIdx.x;
    __syncthreads(); /* the planes may be in use */
#pragma unroll
    for (int k = 0; k < N; k++)
        planes[k][thread] = sums[k];
    for (int step = view.step; step > 0; step /= 2) {
        __syncthreads();
        if (place.down < step && place.down + step < view.tall)
#pragma unroll
            for (int k = 0; k < N; k++)
                planes[k][thread] += planes[k][thread + step * view.lanes];
    }
    __syncthreads();
    each_channel<N>(view, [&](int channel, int first) {
        float sum = 0.0f;
        for (int i = 0; i < view.fold; i++, first += view.channels)
            sum += planes[first % N][first / N];
        done(channel, sum);
    });
}

/* --- over the parts -------------------------------------------------------------------------- */

#define FINISH_CHANNELS 8 /* of a block: 32 bytes of partials are read together */
#define FINISH_LANES 128  /* most threads that share the parts of a channel */
#define FINISH_THREADS (FINISH_CHANNELS * FINISH_LANES)

struct finish_place {
    int channel;
    unsigned lane, lanes;
    bool works;
};
__device__ __forceinline__ struct finish_place finish_place_of(int channels) {
    struct finish_place place;
    place.channel = (int)(blockIdx.x * FINISH_CHANNELS + threadIdx.x % FINISH_CHANNELS);
    place.lane = threadIdx.x / FINISH_CHANNELS;
    place.lanes = blockDim.x / FINISH_CHANNELS;
    place.works = place.channel < channels;
    return place;
}

/* Sum of `value` over the lanes of this thread's channel. `shared` has FINISH_THREADS places. All
 * threads call it; all get the sum. */
__device__ __forceinline__ double finish_sum(double *shared, double value) {
    unsigned thread = threadIdx.x;
    __syncthreads(); /* shared may be in use */
    shared[thread] = value;
    for (unsigned step = blockDim.x / 2; step >= FINISH_CHANNELS; step /= 2) {
        __syncthreads();
        if (thread < step)
            shared[thread] += shared[thread + step];
    }
    __syncthreads();
    return shared[thread % FINISH_CHANNELS];
}

/* Sum over `parts` of partials[part][channel]. */
__device__ __forceinline__ double finish_parts(double *shared, const float *partials,
                                               unsigned parts, int channels,
                                               const struct finish_place &place) {
    double sum = 0.0;
    if (place.works)
#pragma unroll 4
        for (unsigned part = place.lane; part < parts; part += place.lanes)
            sum += (double)partials[(size_t)part * (size_t)channels + (size_t)place.channel];
    return finish_sum(shared, sum);
}

/* Lanes: a power of 2, as many as parts or FINISH_LANES, and whole warps. */
static inline dim3 finish_block(unsigned parts) {
    unsigned lanes = 32 / FINISH_CHANNELS;
    while (lanes < parts && lanes < FINISH_LANES)
        lanes *= 2;
    return dim3(lanes * FINISH_CHANNELS);
}
static inline dim3 finish_grid(int channels) {
    return dim3((unsigned)(channels + FINISH_CHANNELS - 1) / FINISH_CHANNELS);
}

#endif
