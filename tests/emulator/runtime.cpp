/* The CUDA runtime functions that the engine calls. Device memory is memory of the process, each
 * block exactly as large as asked for. A stream is a list of work that runs when somebody waits. */
#include "tests/emulator/emulator.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

/* The runtime's handles point to these. */
struct CUevent_st {
    uint64_t recorded, done; /* how often */
    cudaStream_t stream;     /* of the last record */
};
struct CUgraph_st {
    std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
    std::vector<std::function<void()>> work;
    int queued;
};

namespace {

enum what { WORK, RECORD, WAIT };
struct operation {
    what kind;
    std::function<void()> work;
    cudaEvent_t event;
    uint64_t version;
};

} // namespace

struct CUstream_st {
    std::deque<operation> queue;
    std::unique_ptr<CUgraph_st> capture; /* being recorded into */
    bool spoiled;                        /* a call during capture was not allowed */
};

namespace {

struct faults {
    uint64_t calls, launches;
    uint64_t fail_at, lose_at; /* counts at which that happens; 0 = never */
    std::string fail_name;
    uint64_t fail_name_left;
    size_t memory;
    int devices;
    bool lost;
};

struct machine {
    faults fault;
    long alive[EMULATOR_THINGS];
    std::map<void *, size_t> blocks;
    size_t used;
    cudaError_t last;
    cudaStream_t capturing;

    machine() {
        memset(alive, 0, sizeof alive);
        used = 0;
        last = cudaSuccess;
        capturing = nullptr;
        reset();
        read_environment();
    }
    void reset() {
        fault = faults{0, 0, 0, 0, "", 0, (size_t)8 << 30, 1, false};
    }
    void read_environment() {
        if (const char *text = getenv("EMULATOR_FAIL")) {
            const char *colon = strchr(text, ':');
            if (colon) {
                fault.fail_name.assign(text, colon);
                fault.fail_name_left = strtoull(colon + 1, nullptr, 10);
            } else {
                fault.fail_at = strtoull(text, nullptr, 10);
            }
        }
        if (const char *text = getenv("EMULATOR_LOST"))
            fault.lose_at = strtoull(text, nullptr, 10);
        if (const char *text = getenv("EMULATOR_MEMORY"))
            fault.memory = strtoull(text, nullptr, 10);
        if (const char *text = getenv("EMULATOR_DEVICES"))
            fault.devices = atoi(text);
        if (const char *text = getenv("EMULATOR_ORDER"))
            emulator_set_reverse(strcmp(text, "reverse") == 0);
    }
};

machine &m() {
    static machine the;
    return the;
}

cudaError_t answer(cudaError_t status) {
    if (status != cudaSuccess)
        m().last = status;
    return status;
}

/* The start of every function. */
#define CALL(name)                                                                                 \
    if (emulator_call(name))                                                                       \
    return answer(emulator_is_lost() ? cudaErrorIllegalAddress : cudaErrorUnknown)

/* What may not happen while any stream is being recorded. */
#define NOT_IN_CAPTURE()                                                                           \
    if (m().capturing) {                                                                           \
        m().capturing->spoiled = true;                                                             \
        return answer(cudaErrorStreamCaptureUnsupported);                                          \
    }

void run_until(cudaEvent_t event, uint64_t version);

/* Runs the oldest work of a stream. */
void step(cudaStream_t stream) {
    operation next = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (next.kind == WORK)
        next.work();
    else if (next.kind == RECORD)
        next.event->done = next.version;
    else
        run_until(next.event, next.version);
}

void run_until(cudaEvent_t event, uint64_t version) {
    while (event->done < version && event->stream && !event->stream->queue.empty())
        step(event->stream);
}

void run_all(cudaStream_t stream) {
    while (!stream->queue.empty())
        step(stream);
}

} // namespace

cudaError_t emulator_enqueue(cudaStream_t stream, std::function<void()> work) {
    if (!stream)
        return answer(cudaErrorInvalidResourceHandle); /* the engine must name its stream */
    if (stream->capture)
        stream->capture->work.push_back(std::move(work));
    else
        stream->queue.push_back(operation{WORK, std::move(work), nullptr, 0});
    return cudaSuccess;
}

/* --- faults and counts ------------------------------------------------------------------------ */

