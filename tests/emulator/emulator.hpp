/* What the emulated libraries use of the emulated runtime. */
#ifndef TESTS_EMULATOR_HPP
#define TESTS_EMULATOR_HPP

#include "tests/emulator/emulator.h"

#include <cuda_runtime_api.h>
#include <functional>

/* Puts work on a stream, or into the graph that the stream is being recorded into. Answers
 * cudaErrorInvalidResourceHandle for the null stream: the engine must name its own. */
cudaError_t emulator_enqueue(cudaStream_t stream, std::function<void()> work);

/* Runs `thread` for every thread of every block (blocks.cpp). */
void emulator_run(dim3 grid, dim3 block, const std::function<void()> &thread);

/* Begins a call: counts it, and answers what it must fail with, or cudaSuccess. */
cudaError_t emulator_begin(const char *name);

#endif
