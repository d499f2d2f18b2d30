/* The hot loops for AVX2 (Haswell and later); the Makefile has the compiler flags. */
#if defined(__x86_64__)
#define LOOPS_TABLE loops_avx2
#include "cpu/loops_body.h"
#else
typedef int loops_avx2_is_for_x86; /* a file may not be empty */
#endif
