/* What the files of the emulated CUDA runtime share: runtime.cpp (device and memory), streams.cpp
 * (streams, events, graphs), faults.cpp (faults and counts), blocks.cpp (kernels). */
#ifndef TESTS_EMULATOR_RUNTIME_HPP
#define TESTS_EMULATOR_RUNTIME_HPP

#include "tests/emulator/emulator.hpp"

/* Keeps an error for cudaGetLastError, and gives it back (runtime.cpp). */
cudaError_t emulator_answer(cudaError_t status);

/* The start of every function of the runtime that does nothing when it fails. */
#define CALL(name)                                                                                 \
    do {                                                                                           \
        cudaError_t begun = emulator_begin(name);                                                  \
        if (begun != cudaSuccess)                                                                  \
            return emulator_answer(begun);                                                         \
    } while (0)

/* What must not happen while a stream is being recorded: the recording is lost by it. */
#define NOT_IN_CAPTURE()                                                                           \
    do {                                                                                           \
        if (emulator_spoil_capture())                                                              \
            return emulator_answer(cudaErrorStreamCaptureUnsupported);                             \
    } while (0)

/* --- streams.cpp --- */

/* Whether a stream is being recorded; its recording is invalid from then on. */
bool emulator_spoil_capture();
/* Throws away what is queued: the device is lost. */
void emulator_drop_work();
/* Runs what the null stream has been given. */
void emulator_run_null_stream();
/* Has the null stream do this: at once, or late. */
void emulator_on_null_stream(std::function<void()> work);

/* --- faults.cpp --- */

int emulator_devices();
size_t emulator_memory();
/* Counts a graph launch; true where it loses the device. */
bool emulator_launch();
bool emulator_late_null_stream();

/* --- blocks.cpp --- */

enum emulator_order emulator_get_order();
/* A number below `limit`. */
uint64_t emulator_random(uint64_t limit);

#endif