extern "C" {

void emulator_count(enum emulator_thing thing, int change) {
    m().alive[thing] += change;
}

bool emulator_is_lost(void) {
    return m().fault.lost;
}

bool emulator_call(const char *name) {
    faults &f = m().fault;
    f.calls++;
    if (f.lost || f.calls == f.fail_at)
        return true;
    return f.fail_name_left > 0 && f.fail_name == name && --f.fail_name_left == 0;
}

uint64_t emulator_calls(void) {
    return m().fault.calls;
}
uint64_t emulator_launches(void) {
    return m().fault.launches;
}
void emulator_fail_after(uint64_t n) {
    m().fault.fail_at = n ? m().fault.calls + n : 0;
}
void emulator_lose_after(uint64_t n) {
    m().fault.lose_at = n ? m().fault.launches + n : 0;
}
void emulator_set_memory(size_t bytes) {
    m().fault.memory = bytes;
}
void emulator_set_devices(int count) {
    m().fault.devices = count;
}
void emulator_reset(void) {
    m().reset();
    emulator_set_reverse(false);
}

long emulator_alive(char *text, size_t size) {
    static const char *const names[] = {"device blocks", "host blocks", "streams",
                                        "events",        "graphs",      "descriptors"};
    long all = 0;
    size_t at = 0;
    if (size > 0)
        text[0] = '\0';
    for (int i = 0; i < EMULATOR_THINGS; i++) {
        all += labs(m().alive[i]);
        if (m().alive[i] && at < size)
            at += (size_t)snprintf(text + at, size - at, "%ld %s; ", m().alive[i], names[i]);
    }
    return all;
}

/* --- device ------------------------------------------------------------------------------------
 */

cudaError_t cudaGetDeviceCount(int *count) {
    CALL("cudaGetDeviceCount");
    *count = m().fault.devices;
    return answer(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
    CALL("cudaSetDevice");
    return answer(device >= 0 && device < m().fault.devices ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return emulator_is_lost() ? cudaErrorIllegalAddress : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    CALL("cudaGetDeviceProperties");
    if (device < 0 || device >= m().fault.devices)
        return answer(cudaErrorInvalidDevice);
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "emulated device");
    properties->totalGlobalMem = m().fault.memory;
    properties->major = 9;
    properties->multiProcessorCount = 132;
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
cudaError_t cudaDeviceSynchronize(void) {
    CALL("cudaDeviceSynchronize");
    return answer(cudaErrorNotSupported); /* the engine waits for its own streams */
}

cudaError_t cudaGetLastError(void) {
    cudaError_t last = m().last;
    m().last = emulator_is_lost() ? cudaErrorIllegalAddress : cudaSuccess;
    return last;
}
const char *cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorMemoryAllocation           ? "cudaErrorMemoryAllocation"
           : error == cudaErrorNoDevice                 ? "cudaErrorNoDevice"
           : error == cudaErrorIllegalAddress           ? "cudaErrorIllegalAddress"
           : error == cudaErrorInvalidDevice            ? "cudaErrorInvalidDevice"
           : error == cudaErrorNotReady                 ? "cudaErrorNotReady"
           : error == cudaErrorStreamCaptureUnsupported ? "cudaErrorStreamCaptureUnsupported"
                                                        : "cudaError";
}
const char *cudaGetErrorString(cudaError_t) {
    return "as the emulated device was told";
}

/* --- memory ------------------------------------------------------------------------------------
 */

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    CALL("cudaMemGetInfo");
    *total = m().fault.memory;
    *available = m().fault.memory > m().used ? m().fault.memory - m().used : 0;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void **place, size_t size) {
    CALL("cudaMalloc");
    NOT_IN_CAPTURE();
    /* Exactly `size` bytes, so that every overrun is seen. */
    if (m().used + size > m().fault.memory || posix_memalign(place, 256, size))
        return answer(cudaErrorMemoryAllocation);
    memset(*place, 0xFF, size);
    m().blocks[*place] = size;
    m().used += size;
    emulator_count(EMULATOR_DEVICE_BLOCK, 1);
    return cudaSuccess;
}
cudaError_t cudaFree(void *place) {
    bool failed = emulator_call("cudaFree");
    auto found = m().blocks.find(place);
    if (found == m().blocks.end())
        return answer(place ? cudaErrorInvalidValue : cudaSuccess);
    m().used -= found->second;
    m().blocks.erase(found);
    free(place);
    emulator_count(EMULATOR_DEVICE_BLOCK, -1);
    return answer(failed ? cudaErrorUnknown : cudaSuccess);
}
cudaError_t cudaHostAlloc(void **place, size_t size, unsigned) {
    CALL("cudaHostAlloc");
    NOT_IN_CAPTURE();
    if (posix_memalign(place, 256, size))
        return answer(cudaErrorMemoryAllocation);
    memset(*place, 0xFF, size);
    emulator_count(EMULATOR_HOST_BLOCK, 1);
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *place) {
    emulator_call("cudaFreeHost");
    free(place);
    emulator_count(EMULATOR_HOST_BLOCK, -1);
    return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned) {
    CALL("cudaHostGetDevicePointer");
    *device = host;
    return cudaSuccess;
}

/* Synchronous copies do not wait for streams that were made not to block, as on a device. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind) {
    CALL("cudaMemcpy");
    NOT_IN_CAPTURE();
    memcpy(to, from, size);
    return cudaSuccess;
}
cudaError_t cudaMemset(void *place, int value, size_t size) {
    CALL("cudaMemset");
    NOT_IN_CAPTURE();
    memset(place, value, size);
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

/* --- streams and events ------------------------------------------------------------------------
 */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    CALL("cudaStreamCreateWithFlags");
    if (flags != cudaStreamNonBlocking)
        return answer(cudaErrorInvalidValue);
    *stream = new CUstream_st();
    emulator_count(EMULATOR_STREAM, 1);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    emulator_call("cudaStreamDestroy");
    if (m().capturing == stream)
        m().capturing = nullptr;
    run_all(stream);
    delete stream;
    emulator_count(EMULATOR_STREAM, -1);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    CALL("cudaStreamSynchronize");
    NOT_IN_CAPTURE();
    run_all(stream);
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    CALL("cudaEventCreateWithFlags");
    *event = new CUevent_st();
    emulator_count(EMULATOR_EVENT, 1);
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    emulator_call("cudaEventDestroy");
    run_until(event, event->recorded);
    delete event;
    emulator_count(EMULATOR_EVENT, -1);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    CALL("cudaEventRecord");
    event->stream = stream;
    stream->queue.push_back(operation{RECORD, nullptr, event, ++event->recorded});
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    CALL("cudaStreamWaitEvent");
    stream->queue.push_back(operation{WAIT, nullptr, event, event->recorded});
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    CALL("cudaEventQuery");
    NOT_IN_CAPTURE();
    if (event->done >= event->recorded)
        return cudaSuccess;
    if (!event->stream->queue.empty())
        step(event->stream); /* time goes on, a little */
    return cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    CALL("cudaEventSynchronize");
    NOT_IN_CAPTURE();
    run_until(event, event->recorded);
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
    CALL("cudaEventElapsedTime");
    *milliseconds = 1;
    return cudaSuccess;
}

