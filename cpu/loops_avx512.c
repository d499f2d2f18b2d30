/* The hot loops for AVX512 (Skylake server and later). */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,fma,bmi2")
#define LOOPS_TABLE loops_avx512
#include "cpu/loops_body.h"
#else
typedef int loops_avx512_is_for_x86; /* a file may not be empty */
#endif
