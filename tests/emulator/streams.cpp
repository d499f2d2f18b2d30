/* The functions of the CUDA runtime for streams, events and graphs. A stream is a list of work that
 * runs when somebody waits; what it may wait for itself are moments, which events record. */
#include "tests/emulator/runtime.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

namespace {

typedef std::function<void()> work;

/* One record of an event. Who waits for it waits for this one, even when the event is recorded
 * again or destroyed. */
struct moment {
    cudaStream_t stream; /* alive until it is done */
    bool done;
};

/* One of the three. */
struct operation {
    work does;
    std::shared_ptr<moment> records, waits_for;
};

} // namespace

/* The runtime's handles point to these. */
struct CUevent_st {
    std::shared_ptr<moment> last; /* NULL before the first record */
};
struct CUgraph_st {
    std::vector<work> nodes;
};
struct CUgraphExec_st {
    std::vector<work> nodes;
    std::shared_ptr<int> queued; /* shared with each launch that waits to run */
};
struct CUstream_st {
    std::deque<operation> queue;
    std::unique_ptr<CUgraph_st> capture; /* being recorded into */
    bool spoiled;                        /* a call during capture was not allowed */
};

namespace {

std::vector<cudaStream_t> &streams() {
    static std::vector<cudaStream_t> all;
    return all;
}
CUstream_st null_stream;
cudaStream_t capturing; /* NULL when none is */

CUstream_st *meant(cudaStream_t stream) {
    return stream ? stream : &null_stream;
}

void run_until(moment &when);

/* Runs the oldest work of a stream. */
void step(cudaStream_t stream) {
    operation next = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (next.records)
        next.records->done = true;
    else if (next.waits_for)
        run_until(*next.waits_for);
    else
        next.does();
}

/* Cannot turn in a circle: an operation waits only for what was recorded before it was queued. */
void run_until(moment &when) {
    while (!when.done)
        step(when.stream);
}

void run_all(cudaStream_t stream) {
    while (!stream->queue.empty())
        step(stream);
}

/* The host waits or asks: by the order chosen, streams other than its own get further first. */
void let_others_run(cudaStream_t own) {
    if (emulator_get_order() == EMULATOR_FORWARD)
        return;
    for (size_t i = streams().size(); i-- > 0;) {
        cudaStream_t other = streams()[i];
        uint64_t steps = other->queue.size();
        if (emulator_get_order() == EMULATOR_SHUFFLE)
            steps = emulator_random(steps + 1);
        for (; other != own && steps > 0 && !other->queue.empty(); steps--)
            step(other);
    }
}

cudaError_t make_stream(cudaStream_t *stream, unsigned flags) {
    if (flags != cudaStreamNonBlocking)
        return emulator_answer(cudaErrorInvalidValue); /* the engine does not use the others */
    *stream = new CUstream_st();
    streams().push_back(*stream);
    emulator_count(EMULATOR_STREAM, 1);
    return cudaSuccess;
}

} // namespace

cudaError_t emulator_enqueue(cudaStream_t stream, std::function<void()> does) {
    if (!stream)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        stream->capture->nodes.push_back(std::move(does));
    else
        stream->queue.push_back(operation{std::move(does), nullptr, nullptr});
    return cudaSuccess;
}

bool emulator_spoil_capture() {
    if (capturing)
        capturing->spoiled = true;
    return capturing != nullptr;
}

void emulator_drop_work() {
    std::vector<cudaStream_t> all = streams();
    all.push_back(&null_stream);
    for (cudaStream_t stream : all) {
        for (operation &dropped : stream->queue)
            if (dropped.records)
                dropped.records->done = true; /* nobody is to wait for it */
        stream->queue.clear();
    }
}

void emulator_run_null_stream() {
    run_all(&null_stream);
}

void emulator_on_null_stream(std::function<void()> does) {
    null_stream.queue.push_back(operation{std::move(does), nullptr, nullptr});
    if (!emulator_late_null_stream())
        emulator_run_null_stream();
}

extern "C" {

/* --- streams --------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    CALL("cudaStreamCreateWithFlags");
    return make_stream(stream, flags);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int) {
    CALL("cudaStreamCreateWithPriority");
    return make_stream(stream, flags);
}
/* The device would finish what is queued, some time; so it does here, at once. */
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    cudaError_t begun = emulator_begin("cudaStreamDestroy");
    if (!stream)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    if (capturing == stream)
        capturing = nullptr;
    run_all(stream);
    streams().erase(std::find(streams().begin(), streams().end(), stream));
    delete stream;
    emulator_count(EMULATOR_STREAM, -1);
    return emulator_answer(begun);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    CALL("cudaStreamSynchronize");
    NOT_IN_CAPTURE();
    let_others_run(stream);
    run_all(meant(stream));
    return cudaSuccess;
}
/* Time goes on, a little, each time somebody asks. */
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    CALL("cudaStreamQuery");
    NOT_IN_CAPTURE();
    if (meant(stream)->queue.empty())
        return cudaSuccess;
    let_others_run(stream);
    if (!meant(stream)->queue.empty())
        step(meant(stream));
    return cudaErrorNotReady; /* as on a device, not kept for cudaGetLastError */
}
cudaError_t cudaDeviceSynchronize(void) {
    CALL("cudaDeviceSynchronize");
    NOT_IN_CAPTURE();
    let_others_run(nullptr);
    for (cudaStream_t stream : streams())
        run_all(stream);
    emulator_run_null_stream();
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    CALL("cudaLaunchHostFunc");
    return emulator_enqueue(stream, [=] { function(data); });
}