/* --- graphs ------------------------------------------------------------------------------------
 */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode) {
    CALL("cudaStreamBeginCapture");
    NOT_IN_CAPTURE();
    stream->capture.reset(new CUgraph_st());
    stream->spoiled = false;
    m().capturing = stream;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    bool failed = emulator_call("cudaStreamEndCapture");
    *graph = nullptr;
    m().capturing = nullptr;
    if (failed || !stream->capture || stream->spoiled) {
        stream->capture.reset();
        return answer(cudaErrorStreamCaptureInvalidated);
    }
    *graph = stream->capture.release();
    emulator_count(EMULATOR_GRAPH, 1);
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long) {
    CALL("cudaGraphInstantiate");
    *made = new CUgraphExec_st{graph->work, 0};
    emulator_count(EMULATOR_GRAPH, 1);
    return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
    CALL("cudaGraphUpload");
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    emulator_call("cudaGraphDestroy");
    delete graph;
    emulator_count(EMULATOR_GRAPH, -1);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    emulator_call("cudaGraphExecDestroy");
    if (graph->queued > 0) {
        fprintf(stderr, "emulator: a graph is destroyed while it waits to run\n");
        abort();
    }
    delete graph;
    emulator_count(EMULATOR_GRAPH, -1);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    CALL("cudaGraphLaunch");
    if (++m().fault.launches == m().fault.lose_at) {
        m().fault.lost = true;
        return answer(cudaErrorIllegalAddress);
    }
    graph->queued++;
    return emulator_enqueue(stream, [graph] {
        for (auto &work : graph->work)
            work();
        graph->queued--;
    });
}

} // extern "C"
