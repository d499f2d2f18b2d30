/* Runs the threads of a block as fibers. A fiber runs one thread after another until one of them
 * meets a barrier or a shuffle, so a kernel without any costs two switches per block. What no
 * hardware forgives ends the program: a barrier that not all threads of a block reach, or a shuffle
 * that not all lanes of a warp reach. */
#undef _FORTIFY_SOURCE /* its longjmp refuses to change stacks */
#include "tests/emulator/runtime.hpp"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

const size_t STACK = 128 << 10; /* bytes */
const unsigned WARP = 32;

/* A place to go on from; the sanitizers must be told of each switch. */
struct context {
    ucontext_t first;    /* from where it starts, or with a sanitizer always */
    jmp_buf at;          /* from where it goes on: needs no system call */
    bool started = true; /* as the scheduler, which runs already */
    const void *stack = nullptr;
    size_t stack_size = 0;
    void *fiber = nullptr; /* ThreadSanitizer's */
};

struct fiber {
    context where;
    std::unique_ptr<char[]> stack{new char[STACK]};
};

enum state { NEW, READY, AT_BARRIER, AT_SHUFFLE, ENDED };
const char *const state_names[] = {"has not begun", "runs", "waits at a barrier",
                                   "waits at a shuffle", "has ended"};

struct thread {
    state now;
    fiber *on; /* NULL until it runs */
    uint3 index;
    unsigned shuffles; /* so far: two buffers are enough, since no lane can be two ahead */
};

struct block {
    std::vector<thread> threads;
    std::vector<unsigned> turns; /* the threads in the order in which they run */
    size_t turn;                 /* of the running thread */
    unsigned current;            /* the running thread */
    std::vector<uint64_t> values[2];
    std::vector<std::unique_ptr<fiber>> fibers;
    std::vector<fiber *> unused;
    context scheduler;
    const std::function<void()> *body;
    emulator_order order;
    uint64_t seed;
};

block the; /* blocks run one after another on one host thread */

/* --- fibers ---------------------------------------------------------------------------------- */

void switch_context(context &from, context &to) {
#if defined(__SANITIZE_ADDRESS__)
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, to.stack, to.stack_size);
    swapcontext(&from.first, &to.first);
    /* Fibers and the scheduler take turns: who comes back from here was called by `to`. */
    __sanitizer_finish_switch_fiber(fake, &to.stack, &to.stack_size);
#elif defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to.fiber, 0);
    swapcontext(&from.first, &to.first);
#else
    if (_setjmp(from.at))
        return;
    if (to.started)
        _longjmp(to.at, 1);
    to.started = true;
    setcontext(&to.first);
#endif
}

/* Whether the next thread is new as well: makes it the running one. */
bool next_is_new() {
    if (the.turn + 1 == the.turns.size())
        return false;
    unsigned next = the.turns[the.turn + 1];
    if (the.threads[next].now != NEW)
        return false;
    the.threads[next].on = the.threads[the.current].on;
    the.turn++;
    the.current = next;
    threadIdx = the.threads[next].index;
    return true;
}

/* What a fiber does: threads, for ever. */
void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &the.scheduler.stack, &the.scheduler.stack_size);
#endif
    for (;;) {
        do {
            the.threads[the.current].now = READY;
            (*the.body)();
            the.threads[the.current].now = ENDED;
        } while (next_is_new());
        fiber *own = the.threads[the.current].on;
        the.unused.push_back(own);
        switch_context(own->where, the.scheduler);
    }
}

fiber *take_fiber() {
    if (the.unused.empty()) {
        the.fibers.emplace_back(new fiber);
        fiber *made = the.fibers.back().get();
        context &where = made->where;
        where.started = false;
        where.stack = made->stack.get();
        where.stack_size = STACK;
        getcontext(&where.first);
        where.first.uc_stack.ss_sp = made->stack.get();
        where.first.uc_stack.ss_size = STACK;
        where.first.uc_link = nullptr;
        makecontext(&where.first, fiber_main, 0);
#if defined(__SANITIZE_THREAD__)
        where.fiber = __tsan_create_fiber(0);
#endif
        the.unused.push_back(made);
    }
    fiber *taken = the.unused.back();
    the.unused.pop_back();
    return taken;
}

/* --- threads --------------------------------------------------------------------------------- */

void resume(unsigned index) {
    thread &next = the.threads[index];
    if (!next.on)
        next.on = take_fiber();
    the.current = index;
    threadIdx = next.index;
    switch_context(the.scheduler, next.on->where);
}

void wait_at(state where) {
    thread &self = the.threads[the.current];
    self.now = where;
    switch_context(self.on->where, the.scheduler);
}

