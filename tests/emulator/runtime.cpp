/* The functions of the CUDA runtime for the device, errors and memory. Device memory is memory of
 * the process, each block exactly as large as asked for. */
#include "tests/emulator/runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace {

struct memory_state {
    std::map<void *, size_t> device, pinned;
    size_t used = 0;
};

memory_state &memory() {
    static memory_state the;
    return the;
}

cudaError_t last = cudaSuccess;

bool is_pinned(const void *place) {
    auto after = memory().pinned.upper_bound((void *)place);
    if (after == memory().pinned.begin())
        return false;
    --after;
    return (const char *)place < (const char *)after->first + after->second;
}

/* Exactly `size` bytes, so that every overrun is seen; filled with NaN. */
bool take(void **place, size_t size) {
    *place = nullptr;
    if (size == 0)
        return true;
    if (posix_memalign(place, 256, size))
        return false;
    memset(*place, 0xFF, size);
    return true;
}

} // namespace

cudaError_t emulator_answer(cudaError_t status) {
    if (status != cudaSuccess)
        last = status;
    return status;
}

extern "C" {

/* --- device ---------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *count) {
    CALL("cudaGetDeviceCount");
    *count = emulator_devices();
    return emulator_answer(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
    CALL("cudaSetDevice");
    bool there = device >= 0 && device < emulator_devices();
    return emulator_answer(there ? cudaSuccess : cudaErrorInvalidDevice);
}
/* Not counted as a call: it is asked only to make the sentence of an error. */
cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return emulator_is_lost() ? cudaErrorIllegalAddress : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    CALL("cudaGetDeviceProperties");
    if (device < 0 || device >= emulator_devices())
        return emulator_answer(cudaErrorInvalidDevice);
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "emulated device");
    properties->totalGlobalMem = emulator_memory();
    properties->major = 9;
    properties->multiProcessorCount = 132;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr which, int device) {
    CALL("cudaDeviceGetAttribute");
    static const std::map<enum cudaDeviceAttr, int> known = {
        {cudaDevAttrMultiProcessorCount, 132},  {cudaDevAttrComputeCapabilityMajor, 9},
        {cudaDevAttrComputeCapabilityMinor, 0}, {cudaDevAttrCanMapHostMemory, 1},
        {cudaDevAttrMaxThreadsPerBlock, 1024},  {cudaDevAttrWarpSize, 32},
    };
    auto found = known.find(which);
    if (device < 0 || device >= emulator_devices())
        return emulator_answer(cudaErrorInvalidDevice);
    if (found == known.end())
        return emulator_answer(cudaErrorInvalidValue);
    *value = found->second;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
    CALL("cudaDriverGetVersion");
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
    CALL("cudaRuntimeGetVersion");
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* --- errors ---------------------------------------------------------------------------------- */

cudaError_t cudaPeekAtLastError(void) {
    return emulator_is_lost() ? cudaErrorIllegalAddress : last;
}
cudaError_t cudaGetLastError(void) {
    cudaError_t was = cudaPeekAtLastError();
    last = cudaSuccess;
    return was;
}

const char *cudaGetErrorName(cudaError_t error) {
#define NAME(name)                                                                                 \
    { name, #name }
    static const std::map<cudaError_t, const char *> names = {
        NAME(cudaSuccess),
        NAME(cudaErrorInvalidValue),
        NAME(cudaErrorMemoryAllocation),
        NAME(cudaErrorInvalidConfiguration),
        NAME(cudaErrorNoDevice),
        NAME(cudaErrorInvalidDevice),
        NAME(cudaErrorInvalidResourceHandle),
        NAME(cudaErrorNotReady),
        NAME(cudaErrorIllegalAddress),
        NAME(cudaErrorLaunchOutOfResources),
        NAME(cudaErrorStreamCaptureUnsupported),
        NAME(cudaErrorStreamCaptureInvalidated),
        NAME(cudaErrorIllegalState),
        NAME(cudaErrorNotSupported),
        NAME(cudaErrorUnknown),
    };
#undef NAME
    auto found = names.find(error);
    return found == names.end() ? "unrecognized error code" : found->second;
}
const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "as the emulated device was told";
}

/* --- memory ---------------------------------------------------------------------------------- */

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    CALL("cudaMemGetInfo");
    *total = emulator_memory();
    *available = *total > memory().used ? *total - memory().used : 0;
    return cudaSuccess;
}
size_t emulator_memory_used(void) {
    return memory().used;
}

