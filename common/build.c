/* See build.h. The Makefile gives BUILD_COMMIT. */
#include "common/build.h"

#include "common/version.h"

#ifndef BUILD_COMMIT
#define BUILD_COMMIT "unknown"
#endif
#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *const build_text = "digitsum " VERSION_TEXT " (" BUILD_COMMIT "), " COMPILER;