[[noreturn]] void stuck(const thread &waits, const thread &other) {
    fprintf(stderr,
            "emulator: block %u,%u,%u of grid %u,%u,%u: thread %u,%u,%u of %u,%u,%u %s, but thread "
            "%u,%u,%u %s\n",
            blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x, gridDim.y, gridDim.z, waits.index.x,
            waits.index.y, waits.index.z, blockDim.x, blockDim.y, blockDim.z,
            state_names[waits.now], other.index.x, other.index.y, other.index.z,
            state_names[other.now]);
    abort();
}

/* The threads first … last-1 go on when all of them wait at the same. */
bool release(unsigned first, unsigned last, state where) {
    for (unsigned i = first; i < last; i++)
        if (the.threads[i].now != where)
            return false;
    for (unsigned i = first; i < last; i++)
        the.threads[i].now = READY;
    return true;
}

/* Lets go the warps whose lanes all wait at a shuffle, or else the block when all its threads wait
 * at a barrier. False when the block has ended. */
bool release_block() {
    unsigned count = (unsigned)the.threads.size();
    bool released = false;
    for (unsigned warp = 0; warp < count; warp += WARP)
        released |= release(warp, std::min(warp + WARP, count), AT_SHUFFLE);
    if (released || release(0, count, AT_BARRIER))
        return true;
    for (unsigned i = 0; i < count; i++) {
        const thread &waits = the.threads[i];
        if (waits.now == ENDED)
            continue;
        bool shuffle = waits.now == AT_SHUFFLE;
        unsigned other = shuffle ? i / WARP * WARP : 0;
        while (the.threads[other].now == waits.now)
            other++;
        stuck(waits, the.threads[other]);
    }
    return false;
}

void shuffle_turns() {
    for (size_t i = the.turns.size(); i > 1; i--)
        std::swap(the.turns[i - 1], the.turns[emulator_random(i)]);
}

void run_block() {
    for (unsigned i = 0; i < the.threads.size(); i++) {
        thread &self = the.threads[i];
        self = thread{};
        self.index.x = i % blockDim.x;
        self.index.y = i / blockDim.x % blockDim.y;
        self.index.z = i / blockDim.x / blockDim.y;
    }
    do {
        if (the.order == EMULATOR_SHUFFLE)
            shuffle_turns();
        for (the.turn = 0; the.turn < the.turns.size(); the.turn++) {
            unsigned next = the.turns[the.turn];
            if (the.threads[next].now == NEW || the.threads[next].now == READY)
                resume(next);
        }
    } while (release_block());
}

} // namespace

/* --- what kernels call ----------------------------------------------------------------------- */

void __syncthreads() {
    wait_at(AT_BARRIER);
}

unsigned emulator_lane() {
    return the.current % WARP;
}

uint64_t emulator_shuffle(uint64_t value, unsigned from) {
    unsigned own = the.current, turn = the.threads[own].shuffles++ % 2;
    unsigned other = own / WARP * WARP + from;
    the.values[turn][own] = value;
    wait_at(AT_SHUFFLE);
    return other < the.threads.size() ? the.values[turn][other] : ~(uint64_t)0;
}

/* --- what the runtime calls ------------------------------------------------------------------ */

void emulator_set_order(enum emulator_order order, uint64_t seed) {
    the.order = order;
    the.seed = seed;
}

enum emulator_order emulator_get_order() {
    return the.order;
}

uint64_t emulator_random(uint64_t limit) {
    uint64_t x = the.seed += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (x ^ x >> 31) % limit;
}

void emulator_run(dim3 grid, dim3 size, const std::function<void()> &body) {
    unsigned threads = size.x * size.y * size.z;
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    std::vector<uint64_t> turns(the.order == EMULATOR_SHUFFLE ? blocks : 0);
    std::iota(turns.begin(), turns.end(), 0);
    for (size_t i = turns.size(); i > 1; i--)
        std::swap(turns[i - 1], turns[emulator_random(i)]);
    gridDim = grid;
    blockDim = size;
    the.body = &body;
    the.threads.resize(threads);
    the.turns.resize(threads);
    std::iota(the.turns.begin(), the.turns.end(), 0);
    if (the.order == EMULATOR_REVERSE)
        std::reverse(the.turns.begin(), the.turns.end());
    for (auto &values : the.values)
        values.resize(threads);
#if defined(__SANITIZE_THREAD__)
    the.scheduler.fiber = __tsan_get_current_fiber();
#endif
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = the.order == EMULATOR_FORWARD   ? i
                      : the.order == EMULATOR_REVERSE ? blocks - 1 - i
                                                      : turns[i];
        blockIdx.x = (unsigned)(at % grid.x);
        blockIdx.y = (unsigned)(at / grid.x % grid.y);
        blockIdx.z = (unsigned)(at / grid.x / grid.y);
        run_block();
    }
}
