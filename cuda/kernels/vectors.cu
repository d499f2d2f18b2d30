/* Products and softmax of short vectors: small, so one launch each and few instructions in a row
 * count for more than how memory is read. */
#include "cuda/kernels/values.cuh"

#define WARPS (THREADS / 32)

namespace {

/* --- kernels --------------------------------------------------------------------------------- */

template <typename T>
__global__ void __launch_bounds__(THREADS)
    outer(struct pieces pieces, T *y, struct values a, struct values b, int n, int m) {
    each_piece(pieces, [&](unsigned sample, unsigned i) {
        float out[1] = {
            value_at(a, (size_t)sample * (unsigned)n + i / (unsigned)m) *
                value_at(b, (size_t)sample * (unsigned)m + i % (unsigned)m),
        };
        store_floats<T, 1>(y + (size_t)sample * pieces.per_sample + i, out);
    });
}

/* result[own] (+)= Σ over k < others of dy[own * own_step + k * other_step] other[k]. */
template <typename T, typename U>
__global__ void __launch_bounds__(THREADS)
    contract(struct pieces pieces, T *result, const U *dy, struct values other, unsigned others,
             unsigned own_step, unsigned other_step, bool add) {
    each_piece(pieces, [&](unsigned sample, unsigned own) {
        const U *from = dy + (size_t)sample * pieces.per_sample * others + own * own_step;
        size_t first = (size_t)sample * others;
        float sum[1] = {0.0f};
#pragma unroll 8
        for (unsigned k = 0; k < others; k++)
            sum[0] += load<U, 1>(from + k * other_step).get(0) * value_at(other, first + k);
        store_result<T, 1>(result + (size_t)sample * pieces.per_sample + own, sum, add);
    });
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}
__device__ __forceinline__ float warp_most(float value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
    return value;
}

/* A warp per sample. A NaN is passed over by the maximum, but not by the sum. */
template <typename T>
__global__ void __launch_bounds__(THREADS) softmax(T *y, struct values x, int batch, int n) {
    int sample = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (sample >= batch)
        return; /* the whole warp */
    size_t first = (size_t)sample * (size_t)n;
    float most = -INFINITY, sum = 0.0f;
    for (int i = lane; i < n; i += 32)
        most = fmaxf(most, value_at(x, first + (size_t)i));
    most = warp_most(most);
    for (int i = lane; i < n; i += 32)
        sum += expf(value_at(x, first + (size_t)i) - most);
    sum = warp_sum(sum);
    for (int i = lane; i < n; i += 32) {
        float out[1] = {expf(value_at(x, first + (size_t)i) - most) / sum};
        store_floats<T, 1>(y + first + i, out);
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    softmax_back(T *dx, struct values dy, struct values y, int batch, int n, bool add) {
    int sample = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (sample >= batch)
        return; /* the whole warp */
    size_t first = (size_t)sample * (size_t)n;
    float dot = 0.0f;
    for (int i = lane; i < n; i += 32)
        dot += value_at(dy, first + (size_t)i) * value_at(y, first + (size_t)i);
    dot = warp_sum(dot);
    for (int i = lane; i < n; i += 32) {
        float out[1] = {value_at(y, first + (size_t)i) * (value_at(dy, first + (size_t)i) - dot)};
        store_result<T, 1>(dx + first + i, out, add);
    }
}

/* --- how they are launched ------------------------------------------------------------------- */

cudaError_t launch_contract(struct values result, struct values dy, struct values other, int batch,
                            int own, int others, int own_step, int other_step, bool add,
                            cudaStream_t stream) {
    struct pieces pieces = pieces_of(batch, (size_t)own);
    return with_type(result.type, [&](auto to) {
        return with_type(dy.type, [&](auto from) {
            using T = typename decltype(to)::type;
            using U = typename decltype(from)::type;
            return launch(contract<T, U>, pieces_grid(pieces), dim3(THREADS), stream, pieces,
                          (T *)result.data, (const U *)dy.data, other, (unsigned)others,
                          (unsigned)own_step, (unsigned)other_step, add);
        });
    });
}

dim3 warps_grid(int batch) {
    return dim3((unsigned)(batch + WARPS - 1) / WARPS);
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

/* The products: a thread per value of the result, walking; n * m at most 2^22 (asserted). No
 * alignment is asked for here, no shared memory. */
extern "C" cudaError_t kernel_outer(struct values y, struct values a, struct values b, int batch,
                                    int n, int m, cudaStream_t stream) {
    assert(n > 0 && m > 0);
    struct pieces pieces = pieces_of(batch, (size_t)n * (size_t)m);
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return launch(outer<T>, pieces_grid(pieces), dim3(THREADS), stream, pieces, (T *)y.data, a,
                      b, n, m);
    });
}

extern "C" cudaError_t kernel_outer_back_left(struct values da, struct values dy, struct values b,
                                              int batch, int n, int m, bool add,
                                              cudaStream_t stream) {
    assert(n > 0 && m > 0);
    return launch_contract(da, dy, b, batch, n, m, m, 1, add, stream);
}

extern "C" cudaError_t kernel_outer_back_right(struct values db, struct values dy, struct values a,
                                               int batch, int n, int m, bool add,
                                               cudaStream_t stream) {
    assert(n > 0 && m > 0);
    return launch_contract(db, dy, a, batch, m, n, 1, m, add, stream);
}

/* The softmax: a warp per sample, eight of them in a block; any n. */
extern "C" cudaError_t kernel_softmax(struct values y, struct values x, int batch, int n,
                                      cudaStream_t stream) {
    assert(batch > 0 && n > 0);
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return launch(softmax<T>, warps_grid(batch), dim3(THREADS), stream, (T *)y.data, x, batch,
                      n);
    });
}

extern "C" cudaError_t kernel_softmax_back(struct values dx, struct values dy, struct values y,
                                           int batch, int n, bool add, cudaStream_t stream) {
    assert(batch > 0 && n > 0);
    return with_type(dx.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return launch(softmax_back<T>, warps_grid(batch), dim3(THREADS), stream, (T *)dx.data, dy,
                      y, batch, n, add);
    });
}