/* --- events ---------------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    CALL("cudaEventCreateWithFlags");
    *event = new CUevent_st();
    emulator_count(EMULATOR_EVENT, 1);
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    cudaError_t begun = emulator_begin("cudaEventDestroy");
    if (!event)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    delete event;
    emulator_count(EMULATOR_EVENT, -1);
    return emulator_answer(begun);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    CALL("cudaEventRecord");
    if (!stream)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        NOT_IN_CAPTURE();
    event->last.reset(new moment{stream, false});
    stream->queue.push_back(operation{nullptr, event->last, nullptr});
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    CALL("cudaStreamWaitEvent");
    if (!stream)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        NOT_IN_CAPTURE();
    if (event->last)
        stream->queue.push_back(operation{nullptr, nullptr, event->last});
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    CALL("cudaEventQuery");
    NOT_IN_CAPTURE();
    if (!event->last || event->last->done)
        return cudaSuccess;
    let_others_run(event->last->stream);
    if (!event->last->done)
        step(event->last->stream);
    return cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    CALL("cudaEventSynchronize");
    NOT_IN_CAPTURE();
    if (!event->last)
        return cudaSuccess;
    let_others_run(event->last->stream);
    run_until(*event->last);
    return cudaSuccess;
}
/* Always 1: there is no time here. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
    CALL("cudaEventElapsedTime");
    if (!from->last || !to->last)
        return emulator_answer(cudaErrorInvalidResourceHandle);
    if (!from->last->done || !to->last->done)
        return cudaErrorNotReady;
    *milliseconds = 1;
    return cudaSuccess;
}

/* --- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode) {
    CALL("cudaStreamBeginCapture");
    NOT_IN_CAPTURE();
    if (!stream)
        return emulator_answer(cudaErrorStreamCaptureUnsupported);
    stream->capture.reset(new CUgraph_st());
    stream->spoiled = false;
    capturing = stream;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    cudaError_t begun = emulator_begin("cudaStreamEndCapture");
    *graph = nullptr;
    if (!stream || !stream->capture)
        return emulator_answer(cudaErrorIllegalState);
    capturing = nullptr;
    std::unique_ptr<CUgraph_st> made = std::move(stream->capture);
    if (begun != cudaSuccess)
        return emulator_answer(begun);
    if (stream->spoiled)
        return emulator_answer(cudaErrorStreamCaptureInvalidated);
    *graph = made.release();
    emulator_count(EMULATOR_GRAPH, 1);
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    CALL("cudaStreamIsCapturing");
    *status = !stream || !stream->capture ? cudaStreamCaptureStatusNone
              : stream->spoiled           ? cudaStreamCaptureStatusInvalidated
                                          : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long) {
    CALL("cudaGraphInstantiate");
    *made = new CUgraphExec_st{graph->nodes, std::make_shared<int>()};
    emulator_count(EMULATOR_GRAPH, 1);
    return cudaSuccess;
}
/* Counts the nodes; cannot hand them out. */
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    CALL("cudaGraphGetNodes");
    if (nodes)
        return emulator_answer(cudaErrorNotSupported);
    *count = graph->nodes.size();
    return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
    CALL("cudaGraphUpload");
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    CALL("cudaGraphLaunch");
    if (stream && stream->capture)
        NOT_IN_CAPTURE();
    if (emulator_launch())
        return emulator_answer(cudaErrorIllegalAddress);
    std::shared_ptr<int> queued = graph->queued;
    return emulator_enqueue(stream, [graph, queued] {
        for (work &node : graph->nodes)
            node();
    });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    cudaError_t begun = emulator_begin("cudaGraphExecDestroy");
    if (graph->queued.use_count() > 1) {
        fprintf(stderr, "emulator: a graph is destroyed while it waits to run\n");
        abort();
    }
    delete graph;
    emulator_count(EMULATOR_GRAPH, -1);
    return emulator_answer(begun);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    cudaError_t begun = emulator_begin("cudaGraphDestroy");
    delete graph;
    emulator_count(EMULATOR_GRAPH, -1);
    return emulator_answer(begun);
}

} // extern "C"
