/* Runs the threads of a block as fibers. A thread runs until its first barrier or shuffle; one that
 * meets none never needs a stack of its own. What no hardware forgives ends the program: a barrier
 * or shuffle that not all threads reach. */
#include "tests/emulator/emulator.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FIBERS_UNDER_ASAN 1
#else
#define FIBERS_UNDER_ASAN 0
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

const size_t STACK = 128 << 10; /* bytes */

enum state { NEW, READY, AT_BARRIER, AT_SHUFFLE, ENDED };

/* A switch saves registers only: swapcontext would ask the system for the signal mask each time.
 * It is what starts a fiber, and what the sanitizer understands. */
struct fiber {
    ucontext_t context;
    jmp_buf at;
    bool started = false;
    std::unique_ptr<char[]> stack{new char[STACK]};
};

struct thread {
    state now;
    fiber *on; /* NULL until it runs */
    uint3 index;
    unsigned shuffles; /* so far: two buffers are enough, since no lane can be two ahead */
};

struct block {
    std::vector<thread> threads;
    std::vector<uint64_t> values[2];
    std::vector<std::unique_ptr<fiber>> fibers;
    std::vector<fiber *> unused;
    ucontext_t scheduler;
    jmp_buf scheduler_at;
    unsigned current;
    const std::function<void()> *body;
    bool reverse;
    /* The scheduler's own stack, for the sanitizer. */
    const void *stack;
    size_t stack_size;
};

block the; /* blocks run one after another on one host thread */

void to_scheduler(fiber *from, bool last) {
#if FIBERS_UNDER_ASAN
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(last ? nullptr : &fake, the.stack, the.stack_size);
    swapcontext(&from->context, &the.scheduler);
    __sanitizer_finish_switch_fiber(fake, &the.stack, &the.stack_size);
#else
    (void)last;
    if (_setjmp(from->at) == 0)
        _longjmp(the.scheduler_at, 1);
#endif
}

/* What a fiber does: one thread after another, for ever. */
void fiber_main() {
#if FIBERS_UNDER_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &the.stack, &the.stack_size);
#endif
    for (;;) {
        (*the.body)();
        thread &self = the.threads[the.current];
        self.now = ENDED;
        to_scheduler(self.on, false);
    }
}

void resume(unsigned index) {
    thread &next = the.threads[index];
    if (!next.on) {
        if (the.unused.empty()) {
            the.fibers.emplace_back(new fiber);
            fiber *made = the.fibers.back().get();
            getcontext(&made->context);
            made->context.uc_stack.ss_sp = made->stack.get();
            made->context.uc_stack.ss_size = STACK;
            made->context.uc_link = nullptr;
            makecontext(&made->context, fiber_main, 0);
            the.unused.push_back(made);
        }
        next.on = the.unused.back();
        the.unused.pop_back();
    }
    the.current = index;
    threadIdx = next.index;
#if FIBERS_UNDER_ASAN
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, next.on->stack.get(), STACK);
    swapcontext(&the.scheduler, &next.on->context);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    if (_setjmp(the.scheduler_at) == 0) {
        if (next.on->started)
            _longjmp(next.on->at, 1);
        next.on->started = true;
        setcontext(&next.on->context);
    }
#endif
    if (next.now == ENDED)
        the.unused.push_back(next.on);
}

void wait_at(state where) {
    thread &self = the.threads[the.current];
    self.now = where;
    to_scheduler(self.on, false);
    threadIdx = self.index;
}

[[noreturn]] void stuck(unsigned index) {
    fprintf(stderr,
            "emulator: grid %u,%u,%u block %u,%u,%u: thread %u waits at a %s that others do not "
            "reach\n",
            gridDim.x, gridDim.y, gridDim.z, blockDim.x, blockDim.y, blockDim.z, index,
            the.threads[index].now == AT_BARRIER ? "barrier" : "shuffle");
    abort();
}

/* Lets go the warps whose lanes all wait at a shuffle; else, when all threads that are alive wait
 * at the barrier, these. False when the block has ended. */
bool release() {
    unsigned count = (unsigned)the.threads.size(), alive = 0, at_barrier = 0, first = 0;
    bool released = false;
    for (unsigned warp = 0; warp < count; warp += 32) {
        unsigned end = warp + 32 < count ? warp + 32 : count, waiting = 0;
        for (unsigned i = warp; i < end; i++) {
            waiting += the.threads[i].now == AT_SHUFFLE;
            at_barrier += the.threads[i].now == AT_BARRIER;
            if (the.threads[i].now != ENDED && alive++ == 0)
                first = i;
        }
        if (waiting == end - warp) {
            for (unsigned i = warp; i < end; i++)
                the.threads[i].now = READY;
            released = true;
        }
    }
    if (alive == 0)
        return false;
    if (!released && at_barrier != alive)
        stuck(first);
    for (unsigned i = 0; i < count && !released; i++)
        if (the.threads[i].now == AT_BARRIER)
            the.threads[i].now = READY;
    return true;
}

void run_block() {
    unsigned count = (unsigned)the.threads.size();
    for (unsigned i = 0; i < count; i++) {
        thread &self = the.threads[i];
        self = thread{};
        self.index.x = i % blockDim.x;
        self.index.y = i / blockDim.x % blockDim.y;
        self.index.z = i / blockDim.x / blockDim.y;
    }
    do
        for (unsigned i = 0; i < count; i++) {
            unsigned at = the.reverse ? count - 1 - i : i;
            if (the.threads[at].now == NEW || the.threads[at].now == READY)
                resume(at);
        }
    while (release());
}

} // namespace

void __syncthreads() {
    wait_at(AT_BARRIER);
}

unsigned emulator_lane() {
    return the.current % 32;
}

uint64_t emulator_shuffle(uint64_t value, unsigned from) {
    unsigned own = the.current, turn = the.threads[own].shuffles++ % 2;
    unsigned other = own / 32 * 32 + from;
    the.values[turn][own] = value;
    wait_at(AT_SHUFFLE);
    return the.values[turn][other < the.threads.size() ? other : own];
}

void emulator_set_reverse(bool reverse) {
    the.reverse = reverse;
}

void emulator_run(dim3 grid, dim3 block, const std::function<void()> &thread) {
    unsigned threads = block.x * block.y * block.z;
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    gridDim = grid;
    blockDim = block;
    the.body = &thread;
    the.threads.resize(threads);
    for (auto &values : the.values)
        values.resize(threads);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = the.reverse ? blocks - 1 - i : i;
        blockIdx.x = (unsigned)(at % grid.x);
        blockIdx.y = (unsigned)(at / grid.x % grid.y);
        blockIdx.z = (unsigned)(at / grid.x / grid.y);
        run_block();
    }
}
