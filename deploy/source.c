/* See source.h. */
#include "deploy/source.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_SIZE = PATH_MAX + 32,
    TEXT_SIZE = 8 * SOURCE_DATA /* a byte of a text is at most six in JSON */
};

static int write_file(const char *path, const char *text, struct error *error) {
    char part[PATH_SIZE + 8];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "we");
    if (!file)
        return error_set_errno(error, "cannot write %s", part);
    bool failed = fprintf(file, "%s\n", text) < 0 || fflush(file) != 0 || fsync(fileno(file)) != 0;
    int reason = errno;
    if (fclose(file) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    if (!failed && rename(part, path) != 0) {
        failed = true;
        reason = errno;
    }
    if (!failed)
        return 0;
    unlink(part);
    errno = reason;
    return error_set_errno(error, "cannot write %s", path);
}

int source_write(const struct source *source, const char *folder, struct error *error) {
    char path[PATH_SIZE];
    json_t *values = json_pack("{ss, sI, sb}", "data", source->data, "hold_out",
                               (json_int_t)source->hold_out, "transpose", (int)source->transpose);
    char *text = values ? json_dumps(values, JSON_INDENT(2)) : NULL;
    int status;
    snprintf(path, sizeof path, "%s/data.json", folder);
    if (text)
        status = write_file(path, text, error);
    else
        status = error_set(error, ERROR_INVALID, "cannot write %s: --data is not UTF-8", path);
    free(text);
    json_decref(values);
    return status;
}

int source_read(struct source *source, const char *folder, struct error *error) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/data.json", folder);
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return 0;
    if (!file)
        return error_set_errno(error, "cannot read %s", path);
    json_error_t where;
    char text[TEXT_SIZE];
    json_t *values =
        json_loadb(text, fread(text, 1, sizeof text, file), JSON_REJECT_DUPLICATES, &where);
    fclose(file);
    const char *data = json_string_value(json_object_get(values, "data"));
    const json_t *hold_out = json_object_get(values, "hold_out");
    int status = 1;
    if (!values)
        status = error_set(error, ERROR_CORRUPT, "%s:%d: %s", path, where.line, where.text);
    else if (!data || strlen(data) >= SOURCE_DATA || !json_is_integer(hold_out) ||
             json_integer_value(hold_out) < 0 ||
             json_integer_value(hold_out) > SOURCE_HOLD_OUT_MOST)
        status =
            error_set(error, ERROR_CORRUPT, "%s: expected 'data', a text, and 'hold_out', 0 to %d",
                      path, SOURCE_HOLD_OUT_MOST);
    else {
        snprintf(source->data, sizeof source->data, "%s", data);
        source->hold_out = json_integer_value(hold_out);
        source->transpose = json_is_true(json_object_get(values, "transpose"));
    }
    json_decref(values);
    return status;
}
