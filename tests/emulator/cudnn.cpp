/* The part of cuDNN's graph API that convolutions need, executed by plain loops.
 *
 * Stricter than the library where strictness finds mistakes: every attribute must be known, of the
 * right type and count, and set before finalize; alignments are checked when a plan runs; the
 * workspace is scribbled over. The heuristics suggest first an engine that gives other bits each
 * time, then one that rounds f32 inputs, then one that cannot be finalised, and only then a good
 * one: who does not look at the notes gets wrong results. */
#include "tests/emulator/cudnn_loops.hpp"
#include "tests/emulator/emulator.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <cudnn.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct cudnnContext {
    cudaStream_t stream;
};

namespace {

struct values {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<char> bytes;
};

/* What the public pointer points to; descriptors that use it hold a share. */
struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool finished = false;
    std::map<int, values> set;
    std::map<int, std::vector<std::shared_ptr<descriptor>>> uses;
    int engine = GOOD; /* ENGINE, ENGINECFG, EXECUTION_PLAN */

    template <typename T> const T *get(int name) const {
        auto found = set.find(name);
        return found == set.end() ? nullptr : (const T *)(const void *)found->second.bytes.data();
    }
    int64_t count(int name) const {
        auto found = set.find(name);
        return found == set.end() ? 0 : found->second.count;
    }
    std::shared_ptr<descriptor> use(int name, size_t i = 0) const {
        auto found = uses.find(name);
        return found == uses.end() || i >= found->second.size() ? nullptr : found->second[i];
    }
};

struct handle_of {
    std::shared_ptr<descriptor> is;
};

std::string last_error;

cudnnStatus_t refuse(cudnnStatus_t status, const std::string &why) {
    last_error = why;
    return status;
}
cudnnStatus_t bad(const std::string &why) {
    return refuse(CUDNN_STATUS_BAD_PARAM, why);
}

#define CALL(name)                                                                                 \
    if (emulator_call(name))                                                                       \
    return refuse(CUDNN_STATUS_EXECUTION_FAILED, "as the emulator was told")

/* --- attributes: name, type, least and most values, whether it must be set -------------------- */

struct rule {
    int name;
    cudnnBackendAttributeType_t type;
    int least, most;
    bool needed;
};

const std::map<int, std::vector<rule>> &rules() {
    static const std::map<int, std::vector<rule>> all = {
        {CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR,
         {{CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, 1, true}}},
        {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
         {{CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, true},
          {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
          {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, 4, true},
          {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, 4, true},
          {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, true},
          {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false}}},
        {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
         {{CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
          {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true},
          {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, 2, true},
          {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, 2, true},
          {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, 2, true},
          {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, 2, true},
          {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, 1, true}}},
        {CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
         {{CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, true},
          {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, true}}},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
         {{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true}}},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
         {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true}}},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
         {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_TYPE_FLOAT, 1, 1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
           1, true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true},
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1,
           true}}},
        {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
         {{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false},
          {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false},
          {CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false},
          {CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false}}},
        {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
         {{CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 3, true}}},
        {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
         {{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, true},
          {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true}}},
        {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {}},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, {}},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
         {{CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true},
          {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true}}},
        {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
         {{CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, 8, true},
          {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, 8, true},
          {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, false}}},
    };
    return all;
}

size_t size_of(cudnnBackendAttributeType_t type) {
    switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    default:
        return 4;
    }
}

/* --- from descriptors to operations ----------------------------------------------------------- */

const int64_t WORKSPACE = 300; /* bytes that each plan says it takes */

array array_of(const descriptor &d) {
    array made{};
    made.uid = *d.get<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    memcpy(made.dims, d.get<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), sizeof made.dims);
    memcpy(made.strides, d.get<int64_t>(CUDNN_ATTR_TENSOR_STRIDES), sizeof made.strides);
    made.bf16 = *d.get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16;
    const bool *is = d.get<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    made.is_virtual = is && *is;
    return made;
}

