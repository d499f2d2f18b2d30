/* The words of CUDA C++ that our kernels use, for g++: a kernel is an ordinary function, its
 * threads are fibers that switch at barriers and shuffles, and shared memory is static, since
 * blocks run one after another. Included by cuda/kernels/launch.cuh only. */
#ifndef TESTS_EMULATOR_DEVICE_HPP
#define TESTS_EMULATOR_DEVICE_HPP

#include "tests/emulator/emulator.hpp"

#include <math.h>
#include <string.h>
#include <tuple>

#undef __global__
#undef __device__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#define __global__ static
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

extern "C++" {
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();
static inline void __threadfence() {
}

static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)(((unsigned long long)a * b) >> 32);
}
static inline unsigned atomicAdd(unsigned *place, unsigned more) {
    unsigned old = *place;
    *place = old + more;
    return old;
}
static inline unsigned atomicInc(unsigned *place, unsigned most) {
    unsigned old = *place;
    *place = old >= most ? 0 : old + 1;
    return old;
}

/* Gives the value of this thread to its warp and takes that of lane `from`. */
uint64_t emulator_shuffle(uint64_t value, unsigned from);
unsigned emulator_lane();

template <typename T> T emulator_shuffle_as(T value, unsigned from) {
    static_assert(sizeof(T) <= 8, "a shuffle carries at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emulator_shuffle(bits, from);
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <typename T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulator_shuffle_as(value, (emulator_lane() ^ (unsigned)mask) & 31);
}
template <typename T> T __shfl_sync(unsigned, T value, int lane) {
    return emulator_shuffle_as(value, (unsigned)lane & 31);
}
template <typename T> T __shfl_down_sync(unsigned, T value, unsigned delta) {
    unsigned lane = emulator_lane();
    return emulator_shuffle_as(value, lane + delta < 32 ? lane + delta : lane);
}

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream, A... args) {
    std::tuple<P...> packed(static_cast<P>(args)...);
    if (grid.x == 0 || grid.y == 0 || grid.z == 0)
        return cudaSuccess;
    cudaError_t begun = emulator_begin("cudaLaunchKernel");
    if (begun != cudaSuccess)
        return begun;
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (threads == 0 || threads > 1024 || block.z > 64 || grid.x > INT32_MAX || grid.y > 65535 ||
        grid.z > 65535)
        return cudaErrorInvalidConfiguration;
    return emulator_enqueue(stream, [=] {
        emulator_run(grid, block, [&packed, kernel] { std::apply(kernel, packed); });
    });
}
}

#endif
