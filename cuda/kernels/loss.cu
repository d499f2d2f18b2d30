/* The losses of both outputs, their gradients and hits, in one launch.
 *
 * A warp takes one sample of one output at a time; even warps the digit's, odd ones the sum's. Each
 * block leaves its sums; the block that arrives last adds them in the order of the blocks and
 * writes the result, so it does not matter which one that is. */
#include "cuda/kernels/values.cuh"

#define WARPS (THREADS / 32)
#define LOSS_BLOCKS 256 /* most: one thread adds one block's sums */
static_assert(LOSS_BLOCKS <= THREADS, "a thread per block");

namespace {

struct block_sums {
    double loss[2];
    unsigned hits[2];
};

/* In device memory; `arrived` is 0 between launches. */
struct loss_scratch {
    unsigned arrived;
    alignas(16) struct block_sums sums[];
};

struct loss_work {
    struct kernel_head heads[2]; /* digit, sum */
    int batch;
    float smoothing;
    const struct step_arguments *arguments;
    struct loss_scratch *scratch;
    struct kernel_result *result;
};

struct outcome {
    float loss;
    bool hit;
};

/* --- one sample ------------------------------------------------------------------------------ */

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

/* Stores lane `i`'s share of the gradient, where one is wanted. */
__device__ __forceinline__ void store_gradient(const struct kernel_head &head, size_t i,
                                               float value) {
    float out[1] = {value};
    if (!head.gradient.data)
        return;
    if (head.gradient.type == ELEMENT_BF16)
        store_floats<bf16, 1>((bf16 *)head.gradient.data + i, out);
    else
        store_floats<float, 1>((float *)head.gradient.data + i, out);
}

/* A class per lane. The maximum is found as by a loop from class 0 on that takes what is greater: a
 * NaN is passed over, except that nothing is greater than one in class 0. */
__device__ __forceinline__ struct outcome cross_entropy(const struct kernel_head &head, int sample,
                                                        int batch, float smoothing) {
    int lane = (int)threadIdx.x % 32, label = head.labels[sample], best = lane;
    bool works = lane < head.classes;
    size_t at = (size_t)sample * (size_t)head.classes + (size_t)lane;
    float x = works ? value_at(head.logits, at) : -INFINITY, most = x;
    if (x != x)
        most = lane == 0 ? INFINITY : -INFINITY;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, most, step);
        int place = __shfl_xor_sync(0xffffffffu, best, step);
        if (other > most || (other == most && place < best)) {
            most = other;
            best = place;
        }
    }
    float away = x - most, power = works ? expf(away) : 0.0f;
    float sum = warp_sum(power), all = warp_sum(works ? away : 0.0f);
    float own = __shfl_sync(0xffffffffu, away, label);
    float share = smoothing / (float)head.classes;
    if (works) {
        float target = share + (lane == label ? 1.0f - smoothing : 0.0f);
        store_gradient(head, at, head.weight / (float)batch * (power / sum - target));
    }
    /* -Σ target (x - most - log sum), where the targets add up to 1 */
    return {logf(sum) - (1.0f - smoothing) * own - share * all, best == label};
}

__device__ __forceinline__ struct outcome squared_error(const struct kernel_head &head, int sample,
                                                        int batch) {
    float x = value_at(head.logits, (size_t)sample), wanted = (float)head.labels[sample];
    float away = x - wanted;
    if (threadIdx.x % 32 == 0)
        store_gradient(head, (size_t)sample, head.weight / (float)batch * 2.0f * away);
    return {away * away, rintf(x) == wanted};
}

/* --- all of them ----------------------------------------------------------------------------- */