cudaError_t cudaMalloc(void **place, size_t size) {
    CALL("cudaMalloc");
    NOT_IN_CAPTURE();
    if (size > emulator_memory() || memory().used > emulator_memory() - size || !take(place, size))
        return emulator_answer(cudaErrorMemoryAllocation);
    if (size == 0)
        return cudaSuccess;
    memory().device[*place] = size;
    memory().used += size;
    emulator_count(EMULATOR_DEVICE_BLOCK, 1);
    return cudaSuccess;
}
cudaError_t cudaFree(void *place) {
    cudaError_t begun = emulator_begin("cudaFree");
    if (emulator_spoil_capture())
        begun = cudaErrorStreamCaptureUnsupported;
    auto found = memory().device.find(place);
    if (found == memory().device.end())
        return emulator_answer(place ? cudaErrorInvalidValue : begun);
    emulator_run_null_stream(); /* nobody can wait for that work by a handle */
    memory().used -= found->second;
    memory().device.erase(found);
    free(place);
    emulator_count(EMULATOR_DEVICE_BLOCK, -1);
    return emulator_answer(begun);
}
cudaError_t cudaHostAlloc(void **place, size_t size, unsigned) {
    CALL("cudaHostAlloc");
    NOT_IN_CAPTURE();
    if (!take(place, size))
        return emulator_answer(cudaErrorMemoryAllocation);
    if (size == 0)
        return cudaSuccess;
    memory().pinned[*place] = size;
    emulator_count(EMULATOR_HOST_BLOCK, 1);
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *place) {
    cudaError_t begun = emulator_begin("cudaFreeHost");
    if (emulator_spoil_capture())
        begun = cudaErrorStreamCaptureUnsupported;
    if (memory().pinned.erase(place) == 0)
        return emulator_answer(place ? cudaErrorInvalidValue : begun);
    free(place);
    emulator_count(EMULATOR_HOST_BLOCK, -1);
    return emulator_answer(begun);
}
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned) {
    CALL("cudaHostGetDevicePointer");
    if (!is_pinned(host))
        return emulator_answer(cudaErrorInvalidValue);
    *device = host;
    return cudaSuccess;
}

/* A copy of memory that is not pinned goes by way of a buffer, and may return when that is filled.
 * No copy waits for streams that were made not to block. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
    CALL("cudaMemcpy");
    NOT_IN_CAPTURE();
    if (kind == cudaMemcpyHostToDevice && !is_pinned(from)) {
        std::string buffer((const char *)from, size);
        emulator_on_null_stream([=] { memcpy(to, buffer.data(), size); });
    } else if (kind == cudaMemcpyDeviceToDevice) {
        emulator_on_null_stream([=] { memcpy(to, from, size); });
    } else {
        emulator_run_null_stream();
        memcpy(to, from, size);
    }
    return cudaSuccess;
}
cudaError_t cudaMemset(void *place, int value, size_t size) {
    CALL("cudaMemset");
    NOT_IN_CAPTURE();
    emulator_on_null_stream([=] { memset(place, value, size); });
    if (is_pinned(place))
        emulator_run_null_stream();
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind,
                            cudaStream_t stream) {
    CALL("cudaMemcpyAsync");
    return emulator_enqueue(stream, [=] { memcpy(to, from, size); });
}
cudaError_t cudaMemsetAsync(void *place, int value, size_t size, cudaStream_t stream) {
    CALL("cudaMemsetAsync");
    return emulator_enqueue(stream, [=] { memset(place, value, size); });
}

} // extern "C"
