/* The part of cuBLASLt that dense layers need, executed by plain loops: column-major matrices, f32
 * or bf16 operands, f32 sums, the epilogues bias and relu. Strict where the documentation is: the
 * combinations of types, leading dimensions, an algorithm from the heuristic, alignments promised
 * there and kept at the call, a workspace of the promised size. */
#include "tests/emulator/emulator.hpp"

#include <cstring>
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <vector>

/* The header's own structs are opaque words; these lie behind our pointers. */
namespace {

struct operation {
    cublasComputeType_t compute;
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const float *bias;
    cudaDataType_t bias_type;
};
struct layout {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t stride;
};
struct preference {
    uint64_t workspace;
    uint32_t alignment[4]; /* a, b, c, d */
};
/* What an algorithm remembers of its heuristic, in the 64 bytes of cublasLtMatmulAlgo_t. */
struct algorithm {
    uint32_t magic;
    uint32_t alignment[4];
    uint64_t workspace;
};
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "it must fit");
const uint32_t MAGIC = 0x616c676f;
const uint64_t WORKSPACE = 512; /* bytes that every algorithm takes */

#define CALL(name)                                                                                 \
    if (emulator_call(name))                                                                       \
    return CUBLAS_STATUS_EXECUTION_FAILED

template <typename T> const T &as(const void *opaque) {
    return *(const T *)opaque;
}

float get(const void *data, cudaDataType_t type, size_t i) {
    return type == CUDA_R_16BF ? __bfloat162float(((const __nv_bfloat16 *)data)[i])
                               : ((const float *)data)[i];
}
void put(void *data, cudaDataType_t type, size_t i, float value) {
    if (type == CUDA_R_16BF)
        ((__nv_bfloat16 *)data)[i] = __float2bfloat16_rn(value);
    else
        ((float *)data)[i] = value;
}

/* op(matrix) as a dense [rows][columns] array of floats. */
std::vector<float> load(const void *data, const layout &l, cublasOperation_t op, bool round) {
    bool turned = op == CUBLAS_OP_T;
    size_t rows = turned ? l.columns : l.rows, columns = turned ? l.rows : l.columns;
    std::vector<float> made(rows * columns);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            size_t at = turned ? i * (size_t)l.stride + j : j * (size_t)l.stride + i;
            float value = get(data, l.type, at);
            made[i * columns + j] = round ? __bfloat162float(__float2bfloat16_rn(value)) : value;
        }
    return made;
}

bool valid(const operation &o, const layout &a, const layout &b, const layout &c, const layout &d) {
    bool bias = o.epilogue == CUBLASLT_EPILOGUE_BIAS || o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    uint64_t m = o.a == CUBLAS_OP_T ? a.columns : a.rows;
    uint64_t k = o.a == CUBLAS_OP_T ? a.rows : a.columns;
    uint64_t k2 = o.b == CUBLAS_OP_T ? b.columns : b.rows;
    uint64_t n = o.b == CUBLAS_OP_T ? b.rows : b.columns;
    if (m != d.rows || n != d.columns || k != k2 || c.rows != d.rows || c.columns != d.columns)
        return false;
    for (const layout *l : {&a, &b, &c, &d})
        if (l->stride < (int64_t)l->rows || l->rows == 0 || l->columns == 0)
            return false;
    if (a.type != b.type || c.type != d.type)
        return false;
    if (a.type == CUDA_R_32F && d.type != CUDA_R_32F)
        return false;
    if (o.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a.type != CUDA_R_32F)
        return false;
    return !bias || (o.bias && o.bias_type == d.type);
}

bool aligned(const void *place, uint32_t to) {
    return (uintptr_t)place % to == 0;
}

} // namespace

