/* The one place that knows how a kernel is launched.
 *
 * launch(kernel, grid, block, stream, arguments...) puts the kernel on the stream and returns what
 * the launch answered; a grid of no blocks does nothing. No kernel of ours takes dynamic shared
 * memory. For tests, the build names a header in DIGITSUM_EMULATED whose launch runs the kernel on
 * the processor. */
#ifndef CUDA_KERNELS_LAUNCH_CUH
#define CUDA_KERNELS_LAUNCH_CUH

#ifdef DIGITSUM_EMULATED
#include DIGITSUM_EMULATED
#else
#include <cuda_runtime.h>

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream, A... args) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0)
        return cudaSuccess;
    kernel<<<grid, block, 0, stream>>>(static_cast<P>(args)...);
    return cudaGetLastError();
}
#endif

#endif
