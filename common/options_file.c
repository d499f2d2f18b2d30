/* Options from files: recipes (libconfig) and recorded settings (JSON). */
#include "common/options_private.h"
#include "common/suggest.h"
#include "common/text.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row of a key in a file, where '_' may stand for '-'. NULL: none. */
static const struct option_row *find(const struct options *self, const char *key, size_t *index) {
    for (size_t i = 0; i < self->program->count; i++) {
        const char *name = self->program->rows[i].name;
        size_t at = 0;
        while (name && name[at] && (name[at] == key[at] || (name[at] == '-' && key[at] == '_')))
            at++;
        if (name && at > 0 && !name[at] && !key[at]) {
            *index = i;
            return &self->program->rows[i];
        }
    }
    return NULL;
}

/* "; did you mean 'rate'?" among the rows that may stand there, or "". */
static const char *hint_at(const struct options *self, const char *key, unsigned use,
                           char hint[static SUGGEST_HINT]) {
    struct suggestion suggestion;
    suggest_begin(&suggestion, key);
    for (size_t i = 0; i < self->program->count; i++) {
        const struct option_row *row = &self->program->rows[i];
        if (row->name && (!use || (row->use & use)))
            suggest_try(&suggestion, row->name);
    }
    return suggest_hint(&suggestion, hint);
}

static const char *kind_wanted(const struct option_row *row) {
    switch (row->kind) {
    case OPTION_INT:
    case OPTION_REAL:
        return "a number";
    case OPTION_FLAG:
        return "true or false";
    default:
        return "text in quotes";
    }
}

/* A scalar as the text that stands for it on a command line; -1 for lists and groups, and for kinds
 * that the row does not take. */
static int config_text(const config_setting_t *setting, const struct option_row *row, char *text,
                       size_t size) {
    bool number = row->kind == OPTION_INT || row->kind == OPTION_REAL;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(text, size, "%lld", config_setting_get_int64(setting));
        return number ? 0 : -1;
    case CONFIG_TYPE_FLOAT:
        snprintf(text, size, "%.17g", config_setting_get_float(setting));
        return number ? 0 : -1;
    case CONFIG_TYPE_BOOL:
        snprintf(text, size, "%s", config_setting_get_bool(setting) ? "true" : "false");
        return row->kind == OPTION_FLAG ? 0 : -1;
    case CONFIG_TYPE_STRING:
        return row->kind == OPTION_TEXT || row->kind == OPTION_CHOICE ? 0 : -1;
    default:
        return -1;
    }
}

/* Whether an earlier setting of the file means the same row, in either spelling. */
static bool is_repeated(const struct options *self, const config_setting_t *root, int at,
                        size_t row) {
    for (int i = 0; i < at; i++) {
        size_t other;
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        if (find(self, config_setting_name(setting), &other) && other == row)
            return true;
    }
    return false;
}

static int read_setting(struct options *self, const config_setting_t *root, int at,
                        const char *name, struct error *error) {
    const config_setting_t *setting = config_setting_get_elem(root, (unsigned)at);
    const char *key = config_setting_name(setting);
    char where[128], text[64], hint[SUGGEST_HINT];
    size_t i;
    snprintf(where, sizeof where, "%.100s:%u: ", name, config_setting_source_line(setting));
    const struct option_row *row = find(self, key, &i);
    if (!row)
        return error_set(error, ERROR_INVALID, "%sunknown setting '%.200s'%s", where, key,
                         hint_at(self, key, OPTION_RECIPE, hint));
    if (!(row->use & OPTION_RECIPE))
        return error_set(error, ERROR_INVALID, "%s'%s' may stand on the command line alone", where,
                         key);
    if (is_repeated(self, root, at, i))
        return error_set(error, ERROR_INVALID, "%s'%s' is set twice", where, key);
    if (config_text(setting, row, text, sizeof text) != 0)
        return error_set(error, ERROR_INVALID, "%s'%s' must be %s", where, key, kind_wanted(row));
    if (self->given[i])
        return 0;
    const char *string = config_setting_get_string(setting);
    return options_set(self, row, string ? string : text, where, error);
}

/* libconfig reads files itself, but ends the process when that fails. */
static char *read_text(const char *path, const char *name, struct error *error) {
    char *text = calloc(1, TEXT_MAXIMUM + 2);
    FILE *file = fopen(path, "re");
    if (!text) {
        error_set(error, ERROR_MEMORY, "no memory for the recipe %s", path);
    } else if (!file) {
        error_set_file(error, "opening the recipe %s", path);
    } else {
        size_t size = fread(text, 1, TEXT_MAXIMUM + 1, file);
        if (ferror(file))
            error_set_file(error, "reading the recipe %s", path);
        else if (text_check(text, size, name, "a recipe", error) == 0)
            goto done;
    }
    free(text);
    text = NULL;
done:
    if (file)
        fclose(file);
    return text;
}

int options_read_file(struct options *self, const char *path, struct error *error) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *text = read_text(path, name, error);
    if (!text)
        return -1;
    config_t config;
    int status = 0;
    config_init(&config);
    if (config_read_string(&config, text_begin(text)) != CONFIG_TRUE) {
        status = error_set(error, ERROR_INVALID, "%s:%d: %s", name, config_error_line(&config),
                           config_error_text(&config));
    } else {
        const config_setting_t *root = config_root_setting(&config);
        for (int i = 0; status == 0 && i < config_setting_length(root); i++)
            status = read_setting(self, root, i, name, error);
    }
    config_destroy(&config);
    free(text);
    return status;
}

/* As config_text; `text` is of `size` bytes, for what is not text already. */
static const char *json_text(const json_t *value, const struct option_row *row, char *text,
                             size_t size) {
    switch (row->kind) {
    case OPTION_INT:
    case OPTION_REAL:
        if (!json_is_number(value))
            return NULL;
        if (json_is_integer(value))
            snprintf(text, size, "%lld", (long long)json_integer_value(value));
        else
            snprintf(text, size, "%.17g", json_real_value(value));
        return text;
    case OPTION_FLAG:
        return json_is_boolean(value) ? json_is_true(value) ? "true" : "false" : NULL;
    default:
        return json_string_value(value);
    }
}

int options_read_json(struct options *self, const json_t *values, unsigned only,
                      struct error *error) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)values, key, value) {
        size_t i;
        char text[64];
        const struct option_row *row = find(self, key, &i);
        if (!row || (only && !(row->use & only)))
            return error_set(error, ERROR_INVALID, "unknown setting '%.64s'", key);
        /* A number that was never set: where zero may not be written, it still is recorded so. */
        if (!row->standard && json_is_number(value) && json_number_value(value) == 0.0)
            continue;
        const char *string = json_text(value, row, text, sizeof text);
        bool absent =
            json_is_null(value) && (row->kind == OPTION_TEXT || row->kind == OPTION_CHOICE);
        if (!string && !absent)
            return error_set(error, ERROR_INVALID, "setting '%s' must be %s", row->name,
                             kind_wanted(row));
        if (string && !self->given[i] && options_set(self, row, string, "setting ", error) != 0)
            return -1;
    }
    return 0;
}
