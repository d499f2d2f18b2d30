/* See lines.h. */
#include "common/lines.h"

#include "common/file.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\v\f"
#define OLD_FORM "\";{}()[]" /* what both were made of until checkpoints of format digitsum-3 */

int lines_fail(const struct lines *self, const struct word *at, const char *format, ...) {
    struct word end = {.line = self->line > 0 ? self->line : 1, .column = 1};
    char sentence[sizeof self->error->text];
    va_list arguments;
    at = at ? at : &end;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(self->error, ERROR_INVALID, "%s:%d:%d: %s", self->origin, at->line, at->column,
                     sentence);
}

char *lines_read(const char *path, const char *kind, size_t *size, struct error *error) {
    uint8_t *bytes;
    if (file_read(path, LINES_TEXT_MAX, &bytes, size, error) != 0) {
        if (errno != 0)
            error_set_file(error, "cannot read the %s %s", kind, path);
        else if (error && error->code != ERROR_MEMORY) /* not a regular file, or too large */
            error->code = ERROR_INVALID;
    }
    return (char *)bytes;
}

int lines_begin(struct lines *self, const char *text, size_t size, const char *origin,
                const struct lines_form *form, struct error *error) {
    *self = (struct lines){.origin = origin, .form = form, .error = error};
    if (size > LINES_TEXT_MAX)
        return error_set(error, ERROR_INVALID, "%s: a %s has at most %d bytes; this one has more",
                         origin, form->kind, LINES_TEXT_MAX);
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    self->text = malloc(size - mark + 1);
    if (!self->text)
        return error_set(error, ERROR_MEMORY, "%s: no memory to read the %s", origin, form->kind);
    memcpy(self->text, text + mark, size - mark);
    self->next = self->text;
    self->end = self->text + size - mark;
    return 0;
}

static int fail_at(const struct lines *self, ptrdiff_t offset, const char *sentence) {
    return lines_fail(self, &(struct word){.line = self->line, .column = (int)offset + 1}, "%s",
                      sentence);
}

/* jansson's own check, since a checkpoint carries the text in JSON. */
static int check_utf8(const struct lines *self, const char *line, size_t length) {
    if (strlen(line) < length)
        return fail_at(self, (ptrdiff_t)strlen(line), "a NUL byte has no place in a text");
    json_t *probe = json_stringn(line, length);
    if (!probe)
        return fail_at(self, 0, "the line is not UTF-8");
    json_decref(probe);
    return 0;
}

static int refuse_old_form(const struct lines *self, const char *line) {
    const char *comment = strstr(line, "/*");
    const char *at = line + strcspn(line, OLD_FORM);
    if (comment && comment < at)
        at = comment;
    if (*at == '\0')
        return 0;
    return lines_fail(self, &(struct word){.line = self->line, .column = (int)(at - line) + 1},
                      "'%.*s' belongs to an older form that is not read any more; a %s has %s",
                      at == comment ? 2 : 1, at, self->form->kind, self->form->rule);
}

/* Cuts one line, without its comment, into words. */
static int split(struct lines *self, char *line) {
    for (char *at = line; *(at += strspn(at, BLANKS)) != '\0';) {
        if (self->count == LINES_WORDS_MAX)
            return fail_at(self, at - line, "the line has too many words");
        struct word *word = &self->words[self->count++];
        *word = (struct word){.text = at, .line = self->line, .column = (int)(at - line) + 1};
        size_t length = strcspn(at, BLANKS "=");
        char *next = at + length + strspn(at + length, BLANKS);
        bool has_value = *next == '=';
        at[length] = '\0';
        at = next;
        if (!has_value)
            continue;
        at += 1 + strspn(at + 1, BLANKS);
        if (length == 0)
            return lines_fail(self, word, "expected a name before '='");
        if (*at == '\0')
            return fail_at(self, at - line, "expected a value after '='");
        word->value = at;
        at += strcspn(at, BLANKS);
        if (*at != '\0')
            *at++ = '\0';
    }
    return 0;
}

int lines_next(struct lines *self) {
    for (self->count = 0; self->count == 0 && self->next < self->end;) {
        char *line = self->next, *feed = memchr(line, '\n', (size_t)(self->end - line));
        if (!feed)
            feed = self->end;
        *feed = '\0';
        self->next = feed + 1;
        self->line++;
        if (check_utf8(self, line, (size_t)(feed - line)) != 0)
            return -1;
        line[strcspn(line, "#")] = '\0';
        if (refuse_old_form(self, line) != 0 || split(self, line) != 0)
            return -1;
    }
    return self->count > 0;
}

void lines_end(struct lines *self) {
    free(self->text);
    self->text = NULL;
}
