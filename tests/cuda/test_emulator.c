/* The emulated device itself: that it runs kernels as a device would, and that it shows what it is
 * there to show. What the engine makes of it is test_engine.c. */
#include "tests/emulator/emulator.h"
#include "tests/emulator/probe.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 4
#define COUNT (BLOCKS * PROBE_THREADS)

/* Two streams, and memory on both sides of the bus. */
struct rig {
    cudaStream_t compute, copy;
    cudaEvent_t event;
    float *x, *y;      /* [COUNT] device memory */
    float *from, *got; /* [COUNT] pinned memory; from[i] = i + 1 */
};

static void ok(cudaError_t status) {
    cr_assert_eq(status, cudaSuccess, "%s", cudaGetErrorName(status));
}

static struct rig rig_open(void) {
    struct rig rig;
    size_t size = COUNT * sizeof(float);
    ok(cudaStreamCreateWithFlags(&rig.compute, cudaStreamNonBlocking));
    ok(cudaStreamCreateWithFlags(&rig.copy, cudaStreamNonBlocking));
    ok(cudaEventCreateWithFlags(&rig.event, cudaEventDisableTiming));
    ok(cudaMalloc((void **)&rig.x, size));
    ok(cudaMalloc((void **)&rig.y, size));
    ok(cudaHostAlloc((void **)&rig.from, size, cudaHostAllocMapped));
    ok(cudaHostAlloc((void **)&rig.got, size, cudaHostAllocMapped));
    for (int i = 0; i < COUNT; i++)
        rig.from[i] = (float)(i + 1);
    return rig;
}

static void rig_close(struct rig *rig) {
    char alive[200];
    cudaStreamDestroy(rig->compute);
    cudaStreamDestroy(rig->copy);
    cudaFree(rig->x);
    cudaFree(rig->y);
    cudaFreeHost(rig->from);
    cudaFreeHost(rig->got);
    cudaEventDestroy(rig->event);
    cr_expect_eq(emulator_alive(alive, sizeof alive), 0, "left behind: %s", alive);
}

/* Puts from into device memory on a stream; waits for it, or not. */
static void upload(struct rig *rig, float *to, cudaStream_t stream) {
    ok(cudaMemcpyAsync(to, rig->from, COUNT * sizeof(float), cudaMemcpyHostToDevice, stream));
}

/* What device memory holds now, whatever is queued. */
static const float *peek(struct rig *rig, const float *device) {
    ok(cudaMemcpy(rig->got, device, COUNT * sizeof(float), cudaMemcpyDeviceToHost));
    return rig->got;
}