extern "C" {

size_t cublasLtGetVersion(void) {
    return CUBLAS_VERSION;
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    CALL("cublasLtCreate");
    *handle = (cublasLtHandle_t) new int(1);
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    emulator_call("cublasLtDestroy");
    delete (int *)handle;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUBLAS_STATUS_SUCCESS;
}
const char *cublasLtGetStatusName(cublasStatus_t status) {
    return status == CUBLAS_STATUS_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
           : status == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                                   : "CUBLAS_STATUS_ERROR";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    CALL("cublasLtMatmulDescCreate");
    if (scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *made = (cublasLtMatmulDesc_t) new operation{
        compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr, CUDA_R_32F};
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
    emulator_call("cublasLtMatmulDescDestroy");
    delete (operation *)d;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t name, const void *from,
                                              size_t size) {
    CALL("cublasLtMatmulDescSetAttribute");
    operation &o = *(operation *)d;
    void *to = name == CUBLASLT_MATMUL_DESC_TRANSA           ? (void *)&o.a
               : name == CUBLASLT_MATMUL_DESC_TRANSB         ? (void *)&o.b
               : name == CUBLASLT_MATMUL_DESC_EPILOGUE       ? (void *)&o.epilogue
               : name == CUBLASLT_MATMUL_DESC_BIAS_POINTER   ? (void *)&o.bias
               : name == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE ? (void *)&o.bias_type
                                                             : nullptr;
    if (!to || size != (name == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : 4))
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, from, size);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t stride) {
    CALL("cublasLtMatrixLayoutCreate");
    *made = (cublasLtMatrixLayout_t) new layout{type, rows, columns, stride};
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
    emulator_call("cublasLtMatrixLayoutDestroy");
    delete (layout *)l;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made) {
    CALL("cublasLtMatmulPreferenceCreate");
    *made = (cublasLtMatmulPreference_t) new preference{0, {256, 256, 256, 256}};
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
    emulator_call("cublasLtMatmulPreferenceDestroy");
    delete (preference *)p;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t which,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *from, size_t size) {
    CALL("cublasLtMatmulPreferenceSetAttribute");
    preference &p = *(preference *)which;
    if (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && size == 8)
        memcpy(&p.workspace, from, 8);
    else if (name >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
             name <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && size == 4)
        memcpy(&p.alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], from, 4);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation_,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference_, int most,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *found) {
    CALL("cublasLtMatmulAlgoGetHeuristic");
    const preference &p = as<preference>(preference_);
    *found = 0;
    if (most < 1 || p.workspace < WORKSPACE ||
        !valid(as<operation>(operation_), as<layout>(a), as<layout>(b), as<layout>(c),
               as<layout>(d)))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    algorithm made{
        MAGIC, {p.alignment[0], p.alignment[1], p.alignment[2], p.alignment[3]}, WORKSPACE};
    memset(&results[0], 0, sizeof results[0]);
    memcpy(&results[0].algo, &made, sizeof made);
    results[0].workspaceSize = WORKSPACE;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation_, const void *alpha_,
                              const void *a, cublasLtMatrixLayout_t a_, const void *b,
                              cublasLtMatrixLayout_t b_, const void *beta_, const void *c,
                              cublasLtMatrixLayout_t c_, void *d, cublasLtMatrixLayout_t d_,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t size,
                              cudaStream_t stream) {
    CALL("cublasLtMatmul");
    operation o = as<operation>(operation_);
    layout la = as<layout>(a_), lb = as<layout>(b_), lc = as<layout>(c_), ld = as<layout>(d_);
    float alpha = *(const float *)alpha_, beta = *(const float *)beta_;
    algorithm how;
    memcpy(&how, algo, sizeof how);
    if (how.magic != MAGIC || !valid(o, la, lb, lc, ld) || !aligned(a, how.alignment[0]) ||
        !aligned(b, how.alignment[1]) || !aligned(c, how.alignment[2]) ||
        !aligned(d, how.alignment[3]) || !workspace || size < how.workspace ||
        !aligned(workspace, 256))
        return CUBLAS_STATUS_INVALID_VALUE;
    cudaError_t status = emulator_enqueue(stream, [=] {
        bool round = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
        bool bias =
            o.epilogue == CUBLASLT_EPILOGUE_BIAS || o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
        bool relu =
            o.epilogue == CUBLASLT_EPILOGUE_RELU || o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
        size_t m = ld.rows, n = ld.columns, k = o.a == CUBLAS_OP_T ? la.rows : la.columns;
        std::vector<float> left = load(a, la, o.a, round), right = load(b, lb, o.b, round);
        std::vector<float> sums(n);
        memset(workspace, 0xFF, WORKSPACE);
        for (size_t i = 0; i < m; i++) {
            sums.assign(n, 0);
            for (size_t l = 0; l < k; l++)
                for (size_t j = 0; j < n; j++)
                    sums[j] += left[i * k + l] * right[l * n + j];
            for (size_t j = 0; j < n; j++) {
                float value = alpha * sums[j];
                if (beta != 0)
                    value += beta * get(c, lc.type, j * (size_t)lc.stride + i);
                value += bias ? o.bias[i] : 0;
                put(d, ld.type, j * (size_t)ld.stride + i, relu && value < 0 ? 0 : value);
            }
        }
    });
    return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // extern "C"
