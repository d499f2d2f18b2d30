/* A struct described by a table of its fields, from which its JSON object is written and read. */
#ifndef COMMON_FIELDS_H
#define COMMON_FIELDS_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The C type of a field, and what JSON has for it. */
enum field_kind {
    FIELD_TEXT,         /* char[size]: cut to size and made printable when read */
    FIELD_COUNT,        /* uint64_t, below 2^63 */
    FIELD_COUNT32,      /* uint32_t */
    FIELD_BITS,         /* uint64_t, any: at and above 2^63 it is a negative number in JSON */
    FIELD_REAL,         /* double, at least 0 and at most `max` */
    FIELD_REAL_OR_NULL, /* the same, or NaN, which is null in JSON */
    FIELD_FLAG,         /* bool */
    FIELD_SHA256        /* char[SHA256_HEX]: 64 lower-case digits; "" is left out */
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
    size_t size;   /* FIELD_TEXT */
    double max;    /* numbers; 0: none */
    bool optional; /* where it is missing or wrong, it is NaN (FIELD_REAL_OR_NULL) or as before */
    /* In place of the kind's own. write: a new value, or NULL to leave the field out. read: 0, or
     * -1 where the value is none of this field. */
    json_t *(*write)(const struct field *self, const void *object);
    int (*read)(const struct field *self, const json_t *value, void *object);
};

/* Adds the field of the struct at `object` to `values`. -1 when memory is short. */
int field_write(const struct field *self, const void *object, json_t *values);

/* The reverse. -1 with ERROR_CORRUPT saying what the field lacks. */
int field_read(const struct field *self, const json_t *values, void *object, struct error *error);

#endif
