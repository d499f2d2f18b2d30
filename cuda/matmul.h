/* Matrix products on cuBLASLt, in row-major terms: c [m][n] = a [m][k] · b [k][n] (+ c). */
#ifndef CUDA_MATMUL_H
#define CUDA_MATMUL_H

#include "common/error.h"
#include "cuda/kernels/kernels.h"

#include <cublasLt.h>

/* Bytes that cuBLASLt may use beside its operands: NVIDIA advises 32 MiB on sm_90. */
#define MATMUL_WORKSPACE ((size_t)32 << 20)

struct matmul {
    int64_t m, n, k;
    const void *a, *b;
    void *c;
    enum element type; /* of a and b */
    enum element c_type;
    bool a_transposed; /* stored [k][m] */
    bool b_transposed; /* stored [n][k] */
    bool add;          /* c is added to, not replaced */
    const float *bias; /* [n], added to every row; or NULL. Only with an f32 c */
    bool relu;         /* of the whole, as the last step */
    bool tf32;         /* f32 products may be rounded to TF32 */
};

/* A product that was planned: its descriptors and the algorithm chosen. */
struct matmul_plan {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algorithm;
    struct matmul what;
};

/* The algorithm is cuBLASLt's first suggestion within `workspace` bytes: it depends on shapes, the
 * kind of device and the library's version, not on timings. `label` names the node in errors. -1
 * with ERROR_UNSUPPORTED or ERROR_DEVICE: *plan is empty then. */
int matmul_plan(struct matmul_plan *plan, cublasLtHandle_t handle, const struct matmul *what,
                size_t workspace, const char *label, struct error *error);

int matmul_run(const struct matmul_plan *plan, cublasLtHandle_t handle, void *workspace,
               size_t size, cudaStream_t stream, const char *label, struct error *error);

/* NULL-safe and twice-safe. */
void matmul_destroy(struct matmul_plan *plan);

#endif
