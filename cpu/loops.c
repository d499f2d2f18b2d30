/* Which table of hot loops this processor gets. */
#include "cpu/loops.h"

extern const struct loops loops_plain;
#if defined(__x86_64__)
extern const struct loops loops_avx2, loops_avx512;
#endif

const struct loops *loops_choose(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2"))
        return &loops_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2"))
        return &loops_avx2;
#endif
    return &loops_plain;
}
