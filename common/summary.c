/* See summary.h. */
#include "common/summary.h"

#include "common/fields.h"
#include "common/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- fields that are more than one value ------------------------------------------------------ */

static json_t *write_warnings(const struct field *field, const void *object) {
    const struct notices *warnings = &((const struct summary *)object)->warnings;
    json_t *array = json_array();
    (void)field;
    for (int i = 0; i < warnings->count; i++)
        json_array_append_new(array, json_string(warnings->texts[i]));
    if (warnings->dropped > 0)
        json_array_append_new(array, json_sprintf("and %d more", warnings->dropped));
    return array;
}

/* What is no text in it is passed over. */
static int read_warnings(const struct field *field, const json_t *array, void *object) {
    size_t i;
    const json_t *value;
    (void)field;
    json_array_foreach(array, i, value) if (json_is_string(value))
        notices_add(&((struct summary *)object)->warnings, "%s", json_string_value(value));
    return 0;
}

static json_t *write_computed(const struct field *field, const void *object) {
    (void)field;
    return json_loads(((const struct summary *)object)->computed_with, 0, NULL);
}

static int read_computed(const struct field *field, const json_t *value, void *object) {
    char *to = ((struct summary *)object)->computed_with;
    size_t size = json_dumpb(value, to, field->size - 1, JSON_COMPACT);
    to[size < field->size ? size : 0] = '\0';
    return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

/* clang-format off */
#define AT(name) .key = #name, .offset = offsetof(struct summary, name)
#define TEXT(name) {AT(name), .kind = FIELD_TEXT, .size = sizeof((struct summary *)0)->name}
#define COUNT(name) {AT(name), .kind = FIELD_COUNT, .max = 1e15}
#define REAL(name, limit) {AT(name), .kind = FIELD_REAL, .max = limit}
#define REAL_OR_NULL(name, limit) {AT(name), .kind = FIELD_REAL_OR_NULL, .max = limit}

static const struct field fields[] = {
    TEXT(network),
    COUNT(parameters),
    TEXT(dataset),
    {AT(synthetic), .kind = FIELD_FLAG, .optional = true},
    TEXT(engine),
    TEXT(precision),
    {AT(threads), .kind = FIELD_COUNT, .optional = true},
    {AT(seed), .kind = FIELD_BITS},
    COUNT(steps),
    REAL(epochs, 1e9),
    REAL_OR_NULL(digit_accuracy, 1),
    REAL_OR_NULL(sum_accuracy, 1),
    COUNT(best_step),
    {AT(best_digit_accuracy), .kind = FIELD_REAL_OR_NULL, .max = 1, .optional = true},
    {AT(best_sum_accuracy), .kind = FIELD_REAL_OR_NULL, .max = 1, .optional = true},
    TEXT(weights_sha256),
    {AT(chain_sha256), .kind = FIELD_TEXT, .size = SHA256_HEX, .optional = true},
    REAL(seconds, 1e9),
    REAL_OR_NULL(seconds_to_target, 1e9),
    REAL(seconds_waiting, 1e9),
    REAL(longest_wait, 1e9),
    REAL(images_per_second, 1e12),
    COUNT(batches_consumed),
    COUNT(batches_duplicated),
    COUNT(batches_released_again),
    {AT(messages_rejected), .kind = FIELD_COUNT, .optional = true},
    {AT(checkpoints_unscored), .kind = FIELD_COUNT, .optional = true},
    {AT(finished), .kind = FIELD_FLAG, .optional = true},
    {AT(warnings), .optional = true, .write = write_warnings, .read = read_warnings},
    {AT(computed_with), .size = sizeof((struct summary *)0)->computed_with, .optional = true,
     .write = write_computed, .read = read_computed},
};
/* clang-format on */

enum { FIELDS = sizeof fields / sizeof *fields };

int summary_write(const struct summary *self, const char *folder, struct error *error) {
    char path[PATH_MAX], *text = NULL;
    json_t *values = json_object();
    int status = values ? 0 : -1;
    for (int i = 0; i < FIELDS && status == 0; i++)
        status = field_write(&fields[i], self, values);
    if (status == 0)
        text = json_dumps(values, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(values);
    if (!text)
        return error_set(error, ERROR_MEMORY, "no memory to write the summary");
    size_t size = strlen(text);
    text[size] = '\n'; /* where the NUL was: a text file ends with a newline */
    status = path_join(path, folder, "summary.json", error);
    if (status == 0)
        status = file_write(path, text, size + 1, error);
    free(text);
    return status;
}

int summary_read(struct summary *self, const char *path, struct error *error) {
    struct summary read = {0};
    uint8_t *text;
    size_t size;
    json_error_t where;
    if (file_read(path, SUMMARY_MAX, &text, &size, error) != 0)
        return -1;
    json_t *values = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &where);
    int status = 0;
    free(text);
    if (!json_is_object(values))
        status = error_set(error, ERROR_CORRUPT, "not a JSON object: %s",
                           values ? "it is something else" : where.text);
    for (int i = 0; i < FIELDS && status == 0; i++)
        status = field_read(&fields[i], values, &read, error);
    json_decref(values);
    if (status != 0) {
        errno = 0;
        return error_prefix(error, "%s", path);
    }
    *self = read;
    return 0;
}
