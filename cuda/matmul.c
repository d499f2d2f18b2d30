/* See matmul.h. cuBLASLt thinks in columns: a row-major matrix [rows][columns] is its matrix of
 * `columns` rows. So the product is asked for as cᵀ = bᵀ · aᵀ: b is the first operand, a the
 * second, the result has n rows, and the bias, one value for each of its rows, is one for each of
 * our columns. Source: NVIDIA, "cuBLAS Library", cublasLtMatmul. */
#include "cuda/matmul.h"

#include "cuda/check.h"

#include <string.h>

static cudaDataType_t data_type(enum element type) {
    return type == ELEMENT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static int set(struct matmul_plan *plan, cublasLtMatmulDescAttributes_t name, const void *value,
               size_t size, const char *label, struct error *error) {
    return blas_check(cublasLtMatmulDescSetAttribute(plan->operation, name, value, size),
                      "cublasLtMatmulDescSetAttribute", label, error);
}

static int plan_operation(struct matmul_plan *plan, const char *label, struct error *error) {
    const struct matmul *what = &plan->what;
    cublasComputeType_t compute =
        what->tf32 && what->type == ELEMENT_F32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasOperation_t first = what->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t second = what->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = what->bias && what->relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                  : what->bias             ? CUBLASLT_EPILOGUE_BIAS
                                  : what->relu             ? CUBLASLT_EPILOGUE_RELU
                                                           : CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType_t bias_type = CUDA_R_32F;
    if (blas_check(cublasLtMatmulDescCreate(&plan->operation, compute, CUDA_R_32F),
                   "cublasLtMatmulDescCreate", label, error) ||
        set(plan, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first, label, error) ||
        set(plan, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second, label, error) ||
        set(plan, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue, label, error))
        return -1;
    if (!what->bias)
        return 0;
    return set(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &what->bias, sizeof what->bias, label,
               error) ||
                   set(plan, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type,
                       label, error)
               ? -1
               : 0;
}

/* A row-major matrix [rows][columns] without gaps. */
static int plan_layout(cublasLtMatrixLayout_t *layout, enum element type, int64_t rows,
                       int64_t columns, const char *label, struct error *error) {
    return blas_check(cublasLtMatrixLayoutCreate(layout, data_type(type), (uint64_t)columns,
                                                 (uint64_t)rows, columns),
                      "cublasLtMatrixLayoutCreate", label, error);
}

/* The largest power of two, up to 256, that divides the address: a suggestion may rely on it. */
static uint32_t alignment(const void *place) {
    uintptr_t bits = (uintptr_t)place | 256;
    return (uint32_t)(bits & -bits);
}

static int preference_set(cublasLtMatmulPreference_t preference,
                          cublasLtMatmulPreferenceAttributes_t name, const void *value, size_t size,
                          const char *label, struct error *error) {
    return blas_check(cublasLtMatmulPreferenceSetAttribute(preference, name, value, size),
                      "cublasLtMatmulPreferenceSetAttribute", label, error);
}

static int choose(struct matmul_plan *plan, cublasLtHandle_t handle,
                  cublasLtMatmulPreference_t preference, size_t workspace, const char *label,
                  struct error *error) {
    const struct matmul *what = &plan->what;
    uint64_t most = workspace;
    uint32_t first = alignment(what->b), second = alignment(what->a), third = alignment(what->c);
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    memset(&result, 0, sizeof result);
    if (preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most,
                       label, error) ||
        preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &first, sizeof first,
                       label, error) ||
        preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &second,
                       sizeof second, label, error) ||
        preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &third, sizeof third,
                       label, error) ||
        preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &third, sizeof third,
                       label, error))
        return -1;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, plan->operation, plan->b, plan->a, plan->c, plan->c,
                                       preference, 1, &result, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found < 1))
        return error_set(error, ERROR_UNSUPPORTED,
                         "cuda engine: %s: cuBLASLt has no algorithm for [%lld][%lld] x "
                         "[%lld][%lld], %s",
                         label, (long long)what->m, (long long)what->k, (long long)what->k,
                         (long long)what->n, what->type == ELEMENT_BF16 ? "bf16" : "f32");
    if (blas_check(status, "cublasLtMatmulAlgoGetHeuristic", label, error))
        return -1;
    plan->algorithm = result.algo;
    return 0;
}

int matmul_plan(struct matmul_plan *plan, cublasLtHandle_t handle, const struct matmul *what,
                size_t workspace, const char *label, struct error *error) {
    cublasLtMatmulPreference_t preference = NULL;
    int64_t a_rows = what->a_transposed ? what->k : what->m;
    int64_t b_rows = what->b_transposed ? what->n : what->k;
    *plan = (struct matmul_plan){.what = *what};
    int status = plan_operation(plan, label, error) ||
                         plan_layout(&plan->a, what->type, a_rows, what->m + what->k - a_rows,
                                     label, error) ||
                         plan_layout(&plan->b, what->type, b_rows, what->n + what->k - b_rows,
                                     label, error) ||
                         plan_layout(&plan->c, what->c_type, what->m, what->n, label, error) ||
                         blas_check(cublasLtMatmulPreferenceCreate(&preference),
                                    "cublasLtMatmulPreferenceCreate", label, error) ||
                         choose(plan, handle, preference, workspace, label, error)
                     ? -1
                     : 0;
    if (preference)
        cublasLtMatmulPreferenceDestroy(preference);
    if (status)
        matmul_destroy(plan);
    return status;
}

int matmul_run(const struct matmul_plan *plan, cublasLtHandle_t handle, void *workspace,
               size_t size, cudaStream_t stream, const char *label, struct error *error) {
    const float alpha = 1, beta = plan->what.add ? 1 : 0;
    return blas_check(cublasLtMatmul(handle, plan->operation, &alpha, plan->what.b, plan->b,
                                     plan->what.a, plan->a, &beta, plan->what.c, plan->c,
                                     plan->what.c, plan->c, &plan->algorithm, workspace, size,
                                     stream),
                      "cublasLtMatmul", label, error);
}

void matmul_destroy(struct matmul_plan *plan) {
    if (!plan)
        return;
    if (plan->c)
        cublasLtMatrixLayoutDestroy(plan->c);
    if (plan->b)
        cublasLtMatrixLayoutDestroy(plan->b);
    if (plan->a)
        cublasLtMatrixLayoutDestroy(plan->a);
    if (plan->operation)
        cublasLtMatmulDescDestroy(plan->operation);
    *plan = (struct matmul_plan){0};
}
