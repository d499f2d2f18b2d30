/* One sentence for each call of CUDA, cuDNN and cuBLASLt that fails: the call, what it was for, and
 * what the library says. */
#ifndef CUDA_CHECK_H
#define CUDA_CHECK_H

#include "common/error.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

/* 0 where `status` is success. Else -1 with ERROR_DEVICE, or ERROR_MEMORY for
 * cudaErrorMemoryAllocation. `what`: node, shapes, or purpose. */
int cuda_check(cudaError_t status, const char *call, const char *what, struct error *error);
int cudnn_check(cudnnStatus_t status, const char *call, const char *what, struct error *error);
int blas_check(cublasStatus_t status, const char *call, const char *what, struct error *error);

#endif