/* This block's samples: losses and hits of both outputs. Of thread 0. */
__device__ __forceinline__ struct block_sums sum_samples(const struct loss_work &work) {
    __shared__ double losses[WARPS];
    __shared__ unsigned hits[WARPS];
    int warp = (int)threadIdx.x / 32, side = warp % 2;
    int sample = (int)blockIdx.x * (WARPS / 2) + warp / 2, step = (int)gridDim.x * (WARPS / 2);
    double loss = 0.0;
    unsigned count = 0;
    for (; sample < work.batch; sample += step) {
        const struct kernel_head &head = work.heads[side];
        struct outcome outcome = head.regression
                                     ? squared_error(head, sample, work.batch)
                                     : cross_entropy(head, sample, work.batch, work.smoothing);
        loss += (double)outcome.loss;
        count += outcome.hit;
    }
    if (threadIdx.x % 32 == 0) {
        losses[warp] = loss;
        hits[warp] = count;
    }
    __syncthreads();
    struct block_sums sums = {};
    if (threadIdx.x == 0)
        for (int i = 0; i < WARPS; i++) {
            sums.loss[i % 2] += losses[i];
            sums.hits[i % 2] += hits[i];
        }
    return sums;
}

/* Of the last block: thread 0 writes the result. */
__device__ __forceinline__ void finish(const struct loss_work &work) {
    __shared__ struct block_sums all[THREADS];
    unsigned thread = threadIdx.x;
    struct block_sums sums = {};
    if (thread < gridDim.x) {
        const volatile struct block_sums *from = &work.scratch->sums[thread];
        for (int side = 0; side < 2; side++) {
            sums.loss[side] = from->loss[side];
            sums.hits[side] = from->hits[side];
        }
    }
    all[thread] = sums;
    for (unsigned step = THREADS / 2; step > 0; step /= 2) {
        __syncthreads();
        if (thread < step)
            for (int side = 0; side < 2; side++) {
                all[thread].loss[side] += all[thread + step].loss[side];
                all[thread].hits[side] += all[thread + step].hits[side];
            }
    }
    if (thread > 0)
        return;
    struct kernel_result result = {};
    result.step = work.arguments->step;
    result.digit_loss = (float)(all[0].loss[0] / work.batch);
    result.sum_loss = (float)(all[0].loss[1] / work.batch);
    result.loss = work.heads[0].weight * result.digit_loss + work.heads[1].weight * result.sum_loss;
    result.digit_hits = all[0].hits[0];
    result.sum_hits = all[0].hits[1];
    *work.result = result;
}

__global__ void __launch_bounds__(THREADS) losses(struct loss_work work) {
    __shared__ bool last;
    struct block_sums sums = sum_samples(work);
    if (threadIdx.x == 0) {
        work.scratch->sums[blockIdx.x] = sums;
        __threadfence(); /* the sums are there before the block counts as arrived */
        last = atomicInc(&work.scratch->arrived, gridDim.x - 1) == gridDim.x - 1; /* back to 0 */
        __threadfence();
    }
    __syncthreads();
    if (last)
        finish(work);
}

unsigned blocks_of(int batch) {
    return blocks_for((size_t)batch, WARPS / 2, LOSS_BLOCKS);
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

extern "C" size_t kernel_loss_scratch(int batch) {
    return sizeof(struct loss_scratch) + blocks_of(batch) * sizeof(struct block_sums);
}

/* A warp per sample and output, eight in a block, at most 256 blocks that walk; 6.3 KB of shared
 * memory. Labels below `classes` (the caller's). */
extern "C" cudaError_t kernel_loss(const struct kernel_head *digit, const struct kernel_head *sum,
                                   int batch, float smoothing,
                                   const struct step_arguments *arguments, void *scratch,
                                   struct kernel_result *result, cudaStream_t stream) {
    assert(batch > 0 && (uintptr_t)scratch % 16 == 0);
    assert(digit->classes >= 1 && digit->classes <= 32 && sum->classes >= 1 && sum->classes <= 32);
    assert((!digit->regression || digit->classes == 1) && (!sum->regression || sum->classes == 1));
    struct loss_work work = {
        {*digit, *sum}, batch, smoothing, arguments, (struct loss_scratch *)scratch, result};
    return launch(losses, dim3(blocks_of(batch)), dim3(THREADS), stream, work);
}
