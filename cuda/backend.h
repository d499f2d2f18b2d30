/* cuDNN's graph API from C: as much of it as a convolution needs. A descriptor is a bag of typed
 * attributes; a graph of operations goes to the heuristics, which suggest engines; an engine that
 * fits is finalised into a plan.
 *
 * Plans are made for device properties, not for a handle, so that they can be made, and tested, on
 * a machine without a GPU from the properties of one that was written down.
 *
 * Source: NVIDIA, "cuDNN Backend API", and the comments of cudnn_graph.h (9.8 or newer). */
#ifndef CUDA_BACKEND_H
#define CUDA_BACKEND_H

#include "common/error.h"

#include <cudnn.h>
#include <stdbool.h>
#include <stdint.h>

#define BACKEND_DESCRIPTORS 32 /* most that one plan is made of */

/* Makes descriptors and owns them. After the first failure every call does nothing, so that a graph
 * is written down without a check per line; `failed` is looked at once at the end. */
struct backend {
    cudnnBackendDescriptor_t owned[BACKEND_DESCRIPTORS];
    int count;
    bool failed;
    const char *label;   /* what is being made, for the sentence; borrowed */
    struct error *error; /* filled at the first failure: call, label, cuDNN's own sentence */
};

/* NULL after a failure. The backend owns what is returned. */
cudnnBackendDescriptor_t backend_make(struct backend *backend, cudnnBackendDescriptorType_t type);

void backend_set(struct backend *backend, cudnnBackendDescriptor_t descriptor,
                 cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                 const void *values);

void backend_finish(struct backend *backend, cudnnBackendDescriptor_t descriptor);

/* Destroys all descriptors, the newest first. Leaves the backend empty. */
void backend_destroy(struct backend *backend);

/* One value of the types that are set most. */
static inline void backend_set_descriptor(struct backend *backend,
                                          cudnnBackendDescriptor_t descriptor,
                                          cudnnBackendAttributeName_t name,
                                          cudnnBackendDescriptor_t value) {
    backend_set(backend, descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}
static inline void backend_set_int64(struct backend *backend, cudnnBackendDescriptor_t descriptor,
                                     cudnnBackendAttributeName_t name, int64_t value) {
    backend_set(backend, descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}
static inline void backend_set_type(struct backend *backend, cudnnBackendDescriptor_t descriptor,
                                    cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    backend_set(backend, descriptor, name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

/* Properties of CUDA device `device`, or, where `json` is not NULL, those that it describes (what
 * cuDNN itself writes for a device). Caller destroys it (cudnnBackendDestroyDescriptor). NULL with
 * ERROR_UNSUPPORTED. */
cudnnBackendDescriptor_t backend_properties(int device, const char *json, struct error *error);

/* Which engines may be used. */
struct backend_wishes {
    bool tensor_cores; /* round f32 inputs to TF32; bf16 inputs lose nothing */
};

/* Turns the `operation_count` operations into a plan for the device: asks the heuristics and takes
 * the `skip`-th suggestion (0 = the first) that gives the same bits each time, keeps the precision
 * that is wished for and is supported. The plan belongs to the backend; *workspace is set to the
 * bytes that it takes. Returns NULL with ERROR_UNSUPPORTED where none (or no such one) is left. */
cudnnBackendDescriptor_t backend_plan(struct backend *backend, cudnnBackendDescriptor_t properties,
                                      const cudnnBackendDescriptor_t *operations,
                                      int operation_count, const struct backend_wishes *wishes,
                                      int skip, int64_t *workspace);

#endif
