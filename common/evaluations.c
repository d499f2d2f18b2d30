/* See evaluations.h. */
#include "common/evaluations.h"

#include "common/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t evaluations_place(const struct evaluations *self, uint64_t step) {
    size_t at = self->count;
    while (at > 0 && self->list[at - 1].step >= step)
        at--;
    return at;
}

const struct evaluation *evaluations_find(const struct evaluations *self, uint64_t step) {
    size_t at = evaluations_place(self, step);
    return at < self->count && self->list[at].step == step ? &self->list[at] : NULL;
}

int evaluations_put(struct evaluations *self, const struct evaluation *evaluation,
                    struct error *error) {
    size_t at = evaluations_place(self, evaluation->step);
    if (at < self->count && self->list[at].step == evaluation->step) {
        self->list[at] = *evaluation;
        return 0;
    }
    if (self->count == self->room) {
        size_t room = self->room ? 2 * self->room : 64;
        struct evaluation *list = realloc(self->list, room * sizeof *list);
        if (!list)
            return error_set(error, ERROR_MEMORY, "no memory for %zu evaluations", room);
        self->list = list;
        self->room = room;
    }
    memmove(self->list + at + 1, self->list + at, (self->count++ - at) * sizeof *self->list);
    self->list[at] = *evaluation;
    return 0;
}

void evaluations_free(struct evaluations *self) {
    free(self->list);
    *self = (struct evaluations){0};
}

int evaluations_parse(struct evaluations *self, const char *text, size_t size, const char *path,
                      bool lenient, size_t *whole, bool *tidy, struct error *error) {
    *whole = 0;
    *tidy = true;
    for (unsigned number = 1; *whole < size; number++) {
        char origin[512];
        struct evaluation evaluation;
        struct error bad;
        const char *newline = memchr(text + *whole, '\n', size - *whole);
        size_t length = newline ? (size_t)(newline - text) - *whole : size - *whole;
        bool last = !newline || *whole + length + 1 == size;
        snprintf(origin, sizeof origin, "%s:%u", path, number);
        if (evaluation_from_json(&evaluation, text + *whole, length, origin, &bad) == 0) {
            *tidy = *tidy && evaluations_place(self, evaluation.step) == self->count;
            if (evaluations_put(self, &evaluation, error) != 0)
                return -1;
        } else if (last) {
            return 0;
        } else if (!lenient) {
            *error = bad;
            return -1;
        }
        *whole += length + (newline ? 1 : 0);
    }
    return 0;
}

int evaluations_read(struct evaluations *self, const char *path, bool lenient,
                     struct error *error) {
    uint8_t *text;
    size_t size, whole;
    bool tidy;
    *self = (struct evaluations){0};
    if (file_read(path, EVALUATIONS_MAX, &text, &size, error) != 0)
        return errno == ENOENT ? 0 : -1;
    int status =
        evaluations_parse(self, (const char *)text, size, path, lenient, &whole, &tidy, error);
    free(text);
    if (status != 0)
        evaluations_free(self);
    return status == 0 ? 1 : -1;
}