operation operation_of(const descriptor &d) {
    operation made{};
    made.type = d.type;
    auto take = [&](int place, int name) {
        if (auto tensor = d.use(name))
            made.arrays[place] = array_of(*tensor);
    };
    auto conv = [&](int name) {
        auto c = d.use(name);
        memcpy(made.conv.stride, c->get<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), 16);
        memcpy(made.conv.padding, c->get<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), 16);
    };
    if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
        conv(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
        take(0, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
        take(1, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
        take(2, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    } else if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) {
        conv(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC);
        take(0, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
        take(1, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
        take(2, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
    } else if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR) {
        conv(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC);
        take(0, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X);
        take(1, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
        take(2, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
    } else {
        made.mode = *d.use(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
                         ->get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
        bool back = made.mode == CUDNN_POINTWISE_RELU_BWD;
        take(0, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
        take(1,
             back ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
        take(2,
             back ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    }
    return made;
}

/* --- checks at finalize ------------------------------------------------------------------------
 */

/* The same arithmetic as cuDNN's: out = (in + 2 padding - kernel) / stride + 1. */
bool conv_fits(const operation &o) {
    const array &x = o.arrays[0], &w = o.arrays[1], &y = o.arrays[2];
    if (x.dims[0] != y.dims[0] || x.dims[1] != w.dims[1] || y.dims[1] != w.dims[0])
        return false;
    for (int i = 0; i < 2; i++)
        if ((x.dims[2 + i] + 2 * o.conv.padding[i] - w.dims[2 + i]) / o.conv.stride[i] + 1 !=
            y.dims[2 + i])
            return false;
    return true;
}

bool is_convolution(cudnnBackendDescriptorType_t type) {
    return type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
           type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
           type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}

/* Whether what an engine gives must be bf16 where its inputs are, as in cuDNN's fast engines. */
bool types_fit(const operation &o) {
    bool filter = o.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
    return !filter || o.arrays[0].bf16 == o.arrays[1].bf16;
}

/* The heuristics' list depends on the mode; the fallback knows one good engine. */
std::vector<int> suggestions(const descriptor &heuristic) {
    if (*heuristic.get<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) ==
        CUDNN_HEUR_MODE_FALLBACK)
        return {GOOD};
    return {WAVERING, ROUNDING, UNFIT, GOOD};
}

cudnnStatus_t check(const descriptor &d) {
    if (is_convolution(d.type)) {
        operation o = operation_of(d);
        if (!conv_fits(o))
            return bad("convolution: the tensors' shapes do not fit");
        if (!types_fit(o))
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "wgrad: INVALID_DATA_CONFIG");
    }
    if (d.type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR &&
        d.count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) !=
            d.count(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))
        return bad("variant pack: as many pointers as ids are needed");
    if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && d.engine == UNFIT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "this engine does not run on this device");
    return CUDNN_STATUS_SUCCESS;
}

descriptor &at(cudnnBackendDescriptor_t d) {
    return *((handle_of *)d)->is;
}

} // namespace

/* --- the functions ------------------------------------------------------------------------------
 */

extern "C" {

size_t cudnnGetVersion(void) {
    return CUDNN_VERSION;
}
const char *cudnnGetErrorString(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : "CUDNN_STATUS_ERROR";
}
void cudnnGetLastErrorString(char *message, size_t size) {
    snprintf(message, size, "%s", last_error.c_str());
}
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    CALL("cudnnCreate");
    *handle = new cudnnContext();
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    emulator_call("cudnnDestroy");
    delete handle;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    CALL("cudnnSetStream");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *made) {
    CALL("cudnnBackendCreateDescriptor");
    if (rules().count(type) == 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "a descriptor that the emulator has not");
    auto fresh = std::make_shared<descriptor>();
    fresh->type = type;
    *made = (cudnnBackendDescriptor_t) new handle_of{fresh};
    emulator_count(EMULATOR_DESCRIPTOR, 1);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
    emulator_call("cudnnBackendDestroyDescriptor");
    delete (handle_of *)d;
    emulator_count(EMULATOR_DESCRIPTOR, -1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t to,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *from) {
    CALL("cudnnBackendSetAttribute");
    descriptor &d = at(to);
    if (d.finished)
        return bad("an attribute is set after finalize");
    for (const rule &r : rules().at(d.type)) {
        if (r.name != name)
            continue;
        if (type != r.type || count < r.least || count > r.most)
            return bad("attribute " + std::to_string(name) + ": wrong type or count");
        size_t bytes = size_of(type) * (size_t)count;
        values v{type, count, std::vector<char>((const char *)from, (const char *)from + bytes)};
        d.set[name] = v;
        if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR)
            return CUDNN_STATUS_SUCCESS;
        d.uses[name].clear();
        for (int64_t i = 0; i < count; i++) {
            auto used = ((cudnnBackendDescriptor_t const *)from)[i];
            if (!used || !at(used).finished)
                return bad("attribute " + std::to_string(name) + ": descriptor is not finalized");
            d.uses[name].push_back(((handle_of *)used)->is);
        }
        if (name == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
            d.engine = d.use(name)->engine;
        return CUDNN_STATUS_SUCCESS;
    }
    return bad("attribute " + std::to_string(name) + " does not belong to this descriptor");
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t which) {
    CALL("cudnnBackendFinalize");
    descriptor &d = at(which);
    for (const rule &r : rules().at(d.type))
        if (r.needed && d.set.count(r.name) == 0)
            return bad("attribute " + std::to_string(r.name) + " is missing");
    cudnnStatus_t status = check(d);
    d.finished = status == CUDNN_STATUS_SUCCESS;
    return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t from,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t most, int64_t *count,
                                       void *to) {
    CALL("cudnnBackendGetAttribute");
    descriptor &d = at(from);
    if (d.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR && name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
        std::vector<int> all = suggestions(d);
        *count = (int64_t)all.size();
        for (size_t i = 0; i < all.size() && (int64_t)i < most; i++) {
            descriptor &config = at(((cudnnBackendDescriptor_t *)to)[i]);
            config.engine = all[i];
            config.uses[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = {
                d.use(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)};
            config.finished = true;
        }
        return CUDNN_STATUS_SUCCESS;
    }
    if (d.type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && name == CUDNN_ATTR_ENGINECFG_ENGINE) {
        at(*(cudnnBackendDescriptor_t *)to).engine = d.engine;
        *count = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    if (d.type == CUDNN_BACKEND_ENGINE_DESCRIPTOR && name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
        auto notes = (cudnnBackendNumericalNote_t *)to;
        *count = d.engine == GOOD || d.engine == UNFIT ? 0 : 1;
        if (*count && most > 0)
            notes[0] = d.engine == WAVERING ? CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC
                                            : CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
        return CUDNN_STATUS_SUCCESS;
    }
    if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && d.finished &&
        name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
        *(int64_t *)to = WORKSPACE;
        *count = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    return bad("attribute " + std::to_string(name) + " cannot be read from this descriptor");
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_,
                                  cudnnBackendDescriptor_t pack_) {
    CALL("cudnnBackendExecute");
    descriptor &plan = at(plan_), &pack = at(pack_);
    if (!plan.finished || !pack.finished)
        return bad("execute: not finalized");
    auto graph =
        plan.use(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->use(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    const int64_t *uids = pack.get<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    char *const *places = pack.get<char *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    char *const *workspace = pack.get<char *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    int64_t given = pack.count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    if (!workspace || !*workspace)
        return bad("execute: the plan needs a workspace");
    std::vector<operation> operations;
    std::map<int64_t, std::shared_ptr<std::vector<float>>> inside;
    std::map<int64_t, bool> used;
    for (auto &one : graph->uses.at(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
        operation o = operation_of(*one);
        for (array &a : o.arrays) {
            if (a.uid == 0)
                continue;
            if (a.is_virtual) {
                auto &own = inside[a.uid];
                if (!own)
                    own = std::make_shared<std::vector<float>>(
                        (size_t)(a.dims[0] * a.dims[1] * a.dims[2] * a.dims[3]));
                a.own = own;
                a.place = (char *)own->data();
                continue;
            }
            for (int64_t i = 0; i < given; i++)
                if (uids[i] == a.uid)
                    a.place = places[i];
            used[a.uid] = true;
            if (!a.place || (uintptr_t)a.place % 16)
                return bad("execute: tensor " + std::to_string(a.uid) +
                           " has no place, or one that is not aligned");
        }
        operations.push_back(o);
    }
    for (int64_t i = 0; i < given; i++)
        if (!used[uids[i]])
            return bad("execute: tensor " + std::to_string(uids[i]) + " is not in the graph");
    int engine = plan.engine;
    char *scribble = *workspace;
    cudaError_t status = emulator_enqueue(handle->stream, [operations, engine, scribble] {
        static unsigned run_number = 0;
        memset(scribble, 0xFF, (size_t)WORKSPACE);
        for (const operation &o : operations)
            run(o, engine);
        if (engine == WAVERING) /* other bits each time */
            operations.back().arrays[2].put(0, (float)++run_number);
    });
    return status == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

} // extern "C"
