/* Values of every element type in device memory, one by one and in vectors of up to 16 bytes per
 * access; and how a batch is cut into blocks of threads. What is computed is the .cu files' part.
 */
#ifndef CUDA_KERNELS_VALUES_CUH
#define CUDA_KERNELS_VALUES_CUH

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/launch.cuh"

#include <assert.h>
#include <cuda_bf16.h>
#include <math.h>
#include <string.h>
#include <type_traits>

typedef __nv_bfloat16 bf16;

#define THREADS 256     /* of most blocks */
#define BLOCKS_MAX 4224 /* of one grid that walks: 32 for each of 132 processors */

/* --- vectors --------------------------------------------------------------------------------- */

__device__ __forceinline__ float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
__device__ __forceinline__ uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* N neighbouring values of type T as they lie in memory. Copying a pack is one access for each 16
 * bytes, so it must lie at a multiple of its size, or of 16 where it is longer. (Built for the
 * emulator, -fno-strict-aliasing is needed.) */
template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) pack {
    using piece = typename std::conditional<
        sizeof(T) * N % 4 == 0, uint32_t,
        typename std::conditional<sizeof(T) * N % 2 == 0, uint16_t, uint8_t>::type>::type;
    static constexpr int per_piece = sizeof(piece) / sizeof(T);
    static constexpr uint32_t mask = 0xffffffffu >> (32 - 8 * sizeof(T));
    piece pieces[N / per_piece];

    /* Bits of value k. */
    __device__ __forceinline__ uint32_t bits(int k) const {
        return ((uint32_t)pieces[k / per_piece] >> (k % per_piece * 8 * (int)sizeof(T))) & mask;
    }
    /* Value k, or what is set into it; only for float and bf16. */
    __device__ __forceinline__ float get(int k) const {
        return float_of_bits(sizeof(T) == 2 ? bits(k) << 16 : bits(k));
    }
};

template <typename T, int N> __device__ __forceinline__ pack<T, N> load(const T *from) {
    return *reinterpret_cast<const pack<T, N> *>(from);
}
template <typename T, int N> __device__ __forceinline__ void store(T *to, const pack<T, N> &from) {
    *reinterpret_cast<pack<T, N> *>(to) = from;
}

/* From floats, rounded to nearest even. */
template <typename T, int N>
__device__ __forceinline__ pack<T, N> pack_floats(const float (&values)[N]) {
    pack<T, N> packed;
    if constexpr (sizeof(T) == 4) {
#pragma unroll
        for (int k = 0; k < N; k++)
            packed.pieces[k] = bits_of_float(values[k]);
    } else if constexpr (N == 1) {
        bf16 narrow = __float2bfloat16_rn(values[0]);
        memcpy(packed.pieces, &narrow, sizeof narrow);
    } else {
#pragma unroll
        for (int k = 0; k < N; k += 2) {
            __nv_bfloat162 two = __floats2bfloat162_rn(values[k], values[k + 1]);
            memcpy(&packed.pieces[k / 2], &two, sizeof two);
        }
    }
    return packed;
}

/* From small whole numbers. */
template <int N> __device__ __forceinline__ pack<uint16_t, N> pack_places(const int (&places)[N]) {
    pack<uint16_t, N> packed;
    if constexpr (N == 1) {
        packed.pieces[0] = (uint16_t)places[0];
    } else {
#pragma unroll
        for (int k = 0; k < N; k += 2)
            packed.pieces[k / 2] = (uint32_t)places[k] | (uint32_t)places[k + 1] << 16;
    }
    return packed;
}

template <typename T, int N>
__device__ __forceinline__ void store_floats(T *to, const float (&values)[N]) {
    store<T, N>(to, pack_floats<T, N>(values));
}

/* to (+)= values. */
template <typename T, int N>
__device__ __forceinline__ void store_result(T *to, float (&values)[N], bool add) {
    if (add) {
        pack<T, N> before = load<T, N>(to);
#pragma unroll
        for (int k = 0; k < N; k++)
            values[k] += before.get(k);
    }
    store_floats<T, N>(to, values);
}

/* One value of a type that only the running kernel knows. */
__device__ __forceinline__ float value_at(const struct values &from, size_t i) {
    return from.type == ELEMENT_BF16 ? load<bf16, 1>((const bf16 *)from.data + i).get(0)
                                     : ((const float *)from.data)[i];
}

/* --- element types --------------------------------------------------------------------------- */

template <typename T> struct tag { using type = T; };

/* Calls `call` with the tag of the type. */
template <typename Call> cudaError_t with_type(enum element type, Call call) {
    return type == ELEMENT_BF16 ? call(tag<bf16>{}) : call(tag<float>{});
}

/* Values of 16 bytes of the narrower of two types. */
template <typename T, typename U = T> constexpr int vector_width() {
    return 16 / (int)(sizeof(T) < sizeof(U) ? sizeof(T) : sizeof(U));
}

static inline bool aligned(const void *data) {
    return (uintptr_t)data % 16 == 0;
}

/* --- grids ----------------------------------------------------------------------------------- */

/* Blocks that share `work` pieces, `each` at a time, in equally many rounds; at most `most`. */
static inline unsigned blocks_for(size_t work, size_t each, size_t most) {
    size_t blocks = (work + each - 1) / each;
    size_t rounds = (blocks + most - 1) / most;
    return rounds ? (unsigned)((blocks + rounds - 1) / rounds) : 1;
}

/* The same pieces of work in every sample of a batch: x of the grid walks over the pieces of
 * `slice` samples, so that numbers of pieces fit 32 bits; y counts slices. */
struct pieces {
    unsigned per_sample, batch, slice;
};
#define SLICE_PIECES ((size_t)1 << 22) /* NET_VALUES_MAX */
static inline struct pieces pieces_of(int batch, size_t per_sample) {
    assert(batch > 0 && batch <= 65535 && per_sample > 0 && per_sample <= SLICE_PIECES);
    size_t slice = SLICE_PIECES / per_sample;
    return {(unsigned)per_sample, (unsigned)batch,
            slice < (size_t)batch ? (unsigned)slice : (unsigned)batch};
}
static inline dim3 pieces_grid(const struct pieces &pieces) {
    return dim3(blocks_for((size_t)pieces.per_sample * pieces.slice, THREADS, BLOCKS_MAX),
                (pieces.batch + pieces.slice - 1) / pieces.slice);
}
/* Calls body(sample, piece) for this thread's share. */
template <typename Body>
__device__ __forceinline__ void each_piece(const struct pieces &pieces, Body body) {
    unsigned first = blockIdx.y * pieces.slice, left = pieces.batch - first;
    unsigned count = (left < pieces.slice ? left : pieces.slice) * pieces.per_sample;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        body(first + i / pieces.per_sample, i % pieces.per_sample);
}

#endif
