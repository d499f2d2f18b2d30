/* What the emulated device was told to do wrong, and what is counted. */
#include "tests/emulator/runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct state {
    uint64_t calls = 0, launches = 0;
    uint64_t fail_at = 0, lose_at = 0, lose_at_call = 0; /* counts; 0 = never */
    std::string fail_name;
    uint64_t fail_name_left = 0;
    size_t memory = (size_t)8 << 30;
    int devices = 1;
    bool lost = false, late_null_stream = true;
};

void read_environment(state &s) {
    if (const char *text = getenv("EMULATOR_FAIL")) {
        if (const char *colon = strchr(text, ':')) {
            s.fail_name.assign(text, colon);
            s.fail_name_left = strtoull(colon + 1, nullptr, 10);
        } else {
            s.fail_at = strtoull(text, nullptr, 10);
        }
    }
    if (const char *text = getenv("EMULATOR_LOST")) {
        if (strncmp(text, "calls:", 6) == 0)
            s.lose_at_call = strtoull(text + 6, nullptr, 10);
        else
            s.lose_at = strtoull(text, nullptr, 10);
    }
    if (const char *text = getenv("EMULATOR_MEMORY"))
        s.memory = strtoull(text, nullptr, 10);
    if (const char *text = getenv("EMULATOR_DEVICES"))
        s.devices = atoi(text);
    if (const char *text = getenv("EMULATOR_ORDER")) {
        if (strcmp(text, "reverse") == 0)
            emulator_set_order(EMULATOR_REVERSE, 0);
        if (strncmp(text, "shuffle", 7) == 0)
            emulator_set_order(EMULATOR_SHUFFLE,
                               text[7] == ':' ? strtoull(text + 8, nullptr, 10) : 0);
    }
    const char *null_stream = getenv("EMULATOR_NULL_STREAM");
    s.late_null_stream = !null_stream || strcmp(null_stream, "now") != 0;
}

state &s() {
    static state the = [] {
        state fresh;
        read_environment(fresh);
        return fresh;
    }();
    return the;
}

long alive[EMULATOR_THINGS]; /* not in the state: a reset frees nothing */

void lose() {
    s().lost = true;
    emulator_drop_work();
}

} // namespace

int emulator_devices() {
    return s().devices;
}
size_t emulator_memory() {
    return s().memory;
}
bool emulator_late_null_stream() {
    return s().late_null_stream;
}

bool emulator_launch() {
    if (++s().launches != s().lose_at)
        return false;
    lose();
    return true;
}

cudaError_t emulator_begin(const char *name) {
    if (!emulator_call(name))
        return cudaSuccess;
    if (s().lost)
        return cudaErrorIllegalAddress;
    if (strcmp(name, "cudaMalloc") == 0 || strcmp(name, "cudaHostAlloc") == 0)
        return cudaErrorMemoryAllocation;
    return strcmp(name, "cudaLaunchKernel") == 0 ? cudaErrorLaunchOutOfResources : cudaErrorUnknown;
}

extern "C" {

bool emulator_call(const char *name) {
    state &now = s();
    now.calls++;
    if (now.calls == now.lose_at_call)
        lose();
    if (now.lost || now.calls == now.fail_at)
        return true;
    return now.fail_name_left > 0 && now.fail_name == name && --now.fail_name_left == 0;
}

bool emulator_is_lost(void) {
    return s().lost;
}
uint64_t emulator_calls(void) {
    return s().calls;
}
uint64_t emulator_launches(void) {
    return s().launches;
}

void emulator_fail_after(uint64_t n) {
    s().fail_at = n ? s().calls + n : 0;
}
void emulator_fail_call(const char *name, uint64_t n) {
    s().fail_name = name;
    s().fail_name_left = n;
}
void emulator_lose_after(uint64_t n) {
    s().lose_at = n ? s().launches + n : 0;
}
void emulator_lose_after_calls(uint64_t n) {
    s().lose_at_call = n ? s().calls + n : 0;
}
void emulator_set_memory(size_t bytes) {
    s().memory = bytes;
}
void emulator_set_devices(int count) {
    s().devices = count;
}
void emulator_set_reverse(bool reverse) {
    emulator_set_order(reverse ? EMULATOR_REVERSE : EMULATOR_FORWARD, 0);
}
void emulator_set_late_null_stream(bool late) {
    s().late_null_stream = late;
}
void emulator_reset(void) {
    s() = state();
    emulator_set_order(EMULATOR_FORWARD, 0);
    cudaGetLastError();
}

void emulator_count(enum emulator_thing thing, int change) {
    alive[thing] += change;
    if (alive[thing] >= 0)
        return;
    fprintf(stderr, "emulator: thing of kind %d is freed more often than made\n", (int)thing);
    abort();
}

long emulator_alive_of(enum emulator_thing thing) {
    return alive[thing];
}

long emulator_alive(char *text, size_t size) {
    static const char *const names[] = {"device blocks", "host blocks", "streams",
                                        "events",        "graphs",      "descriptors"};
    static_assert(sizeof names / sizeof *names == EMULATOR_THINGS, "one name for each kind");
    long all = 0;
    size_t at = 0;
    if (size > 0)
        text[0] = '\0';
    for (int i = 0; i < EMULATOR_THINGS; i++) {
        all += alive[i];
        if (alive[i] && at < size)
            at += (size_t)snprintf(text + at, size - at, "%ld %s; ", alive[i], names[i]);
    }
    return all;
}

} // extern "C"
