/* The two inputs of a network: pixels, normalised, and random digits, one-hot. */
#include "cuda/kernels/values.cuh"

#define IMAGE_MEAN 0.1307
#define IMAGE_DEVIATION 0.3081

namespace {

/* One multiply-add in double gives the bits of the formula in double, rounded once, for each of the
 * 256 levels. */
__device__ __forceinline__ float normal_of(uint32_t level) {
    return (float)fma((double)level, 1.0 / (255.0 * IMAGE_DEVIATION),
                      -IMAGE_MEAN / IMAGE_DEVIATION);
}

template <typename T>
__global__ void __launch_bounds__(THREADS) normalise(T *y, const uint8_t *x, size_t count) {
    size_t thread = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t threads = (size_t)gridDim.x * blockDim.x, vectors = count / 8;
    for (size_t i = thread; i < vectors; i += threads) {
        pack<uint8_t, 8> levels = load<uint8_t, 8>(x + i * 8);
        float out[8];
#pragma unroll
        for (int k = 0; k < 8; k++)
            out[k] = normal_of(levels.bits(k));
        store_floats<T, 8>(y + i * 8, out);
    }
    if (thread < count % 8) {
        float out[1] = {normal_of(x[vectors * 8 + thread])};
        store_floats<T, 1>(y + vectors * 8 + thread, out);
    }
}

__global__ void __launch_bounds__(THREADS)
    onehot(float *y, const uint8_t *digits, unsigned count, unsigned size) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        y[i] = digits[i / size] == i % size ? 1.0f : 0.0f;
}

} // namespace

/* Any count; y at a multiple of 16 bytes and x of 8 (asserted); a thread per eight pixels, walking;
 * no shared memory. */
extern "C" cudaError_t kernel_normalise(struct values y, const uint8_t *x, size_t count,
                                        cudaStream_t stream) {
    assert(aligned(y.data) && (uintptr_t)x % 8 == 0);
    unsigned blocks = blocks_for((count + 7) / 8, THREADS, BLOCKS_MAX);
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return launch(normalise<T>, dim3(blocks), dim3(THREADS), stream, (T *)y.data, x, count);
    });
}

/* A thread per value; batch * size below 2^31 (asserted). */
extern "C" cudaError_t kernel_onehot(float *y, const uint8_t *digits, int batch, int size,
                                     cudaStream_t stream) {
    assert(batch > 0 && size > 0 && batch <= INT32_MAX / size);
    unsigned count = (unsigned)batch * (unsigned)size;
    return launch(onehot, dim3((count + THREADS - 1) / THREADS), dim3(THREADS), stream, y, digits,
                  count, (unsigned)size);
}
