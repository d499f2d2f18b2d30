/* What a file really is, by its first bytes: for the sentence that refuses it. */
#ifndef LOADER_KIND_H
#define LOADER_KIND_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define KIND_BYTES 512 /* of a file's beginning that kind_of can make use of */

enum kind {
    KIND_UNKNOWN,
    KIND_EMPTY,
    KIND_IDX,
    KIND_GZIP,
    KIND_ZIP,
    KIND_PNG,
    KIND_IMAGE, /* JPEG, GIF and others that are not PNG */
    KIND_HTML,
    KIND_TEXT, /* printable, in ASCII or UTF-8, and nothing below */
    KIND_OTHER /* known, of no use here: kind_describe names it */
};

/* What these bytes begin. */
enum kind kind_of(const void *bytes, size_t size);

/* The same in words: "a web page (HTML)", "a Git LFS pointer"; NULL where it is not known. *advice
 * (may be NULL) becomes what to do about it, NULL where there is none. */
const char *kind_describe(const void *bytes, size_t size, const char **advice);

/* Refuses `path`, whose first bytes these are, where they are known to be something else than
 * `expected` ("an IDX file"): -1 with ERROR_CORRUPT, "path: is a web page (HTML), not an IDX file:
 * the download went wrong". 0 where they are not known. */
int kind_refuse(const char *path, const void *bytes, size_t size, const char *expected,
                struct error *error);

#endif
