/* What options.c and options_file.c share. */
#ifndef COMMON_OPTIONS_PRIVATE_H
#define COMMON_OPTIONS_PRIVATE_H

#include "common/options.h"

struct options {
    const struct options_program *program;
    void *target;
    bool *given; /* [rows]: stood on the command line */
    bool positional_given;
    void **blocks; /* texts and lists that the target points to */
    size_t block_count;
};

/* Parses and stores one value; `where` begins the sentence: "--" or "quick.recipe:12:1: ". */
int options_set(struct options *self, const struct option_row *row, const char *text,
                const char *where, struct error *error);

#endif
