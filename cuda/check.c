/* See check.h. */
#include "cuda/check.h"

/* The current device, for the sentence; -1 where none answers any more. */
static int device(void) {
    int ordinal = -1;
    return cudaGetDevice(&ordinal) == cudaSuccess ? ordinal : -1;
}

int cuda_check(cudaError_t status, const char *call, const char *what, struct error *error) {
    if (status == cudaSuccess)
        return 0;
    return error_set(error, status == cudaErrorMemoryAllocation ? ERROR_MEMORY : ERROR_DEVICE,
                     "cuda engine: %s: %s: %s (%s, device %d)", what, call,
                     cudaGetErrorName(status), cudaGetErrorString(status), device());
}

int cudnn_check(cudnnStatus_t status, const char *call, const char *what, struct error *error) {
    char more[256] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return 0;
    cudnnGetLastErrorString(more, sizeof more);
    return error_set(error, ERROR_DEVICE, "cuda engine: %s: %s: %s%s%s (device %d)", what, call,
                     cudnnGetErrorString(status), *more ? ": " : "", more, device());
}

int blas_check(cublasStatus_t status, const char *call, const char *what, struct error *error) {
    if (status == CUBLAS_STATUS_SUCCESS)
        return 0;
    return error_set(error, ERROR_DEVICE, "cuda engine: %s: %s: %s (device %d)", what, call,
                     cublasLtGetStatusName(status), device());
}
