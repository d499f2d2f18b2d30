/* The hot loops for AVX512 (Skylake server and later); the Makefile has the compiler flags. */
#if defined(__x86_64__)
#define LOOPS_TABLE loops_avx512
#include "cpu/loops_body.h"
#else
typedef int loops_avx512_is_for_x86; /* a file may not be empty */
#endif