/* Runs `act` in a process of its own, which must not get to the end, and say `wanted`. */
static void expect_abort(void (*act)(struct rig *rig), const char *wanted) {
    int lines[2], status;
    char text[2000] = "";
    size_t length = 0;
    cr_assert_eq(pipe(lines), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(lines[1], STDERR_FILENO);
        struct rig rig = rig_open();
        act(&rig);
        _exit(0);
    }
    close(lines[1]);
    for (ssize_t got; length < sizeof text - 1 &&
                      (got = read(lines[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    close(lines[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_neq(status, 0, "it got to the end: %s", text);
    cr_expect(strstr(text, wanted), "'%s' is not in '%s'", wanted, text);
}

static const enum emulator_order orders[] = {EMULATOR_FORWARD, EMULATOR_REVERSE, EMULATOR_SHUFFLE};
#define ORDERS (int)(sizeof orders / sizeof *orders)

/* --- kernels --------------------------------------------------------------------------------- */

Test(emulator, runs_every_thread_of_a_grid_and_no_grid_of_none) {
    struct rig rig = rig_open();
    upload(&rig, rig.x, rig.compute);
    ok(probe_scale(rig.y, rig.x, 2, COUNT - 1, rig.compute));
    uint64_t calls = emulator_calls();
    ok(probe_scale(rig.y, rig.x, 3, 0, rig.compute));
    cr_expect_eq(emulator_calls(), calls, "a grid of none is no call");
    ok(cudaStreamSynchronize(rig.compute));
    const float *y = peek(&rig, rig.y);
    for (int i = 0; i < COUNT - 1; i++)
        cr_expect_eq(y[i], 2.0f * (float)(i + 1), "%d: %g", i, (double)y[i]);
    cr_expect(isnan(y[COUNT - 1]), "new memory is NaN");
    cr_expect_eq(probe_empty(1, 0, rig.compute), cudaErrorInvalidConfiguration);
    cr_expect_eq(probe_empty(1, 1025, rig.compute), cudaErrorInvalidConfiguration);
    cr_expect_eq(probe_empty(1, 1, NULL), cudaErrorInvalidResourceHandle);
    rig_close(&rig);
}

Test(emulator, barriers_and_shuffles_sum_in_any_order) {
    struct rig rig = rig_open();
    upload(&rig, rig.x, rig.compute);
    for (int i = 0; i < ORDERS; i++) {
        emulator_set_order(orders[i], (uint64_t)i);
        ok(probe_sum_blocks(rig.y, rig.x, BLOCKS, rig.compute));
        ok(probe_sum_warps(rig.y + BLOCKS, rig.x, BLOCKS, rig.compute));
        ok(cudaStreamSynchronize(rig.compute));
        const float *y = peek(&rig, rig.y);
        for (int block = 0; block < BLOCKS; block++) {
            float first = (float)(block * PROBE_THREADS + 1);
            float sum = PROBE_THREADS * (first + (PROBE_THREADS - 1) / 2.0f);
            cr_expect_eq(y[block], sum, "order %d, block %d: %g", i, block, (double)y[block]);
        }
        for (int warp = 0; warp < COUNT / 32; warp++) {
            float sum = 32 * ((float)(warp * 32 + 1) + 31 / 2.0f), got = y[BLOCKS + warp];
            cr_expect_eq(got, sum, "order %d, warp %d: %g", i, warp, (double)got);
        }
        ok(cudaMemsetAsync(rig.y, 0, COUNT * sizeof(float), rig.compute));
    }
    rig_close(&rig);
}

Test(emulator, a_shuffle_down_keeps_within_its_warp) {
    struct rig rig = rig_open();
    upload(&rig, rig.x, rig.compute);
    ok(probe_next(rig.y, rig.x, BLOCKS, rig.compute));
    ok(cudaStreamSynchronize(rig.compute));
    const float *y = peek(&rig, rig.y);
    for (int i = 0; i < COUNT; i++)
        cr_expect_eq(y[i], (float)(i % 32 == 31 ? i + 1 : i + 2), "%d: %g", i, (double)y[i]);
    rig_close(&rig);
}

Test(emulator, threads_and_blocks_come_in_the_order_chosen) {
    struct rig rig = rig_open();
    unsigned *order = (unsigned *)(void *)rig.x, *tickets = (unsigned *)(void *)rig.y;
    unsigned came[4][COUNT];
    static const struct {
        enum emulator_order order;
        uint64_t seed;
    } ways[4] = {
        {EMULATOR_FORWARD, 0}, {EMULATOR_REVERSE, 0}, {EMULATOR_SHUFFLE, 7}, {EMULATOR_SHUFFLE, 8}};
    for (int i = 0; i < 4; i++) {
        emulator_set_order(ways[i].order, ways[i].seed);
        ok(cudaMemsetAsync(tickets, 0, sizeof *tickets, rig.compute));
        ok(probe_order(order, tickets, BLOCKS, rig.compute));
        ok(cudaStreamSynchronize(rig.compute));
        memcpy(came[i], peek(&rig, rig.x), sizeof came[i]);
        cr_expect_eq(*(const unsigned *)(const void *)peek(&rig, rig.y), COUNT);
    }
    unsigned sum = 0, moved = 0, other = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        cr_expect_eq(came[0][i], i);
        cr_expect_eq(came[1][i], COUNT - 1 - i);
        sum += came[2][i];
        moved += came[2][i] != i;
        other += came[2][i] != came[3][i];
    }
    cr_expect_eq(sum, COUNT * (COUNT - 1) / 2, "each thread once");
    cr_expect_gt(moved, COUNT / 2);
    cr_expect_gt(other, COUNT / 2, "another seed is another order");
    rig_close(&rig);
}

/* How many values come out right without the barrier. */
static int turned(struct rig *rig, bool barrier, enum emulator_order order, float factor) {
    int right = 0;
    emulator_set_order(order, 0);
    ok(probe_scale(rig->x, rig->x, factor, PROBE_THREADS, rig->compute));
    ok(probe_turn(rig->y, rig->x, barrier, rig->compute));
    ok(cudaStreamSynchronize(rig->compute));
    ok(cudaMemcpy(rig->got + PROBE_THREADS, rig->x, PROBE_THREADS * sizeof(float),
                  cudaMemcpyDeviceToHost));
    ok(cudaMemcpy(rig->got, rig->y, PROBE_THREADS * sizeof(float), cudaMemcpyDeviceToHost));
    for (int i = 0; i < PROBE_THREADS; i++)
        right += rig->got[i] == rig->got[2 * PROBE_THREADS - 1 - i];
    return right;
}

Test(emulator, a_missing_barrier_shows) {
    struct rig rig = rig_open();
    upload(&rig, rig.x, rig.compute);
    for (int i = 0; i < ORDERS; i++) {
        cr_expect_eq(turned(&rig, true, orders[i], 2), PROBE_THREADS, "order %d", i);
        cr_expect_lt(turned(&rig, false, orders[i], 2), PROBE_THREADS, "order %d", i);
    }
    rig_close(&rig);
}

static void leave_before_barrier(struct rig *rig) {
    probe_leave(5, false, rig->compute);
    cudaStreamSynchronize(rig->compute);
}
static void leave_before_shuffle(struct rig *rig) {
    probe_leave(37, true, rig->compute);
    cudaStreamSynchronize(rig->compute);
}

Test(emulator, names_the_thread_that_misses_a_barrier) {
    expect_abort(leave_before_barrier,
                 "emulator: block 1,0,0 of grid 2,1,1: thread 0,0,0 of 96,1,1 "
                 "waits at a barrier, but thread 5,0,0 has ended\n");
    expect_abort(leave_before_shuffle,
                 "emulator: block 1,0,0 of grid 2,1,1: thread 32,0,0 of 96,1,1 "
                 "waits at a shuffle, but thread 37,0,0 has ended\n");
}

/* Under AddressSanitizer only. */
#ifdef __SANITIZE_ADDRESS__
static void write_behind(struct rig *rig) {
    probe_scale(rig->y, rig->x, 1, COUNT + 1, rig->compute);
    cudaStreamSynchronize(rig->compute);
}

Test(emulator, one_value_too_many_shows) {
    expect_abort(write_behind, "heap-buffer-overflow");
}
#endif

/* --- streams and events ---------------------------------------------------------------------- */

/* Has one stream fill x and the other read it, with or without the event between. */
static bool copy_then_compute(struct rig *rig, bool wait, enum emulator_order order) {
    emulator_set_order(order, 0);
    ok(cudaMemsetAsync(rig->x, 0xFF, COUNT * sizeof(float), rig->copy));
    ok(cudaStreamSynchronize(rig->copy));
    upload(rig, rig->x, rig->copy);
    ok(cudaEventRecord(rig->event, rig->copy));
    if (wait)
        ok(cudaStreamWaitEvent(rig->compute, rig->event, 0));
    ok(probe_scale(rig->y, rig->x, 1, COUNT, rig->compute));
    ok(cudaStreamSynchronize(rig->compute));
    return memcmp(peek(rig, rig->y), rig->from, COUNT * sizeof(float)) == 0;
}

/* Has one stream read x and the other overwrite it afterwards. */
static bool compute_then_copy(struct rig *rig, bool wait, enum emulator_order order) {
    emulator_set_order(order, 0);
    upload(rig, rig->x, rig->copy);
    ok(cudaStreamSynchronize(rig->copy));
    ok(probe_scale(rig->y, rig->x, 1, COUNT, rig->compute));
    ok(cudaEventRecord(rig->event, rig->compute));
    if (wait)
        ok(cudaStreamWaitEvent(rig->copy, rig->event, 0));
    ok(cudaMemsetAsync(rig->x, 0, COUNT * sizeof(float), rig->copy));
    ok(cudaStreamSynchronize(rig->compute));
    return memcmp(peek(rig, rig->y), rig->from, COUNT * sizeof(float)) == 0;
}

Test(emulator, a_missing_wait_between_streams_shows) {
    struct rig rig = rig_open();
    for (int i = 0; i < ORDERS; i++) {
        cr_expect(copy_then_compute(&rig, true, orders[i]), "order %d", i);
        cr_expect(compute_then_copy(&rig, true, orders[i]), "order %d", i);
    }
    cr_expect_not(copy_then_compute(&rig, false, EMULATOR_FORWARD));
    cr_expect_not(compute_then_copy(&rig, false, EMULATOR_REVERSE));
    rig_close(&rig);
}

Test(emulator, a_wait_is_for_the_record_before_it) {
    struct rig rig = rig_open();
    upload(&rig, rig.x, rig.copy);
    ok(cudaEventRecord(rig.event, rig.copy));
    ok(cudaStreamWaitEvent(rig.compute, rig.event, 0));
    ok(cudaMemsetAsync(rig.x, 0, COUNT * sizeof(float), rig.copy));
    ok(cudaEventRecord(rig.event, rig.copy)); /* later: not what compute waits for */
    ok(probe_scale(rig.y, rig.x, 1, COUNT, rig.compute));
    ok(cudaStreamSynchronize(rig.compute));
    cr_expect_arr_eq(peek(&rig, rig.y), rig.from, COUNT * sizeof(float));
    cr_expect_eq(peek(&rig, rig.x)[0], 1, "no further than the wait asks");
    ok(cudaEventSynchronize(rig.event));
    cr_expect_eq(peek(&rig, rig.x)[0], 0);
    rig_close(&rig);
}

Test(emulator, work_waits_until_somebody_asks) {
    struct rig rig = rig_open();
    ok(cudaEventQuery(rig.event)); /* never recorded */
    ok(cudaEventSynchronize(rig.event));
    upload(&rig, rig.x, rig.compute);
    ok(cudaEventRecord(rig.event, rig.compute));
    cr_expect(isnan(peek(&rig, rig.x)[0]), "queued, not done");
    rig.from[0] = 77; /* read when the copy runs, not when it is queued */
    int asked = 1;
    for (; cudaEventQuery(rig.event) == cudaErrorNotReady; asked++)
        cr_assert_lt(asked, 10);
    cr_expect_gt(asked, 1);
    cr_expect_eq(peek(&rig, rig.x)[0], 77);
    cr_expect_eq(cudaGetLastError(), cudaSuccess, "not ready is no error");
    ok(cudaStreamQuery(rig.compute));
    ok(cudaMemsetAsync(rig.x, 0, 4, rig.copy));
    cr_expect_eq(cudaStreamQuery(rig.copy), cudaErrorNotReady);
    ok(cudaDeviceSynchronize());
    ok(cudaStreamQuery(rig.copy));
    rig_close(&rig);
}

Test(emulator, the_null_stream_may_be_late) {
    struct rig rig = rig_open();
    float plain[COUNT] = {5};
    for (int late = 0; late < 2; late++) {
        emulator_set_late_null_stream(late);
        ok(cudaMemset(rig.x, 0xFF, COUNT * sizeof(float)));
        ok(cudaDeviceSynchronize());
        ok(cudaMemcpy(rig.x, plain, sizeof plain, cudaMemcpyHostToDevice));
        ok(probe_scale(rig.y, rig.x, 1, COUNT, rig.compute));
        ok(cudaStreamSynchronize(rig.compute));
        cr_expect_eq(isnan(peek(&rig, rig.y)[0]) != 0, late);
    }
    ok(cudaMemcpy(rig.x, rig.from, sizeof plain, cudaMemcpyHostToDevice)); /* pinned: waits */
    ok(probe_scale(rig.y, rig.x, 1, COUNT, rig.compute));
    ok(cudaStreamSynchronize(rig.compute));
    cr_expect_eq(peek(&rig, rig.y)[0], 1);
    rig_close(&rig);
}

/* --- graphs ---------------------------------------------------------------------------------- */

/* Records y = factor x, and makes a graph of it. */
static cudaGraphExec_t record(struct rig *rig, float factor) {
    cudaGraph_t graph;
    cudaGraphExec_t made;
    size_t nodes = 0;
    enum cudaStreamCaptureStatus state;
    ok(cudaStreamBeginCapture(rig->compute, cudaStreamCaptureModeThreadLocal));
    upload(rig, rig->x, rig->compute);
    ok(probe_scale(rig->y, rig->x, factor, COUNT, rig->compute));
    ok(cudaStreamIsCapturing(rig->compute, &state));
    cr_expect_eq(state, cudaStreamCaptureStatusActive);
    ok(cudaStreamEndCapture(rig->compute, &graph));
    ok(cudaGraphGetNodes(graph, NULL, &nodes));
    cr_expect_eq(nodes, 2);
    ok(cudaGraphInstantiate(&made, graph, 0));
    ok(cudaGraphDestroy(graph));
    return made;
}

Test(emulator, a_graph_runs_each_time_it_is_launched) {
    struct rig rig = rig_open();
    cudaGraphExec_t graph = record(&rig, 3);
    ok(cudaStreamSynchronize(rig.compute));
    cr_expect(isnan(peek(&rig, rig.y)[0]), "recorded, not run");
    for (int i = 1; i < 4; i++) {
        rig.from[0] = (float)i;
        ok(cudaGraphLaunch(graph, rig.compute));
        ok(cudaStreamSynchronize(rig.compute));
        cr_expect_eq(peek(&rig, rig.y)[0], (float)(3 * i));
    }
    cr_expect_eq(emulator_launches(), 3);
    ok(cudaGraphExecDestroy(graph));
    rig_close(&rig);
}

static void destroy_queued(struct rig *rig) {
    cudaGraphExec_t graph = record(rig, 3);
    cudaGraphLaunch(graph, rig->compute);
    cudaGraphExecDestroy(graph);
}

Test(emulator, a_graph_outlives_its_launches) {
    expect_abort(destroy_queued, "emulator: a graph is destroyed while it waits to run\n");
}

static cudaError_t call_malloc(struct rig *rig) {
    void *place;
    (void)rig;
    return cudaMalloc(&place, 4);
}
static cudaError_t call_wait(struct rig *rig) {
    return cudaStreamSynchronize(rig->copy);
}
static cudaError_t call_query(struct rig *rig) {
    return cudaEventQuery(rig->event);
}
static cudaError_t call_copy(struct rig *rig) {
    return cudaMemcpy(rig->x, rig->y, 4, cudaMemcpyDeviceToDevice);
}

Test(emulator, a_recording_is_lost_by_a_call_that_is_not_allowed) {
    static cudaError_t (*const calls[])(struct rig *) = {call_malloc, call_wait, call_query,
                                                         call_copy};
    struct rig rig = rig_open();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        cudaGraph_t graph = NULL;
        ok(cudaStreamBeginCapture(rig.compute, cudaStreamCaptureModeThreadLocal));
        cr_expect_eq(calls[i](&rig), cudaErrorStreamCaptureUnsupported, "call %zu", i);
        cr_expect_eq(cudaStreamEndCapture(rig.compute, &graph), cudaErrorStreamCaptureInvalidated);
        cr_expect_null(graph);
        ok(cudaGraphExecDestroy(record(&rig, 1))); /* the next is well */
    }
    rig_close(&rig);
}

/* --- faults ---------------------------------------------------------------------------------- */

Test(emulator, the_call_that_is_chosen_fails) {
    struct rig rig = rig_open();
    void *place = NULL;
    emulator_fail_after(2);
    ok(cudaEventRecord(rig.event, rig.compute));
    cr_expect_eq(cudaEventRecord(rig.event, rig.compute), cudaErrorUnknown);
    cr_expect_eq(cudaPeekAtLastError(), cudaErrorUnknown);
    cr_expect_eq(cudaGetLastError(), cudaErrorUnknown);
    cr_expect_eq(cudaGetLastError(), cudaSuccess);
    ok(cudaEventRecord(rig.event, rig.compute));
    emulator_fail_call("cudaMalloc", 1);
    ok(cudaEventRecord(rig.event, rig.compute));
    cr_expect_eq(cudaMalloc(&place, 4), cudaErrorMemoryAllocation);
    emulator_fail_after(1);
    cr_expect_eq(probe_empty(1, 1, rig.compute), cudaErrorLaunchOutOfResources);
    emulator_fail_after(1);
    cr_expect_eq(cudaFree(rig.x), cudaErrorUnknown);
    rig.x = NULL; /* freed all the same */
    rig_close(&rig);
}

Test(emulator, memory_ends_where_it_is_told_to) {
    size_t available, total;
    void *half, *rest;
    emulator_set_memory(1000);
    ok(cudaMalloc(&half, 600));
    ok(cudaMemGetInfo(&available, &total));
    cr_expect_eq(available, 400);
    cr_expect_eq(total, 1000);
    cr_expect_eq(emulator_memory_used(), 600);
    cr_expect_eq(cudaMalloc(&rest, 401), cudaErrorMemoryAllocation);
    cr_expect_eq(cudaMalloc(&rest, SIZE_MAX), cudaErrorMemoryAllocation);
    ok(cudaMalloc(&rest, 400));
    cr_expect_eq(emulator_alive_of(EMULATOR_DEVICE_BLOCK), 2);
    ok(cudaFree(rest));
    ok(cudaFree(half));
    cr_expect_eq(cudaFree(half), cudaErrorInvalidValue);
    cr_expect_eq(emulator_memory_used(), 0);
}

Test(emulator, a_lost_device_stays_lost_and_everything_can_be_freed) {
    struct rig rig = rig_open();
    cudaGraphExec_t graph = record(&rig, 3);
    emulator_lose_after(2);
    ok(cudaGraphLaunch(graph, rig.compute));
    cr_expect_eq(cudaGraphLaunch(graph, rig.compute), cudaErrorIllegalAddress);
    cr_expect(emulator_is_lost());
    cr_expect_eq(cudaStreamSynchronize(rig.compute), cudaErrorIllegalAddress);
    cr_expect_eq(cudaEventRecord(rig.event, rig.copy), cudaErrorIllegalAddress);
    cr_expect_eq(cudaGetLastError(), cudaErrorIllegalAddress);
    cr_expect_eq(cudaGetLastError(), cudaErrorIllegalAddress);
    cr_expect_eq(probe_empty(1, 1, rig.compute), cudaErrorIllegalAddress);
    cr_expect_eq(cudaGraphExecDestroy(graph), cudaErrorIllegalAddress);
    rig_close(&rig);
    emulator_reset();
    emulator_lose_after_calls(2);
    rig = (struct rig){0};
    int count;
    ok(cudaGetDeviceCount(&count));
    cr_expect_eq(cudaGetDeviceCount(&count), cudaErrorIllegalAddress);
}

Test(emulator, tells_what_is_alive) {
    struct rig rig = rig_open();
    char alive[200];
    cr_expect_eq(emulator_alive(alive, sizeof alive), 7);
    cr_expect_str_eq(alive, "2 device blocks; 2 host blocks; 2 streams; 1 events; ");
    cr_expect_eq(emulator_alive(NULL, 0), 7);
    rig_close(&rig);
}

Test(emulator, the_environment_sets_faults) {
    int count = -1;
    size_t available, total;
    void *place = NULL;
    setenv("EMULATOR_FAIL", "cudaMalloc:2", 1);
    setenv("EMULATOR_LOST", "calls:5", 1);
    setenv("EMULATOR_MEMORY", "4096", 1);
    ok(cudaMemGetInfo(&available, &total)); /* the first call reads them */
    cr_expect_eq(total, 4096);
    ok(cudaMalloc(&place, 16));
    cr_expect_eq(cudaMalloc(&place, 16), cudaErrorMemoryAllocation);
    ok(cudaGetDeviceCount(&count));
    cr_expect_eq(count, 1);
    cr_expect_eq(cudaGetDeviceCount(&count), cudaErrorIllegalAddress);
    emulator_reset();
    ok(cudaMemGetInfo(&available, &total));
    cr_expect_eq(total, (size_t)8 << 30, "a reset forgets the environment");
    ok(cudaFree(place));
}

Test(emulator, the_environment_may_leave_no_device) {
    int count = -1;
    setenv("EMULATOR_DEVICES", "0", 1);
    cr_expect_eq(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    cr_expect_eq(count, 0);
    cr_expect_eq(cudaSetDevice(0), cudaErrorInvalidDevice);
}
