/* See fields.h. */
#include "common/fields.h"

#include "common/display.h"
#include "common/sha256.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static json_t *value_of(const struct field *self, const void *object) {
    const void *at = (const char *)object + self->offset;
    double real;
    if (self->write)
        return self->write(self, object);
    switch (self->kind) {
    case FIELD_COUNT:
    case FIELD_BITS:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case FIELD_COUNT32:
        return json_integer(*(const uint32_t *)at);
    case FIELD_REAL:
    case FIELD_REAL_OR_NULL:
        real = *(const double *)at;
        return isfinite(real) ? json_real(real) : json_null(); /* JSON has neither NaN nor inf */
    case FIELD_FLAG:
        return json_boolean(*(const bool *)at);
    case FIELD_SHA256:
        return *(const char *)at ? json_string(at) : NULL;
    default:
        return json_string(at);
    }
}

int field_write(const struct field *self, const void *object, json_t *values) {
    json_t *value = value_of(self, object);
    bool left_out = !value && (self->write || self->kind == FIELD_SHA256);
    return left_out ? 0 : json_object_set_new(values, self->key, value);
}

static int read_integer(const struct field *self, const json_t *value, void *at) {
    json_int_t number = json_integer_value(value);
    double max = self->max > 0 ? self->max : self->kind == FIELD_COUNT32 ? UINT32_MAX : INFINITY;
    if (!json_is_integer(value) ||
        (self->kind != FIELD_BITS && (number < 0 || (double)number > max)))
        return -1;
    if (self->kind == FIELD_COUNT32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(uint64_t *)at = (uint64_t)number;
    return 0;
}

static int read_real(const struct field *self, const json_t *value, double *at) {
    double number = json_number_value(value);
    bool none = json_is_null(value) && self->kind == FIELD_REAL_OR_NULL;
    if (!none && !(json_is_number(value) && number >= 0 && (self->max <= 0 || number <= self->max)))
        return -1;
    *at = none ? NAN : number;
    return 0;
}

static int read_text(const struct field *self, const json_t *value, char *at) {
    const char *text = json_string_value(value);
    uint8_t digest[SHA256_SIZE];
    if (!text || (self->kind == FIELD_SHA256 && !sha256_parse(text, digest)))
        return -1;
    display_fit(at, self->kind == FIELD_SHA256 ? SHA256_HEX : self->size, text, INT_MAX, false);
    return 0;
}

static int read_value(const struct field *self, const json_t *value, void *object) {
    void *at = (char *)object + self->offset;
    if (self->read)
        return self->read(self, value, object);
    switch (self->kind) {
    case FIELD_COUNT:
    case FIELD_COUNT32:
    case FIELD_BITS:
        return read_integer(self, value, at);
    case FIELD_REAL:
    case FIELD_REAL_OR_NULL:
        return read_real(self, value, at);
    case FIELD_FLAG:
        if (!json_is_boolean(value))
            return -1;
        *(bool *)at = json_is_true(value);
        return 0;
    default:
        return read_text(self, value, at);
    }
}

int field_read(const struct field *self, const json_t *values, void *object, struct error *error) {
    static const char *const expected[] = {[FIELD_TEXT] = "a text",
                                           [FIELD_COUNT] = "a whole number",
                                           [FIELD_COUNT32] = "a whole number",
                                           [FIELD_BITS] = "a whole number",
                                           [FIELD_REAL] = "a number",
                                           [FIELD_REAL_OR_NULL] = "a number or null",
                                           [FIELD_FLAG] = "true or false",
                                           [FIELD_SHA256] = "64 hexadecimal digits"};
    const json_t *value = json_object_get(values, self->key);
    if (value && read_value(self, value, object) == 0)
        return 0;
    if (self->optional && self->kind == FIELD_REAL_OR_NULL)
        *(double *)((char *)object + self->offset) = NAN;
    if (self->optional)
        return 0;
    return error_set(error, ERROR_CORRUPT, "'%s' is %s, expected %s", self->key,
                     value ? "not usable" : "missing", expected[self->kind]);
}
