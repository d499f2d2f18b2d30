/* A table with one row of every kind, for the tests of options. */
#ifndef TESTS_COMMON_OPTIONS_RIG_H
#define TESTS_COMMON_OPTIONS_RIG_H

#include "common/options.h"

#include <stdint.h>

struct target {
    int64_t batch, offset, seed;
    double rate, bias, epochs;
    bool resume;
    const char *name, *note, *device, *precision;
    const char **extra;
    const char *net;
    char guard[8]; /* "guard": nothing writes beyond the fields */
};

extern const struct options_program options_rig;

#define TARGET ((struct target){.guard = "guard"})

/* Parses "program ARGUMENTS" (separated by single blanks) and asserts that it succeeds. */
struct options *options_rig_parse(const char *arguments, struct target *target);

/* As above without asserting; `argv` ends in NULL and lacks the program's name. */
struct options *options_rig_try(const char *const *argv, struct target *target,
                                struct error *error);

#endif
