/* See backend.h. */
#include "cuda/backend.h"

#include <string.h>

#define SUGGESTIONS 32 /* asked of each heuristic */

/* --- descriptors ----------------------------------------------------------------------------- */

/* Notes the first failure, with the sentence that cuDNN has for it. */
static void fail(struct backend *backend, cudnnStatus_t status, const char *call) {
    char own[512] = "";
    if (backend->failed)
        return;
    backend->failed = true;
    cudnnGetLastErrorString(own, sizeof own);
    error_set(backend->error, ERROR_UNSUPPORTED, "%s: %s: %s%s%s", backend->label, call,
              cudnnGetErrorString(status), *own ? ": " : "", own);
}

cudnnBackendDescriptor_t backend_make(struct backend *backend, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    if (backend->failed)
        return NULL;
    if (backend->count == BACKEND_DESCRIPTORS) {
        backend->failed = true;
        error_set(backend->error, ERROR_INVALID, "%s: more than %d cuDNN descriptors",
                  backend->label, BACKEND_DESCRIPTORS);
        return NULL;
    }
    cudnnStatus_t status = cudnnBackendCreateDescriptor(type, &made);
    if (status != CUDNN_STATUS_SUCCESS) {
        fail(backend, status, "cudnnBackendCreateDescriptor");
        return NULL;
    }
    backend->owned[backend->count++] = made;
    return made;
}

void backend_set(struct backend *backend, cudnnBackendDescriptor_t descriptor,
                 cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                 const void *values) {
    if (backend->failed)
        return;
    cudnnStatus_t status = cudnnBackendSetAttribute(descriptor, name, type, count, values);
    if (status != CUDNN_STATUS_SUCCESS)
        fail(backend, status, "cudnnBackendSetAttribute");
}

void backend_finish(struct backend *backend, cudnnBackendDescriptor_t descriptor) {
    if (backend->failed)
        return;
    cudnnStatus_t status = cudnnBackendFinalize(descriptor);
    if (status != CUDNN_STATUS_SUCCESS)
        fail(backend, status, "cudnnBackendFinalize");
}

void backend_destroy(struct backend *backend) {
    while (backend->count > 0)
        cudnnBackendDestroyDescriptor(backend->owned[--backend->count]);
    *backend = (struct backend){0};
}

cudnnBackendDescriptor_t backend_properties(int device, const char *json, struct error *error) {
    struct backend one = {.label = "device properties", .error = error};
    cudnnBackendDescriptor_t made = backend_make(&one, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    int32_t ordinal = device;
    if (json)
        backend_set(&one, made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    (int64_t)strlen(json), json);
    else
        backend_set(&one, made, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &ordinal);
    backend_finish(&one, made);
    if (one.failed) {
        backend_destroy(&one);
        return NULL;
    }
    return made; /* the caller's now */
}

/* --- plans ----------------------------------------------------------------------------------- */

/* Whether an engine has none of the properties that we refuse: sums that come out in another order
 * each time, sums in less than f32, algorithms that trade digits for speed, and, unless wished for,
 * tensor cores, which round f32 inputs to TF32. */
static bool engine_suits(cudnnBackendDescriptor_t engine, const struct backend_wishes *wishes) {
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count,
                                 notes) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < count; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return false;
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            return false;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
            if (!wishes->tensor_cores)
                return false;
            break;
        default:
            break;
        }
    return true;
}

/* The engine of a suggestion. */
static bool config_suits(cudnnBackendDescriptor_t config, const struct backend_wishes *wishes) {
    cudnnBackendDescriptor_t engine = NULL;
    int64_t count = 0;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS)
        return false;
    bool suits =
        cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &count, &engine) == CUDNN_STATUS_SUCCESS &&
        count == 1 && engine_suits(engine, wishes);
    cudnnBackendDestroyDescriptor(engine);
    return suits;
}

/* A finalised plan of this suggestion, or NULL where the device or the library cannot run it. */
static cudnnBackendDescriptor_t try_plan(cudnnBackendDescriptor_t properties,
                                         cudnnBackendDescriptor_t config, int64_t *workspace) {
    cudnnBackendDescriptor_t plan = NULL;
    int64_t count = 0;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) !=
        CUDNN_STATUS_SUCCESS)
        return NULL;
    if (cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &config) == CUDNN_STATUS_SUCCESS &&
        cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &properties) == CUDNN_STATUS_SUCCESS &&
        cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS &&
        cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                 1, &count, workspace) == CUDNN_STATUS_SUCCESS)
        return plan;
    cudnnBackendDestroyDescriptor(plan);
    return NULL;
}

/* Goes through what one heuristic suggests. */
static cudnnBackendDescriptor_t plan_from(struct backend *backend, cudnnBackendHeurMode_t mode,
                                          cudnnBackendDescriptor_t properties,
                                          cudnnBackendDescriptor_t graph,
                                          const struct backend_wishes *wishes, int *skip,
                                          int64_t *workspace) {
    cudnnBackendDescriptor_t configs[SUGGESTIONS] = {0}, plan = NULL;
    int64_t count = 0;
    int made = 0;
    cudnnBackendDescriptor_t heuristic = backend_make(backend, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    backend_set_descriptor(backend, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    backend_set(backend, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    backend_set_descriptor(backend, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties);
    if (backend->failed || cudnnBackendFinalize(heuristic) != CUDNN_STATUS_SUCCESS)
        return NULL; /* this heuristic knows nothing of such a graph */
    for (; made < SUGGESTIONS; made++)
        if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[made]) !=
            CUDNN_STATUS_SUCCESS)
            break;
    if (made < SUGGESTIONS || cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, SUGGESTIONS,
                                                       &count, configs) != CUDNN_STATUS_SUCCESS)
        count = 0;
    for (int64_t i = 0; i < count && i < SUGGESTIONS && !plan; i++) {
        if (!config_suits(configs[i], wishes) ||
            !(plan = try_plan(properties, configs[i], workspace)))
            continue;
        if (*skip > 0) {
            --*skip;
            cudnnBackendDestroyDescriptor(plan);
            plan = NULL;
        }
    }
    while (made > 0)
        cudnnBackendDestroyDescriptor(configs[--made]);
    return plan;
}

cudnnBackendDescriptor_t backend_plan(struct backend *backend, cudnnBackendDescriptor_t properties,
                                      const cudnnBackendDescriptor_t *operations,
                                      int operation_count, const struct backend_wishes *wishes,
                                      int skip, int64_t *workspace) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    cudnnBackendDescriptor_t graph = backend_make(backend, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    backend_set(backend, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                operation_count, operations);
    backend_finish(backend, graph);
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !backend->failed; i++) {
        cudnnBackendDescriptor_t plan =
            plan_from(backend, modes[i], properties, graph, wishes, &skip, workspace);
        if (plan && backend->count < BACKEND_DESCRIPTORS) {
            backend->owned[backend->count++] = plan;
            return plan;
        }
        if (plan)
            cudnnBackendDestroyDescriptor(plan);
    }
    if (!backend->failed)
        error_set(backend->error, ERROR_UNSUPPORTED,
                  "%s: cuDNN %zu has no engine for it on this device that gives the same bits "
                  "each time",
                  backend->label, cudnnGetVersion());
    backend->failed = true;
    return NULL;
}
