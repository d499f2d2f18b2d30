/* Options from files: recipes (libconfig) and recorded settings (JSON). */
#include "common/options_private.h"

#include <libconfig.h>
#include <stdio.h>
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

static int read_setting(struct options *self, const config_setting_t *setting, const char *path,
                        struct error *error) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *key = config_setting_name(setting);
    char where[128], text[64];
    size_t i;
    snprintf(where, sizeof where, "%.100s:%u: ", name, config_setting_source_line(setting));
    const struct option_row *row = find(self, key, &i);
    if (!row)
        return error_set(error, ERROR_INVALID, "%sunknown setting '%s'", where, key);
    if (!(row->use & OPTION_RECIPE))
        return error_set(error, ERROR_INVALID, "%s'%s' may stand on the command line alone", where,
                         key);
    if (config_text(setting, row, text, sizeof text) != 0)
        return error_set(error, ERROR_INVALID, "%s'%s' must be a %s", where, key,
                         row->kind == OPTION_INT || row->kind == OPTION_REAL ? "number"
                         : row->kind == OPTION_FLAG                          ? "true or false"
                                                                             : "text in quotes");
    if (self->given[i])
        return 0;
    const char *string = config_setting_get_string(setting);
    return options_set(self, row, string ? string : text, where, error);
}

int options_read_file(struct options *self, const char *path, struct error *error) {
    config_t config;
    int status = 0;
    config_init(&config);
    FILE *file = fopen(path, "re");
    if (!file) {
        status = error_set_errno(error, "opening the recipe %s", path);
    } else if (config_read(&config, file) != CONFIG_TRUE) {
        status = error_set(error, ERROR_INVALID, "%s:%d: %s", path, config_error_line(&config),
                           config_error_text(&config));
    } else {
        const config_setting_t *root = config_root_setting(&config);
        for (int i = 0; status == 0 && i < config_setting_length(root); i++)
            status = read_setting(self, config_setting_get_elem(root, (unsigned)i), path, error);
    }
    if (file)
        fclose(file);
    config_destroy(&config);
    return status;
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
        if (self->given[i] || json_is_null(value))
            continue;
        const char *string = text;
        if (json_is_integer(value))
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            snprintf(text, sizeof text, "%.17g", json_real_value(value));
        else if (json_is_boolean(value))
            string = json_is_true(value) ? "true" : "false";
        else if (json_is_string(value))
            string = json_string_value(value);
        else
            return error_set(error, ERROR_INVALID, "setting '%.64s' is not a plain value", key);
        if (options_set(self, row, string, "setting ", error) != 0)
            return -1;
    }
    return 0;
}
