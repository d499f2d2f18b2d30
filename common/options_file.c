/* Options from files: recipes and recorded settings (JSON). */
#include "common/lines.h"
#include "common/options_private.h"
#include "common/suggest.h"

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

static const struct lines_form form = {"recipe", "one setting a line, such as: rate = 0.01"};

/* Checks a value also where the command line has the last word: a mistake is a mistake. */
static int read_setting(struct options *self, const struct lines *lines, bool *set,
                        struct error *error) {
    const struct word *word = &lines->words[0];
    char where[128], hint[SUGGEST_HINT];
    size_t i;
    if (!word->value || lines->count > 1)
        return lines_fail(lines, &lines->words[word->value ? 1 : 0], "expected %s", form.rule);
    const struct option_row *row = find(self, word->text, &i);
    if (!row)
        return lines_fail(lines, word, "unknown setting '%.200s'%s", word->text,
                          hint_at(self, word->text, OPTION_RECIPE, hint));
    if (!(row->use & OPTION_RECIPE))
        return lines_fail(lines, word, "'%s' may stand on the command line alone", word->text);
    if (set[i])
        return lines_fail(lines, word, "'%s' is set twice", word->text);
    if (row->kind == OPTION_FLAG && strcmp(word->value, "true") != 0 &&
        strcmp(word->value, "false") != 0)
        return lines_fail(lines, word, "'%s' must be true or false, not '%.200s'", word->text,
                          word->value);
    set[i] = true;
    unsigned char before[sizeof(double)];
    void *field = (char *)self->target + row->offset;
    size_t size = row->kind == OPTION_FLAG ? sizeof(bool) : sizeof before;
    memcpy(before, field, size);
    snprintf(where, sizeof where, "%.100s:%d:%d: ", lines->origin, word->line, word->column);
    int status = options_set(self, row, word->value, where, error);
    if (self->given[i])
        memcpy(field, before, size);
    return status;
}

int options_read_file(struct options *self, const char *path, struct error *error) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t size;
    char *text = lines_read(path, form.kind, &size, error);
    bool *set = calloc(self->program->count + 1, sizeof *set);
    if (!text || !set) {
        free(set);
        free(text);
        return text ? error_set(error, ERROR_MEMORY, "no memory for the recipe %s", path) : -1;
    }
    struct lines lines;
    int more = lines_begin(&lines, text, size, name, &form, error);
    while (more == 0 && (more = lines_next(&lines)) == 1)
        more = read_setting(self, &lines, set, lines.error);
    lines_end(&lines);
    free(set);
    free(text);
    return more;
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

/* A scalar as the text that stands for it on a command line, in `text` (of `size` bytes) where it
 * is not text already; NULL for lists and objects, and for kinds that the row does not take. */
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
        if (!row->fallback && json_is_number(value) && json_number_value(value) == 0.0)
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
