/* Philox 4x32-10 on the device: the same words as common/philox.h, which says what they are for. */
#ifndef CUDA_KERNELS_PHILOX_CUH
#define CUDA_KERNELS_PHILOX_CUH

#include "cuda/kernels/launch.cuh"

#include <stdint.h>

#define PHILOX_USE_DROPOUT 6u /* PHILOX_DROPOUT; the header is C's alone */

struct philox_words {
    uint32_t word[4];
};

/* philox_draw(seed, use, a, b, block). */
__device__ __forceinline__ struct philox_words
philox_words_of(uint64_t seed, uint32_t use, uint32_t a, uint32_t b, uint32_t block) {
    uint32_t c0 = a, c1 = b, c2 = block, c3 = use;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

#endif
