/* Options as one table: name, kind, bounds, default, help, where the value is stored. Parsing, the
 * help text, recipe files and the "settings as used" all come from the same rows.
 *
 * Order of precedence: command line, then recipe file, then the row's default. */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_FLAG, /* bool: present or not; in a file: true or false */
    OPTION_INT,  /* int64_t within [min, max]: digits and a sign, nothing else */
    OPTION_REAL, /* double within [min, max]: decimal, an exponent allowed */
    OPTION_TEXT, /* const char *, UTF-8, never NULL when there is a default; owned by the options */
    OPTION_CHOICE /* const char *, one of the words of `choices`, separated by '|' */
};

enum {
    OPTION_RECIPE = 1,  /* may stand in a recipe file */
    OPTION_SETTING = 2, /* decides the results: is recorded, and must be equal on resume */
    OPTION_MANY = 4     /* OPTION_TEXT only: may be repeated, on the command line alone, and has no
                           default; stored as const char **, NULL-ended, or NULL */
};

struct option_row {
    const char *name; /* long name: "batch" is --batch, and `batch` in a file; NULL: a heading,
                         its text in help */
    int letter;       /* short name, or 0 */
    enum option_kind kind;
    size_t offset;        /* of the field in the target struct */
    double min, max;      /* numbers; both 0: no bounds */
    const char *choices;  /* OPTION_CHOICE */
    const char *fallback; /* the default as text; NULL: zero, false or NULL, also where zero is out
                             of bounds: then it cannot be written, and means "not given" */
    const char *argument; /* what help calls the value: "N", "FILE" */
    const char *help;     /* one sentence; the default is appended by us */
    unsigned use;         /* OPTION_… bits above */
};

struct options_program {
    const char *name;    /* "trainer" */
    const char *summary; /* what it does, one or two sentences, for --help */
    const char *example; /* shown at the end of --help, or NULL */
    const struct option_row *rows;
    size_t count;
    const char *positional;   /* what help calls the one positional argument, or NULL for none */
    size_t positional_offset; /* const char * in the target */
};

/* What a parse holds: the texts that the target's pointers point to, and which rows were given. */
struct options;

/* Fills `target` from defaults and the command line. --help and --version print to standard output
 * and exit with 0. Anything unknown, out of bounds, misspelt or missing:
 * NULL with ERROR_INVALID, one sentence that names the option, the value and what is allowed, and
 * for a name or word that is not known the nearest one (suggest.h). Numbers are decimal. The result
 * owns the texts in `target` and must outlive it. `program` must outlive the result. */
struct options *options_parse(const struct options_program *program, int argc, char **argv,
                              void *target, struct error *error);

/* Sets, from a recipe (`key = value` lines, common/lines.h), the options that the command line did
 * not set. Keys that are unknown, twice there or not OPTION_RECIPE, and values of another kind or
 * out of bounds, are ERROR_INVALID with "quick.recipe:12:1: "; as error_set_file when it cannot be
 * read. In keys '_' may stand for '-'. After an error, earlier lines may have been stored. */
int options_read_file(struct options *options, const char *path, struct error *error);

/* The same from a JSON object (the settings in a checkpoint), for rows whose use has any bit of
 * `only` (0: all): other keys are ERROR_INVALID. null leaves a text as it is. */
int options_read_json(struct options *options, const json_t *values, unsigned only,
                      struct error *error);

/* Whether this option stood on the command line. */
bool options_given(const struct options *options, const char *name);

/* The rows whose use has any bit of `mask` (0: all), with the values as used: numbers, booleans,
 * texts, null for a text that is absent, lists for OPTION_MANY. A new reference; NULL when memory
 * is short. */
json_t *options_to_json(const struct options *options, unsigned mask);

void options_destroy(struct options **options);

/* "0.1.0": what --version prints, and what a HELLO carries. */
extern const char *const DIGITSUM_VERSION;

#endif
