/* See report_file.h. */
#include "evaluator/report_file.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPENINGS = 10 }; /* of a file that is replaced just then, before it is called busy */

struct report_file {
    int descriptor;                       /* -1 while it is not open; locked */
    char path[PATH_MAX], aside[PATH_MAX]; /* aside: what is to take the file's place */
    uint64_t end;                         /* bytes in the file */
    size_t cut;                           /* bytes of the torn line that was at its end */
    struct evaluations lines;
};

/* --- the whole file anew --- */

/* All lines as text; NULL with the reason. The caller frees. */
static char *encode_all(const struct evaluations *lines, size_t *size, struct error *error) {
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    bool failed = !out, invalid = false;
    for (size_t i = 0; i < lines->count && !failed && !invalid; i++) {
        char *line = evaluation_to_json(&lines->list[i], error);
        invalid = !line;
        failed = line && fputs(line, out) < 0;
        free(line);
    }
    if ((out && fclose(out) != 0) || failed)
        error_set(error, ERROR_MEMORY, "no memory for %zu lines", lines->count);
    else if (!invalid)
        return text;
    free(text);
    return NULL;
}

/* Puts these lines in the place of the file. The new file is locked before it takes the old one's
 * name, so that nobody else can come to own it. */
static int replace(struct report_file *self, const struct evaluations *lines, struct error *error) {
    size_t size = 0;
    uint64_t end = 0;
    char *text = encode_all(lines, &size, error);
    if (!text)
        return -1;
    int status = -1, descriptor = open(self->aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        error_set_errno(error, "%s: cannot be made and locked", self->aside);
    else if (file_append(descriptor, self->aside, text, size, &end, error) == 0)
        status = rename(self->aside, self->path) == 0
                     ? 0
                     : error_set_errno(error, "%s: cannot take the place of %s", self->aside,
                                       self->path);
    free(text);
    if (status != 0) {
        if (descriptor >= 0) {
            unlink(self->aside);
            close(descriptor);
        }
        return -1;
    }
    close(self->descriptor);
    self->descriptor = descriptor;
    self->end = end;
    return file_sync_folder(self->path, error);
}

/* --- opening --- */

/* Reads all lines, cuts off a torn one, and writes what is not in order anew. */
static int read_file(struct report_file *self, struct error *error) {
    uint8_t *text;
    size_t size, whole;
    bool tidy;
    if (file_read(self->path, EVALUATIONS_MAX, &text, &size, error) != 0)
        return -1;
    int status = evaluations_parse(&self->lines, (const char *)text, size, self->path, false,
                                   &whole, &tidy, error);
    bool newline = whole == 0 || text[whole - 1] == '\n';
    free(text);
    if (status != 0)
        return -1;
    self->end = whole;
    self->cut = size - whole;
    if (!newline)
        status = file_append(self->descriptor, self->path, "\n", 1, &self->end, error);
    else if (self->cut > 0 && ftruncate(self->descriptor, (off_t)whole) != 0)
        status = error_set_errno(error, "%s: cannot cut a torn line of %zu bytes", self->path,
                                 self->cut);
    return status == 0 && !tidy ? replace(self, &self->lines, error) : status;
}

/* Whether the file that we have locked is still the one of that name: its owner may just have put
 * another in its place. */
static bool is_current(const struct report_file *self) {
    struct stat ours, named;
    return fstat(self->descriptor, &ours) == 0 && stat(self->path, &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int open_locked(struct report_file *self, struct error *error) {
    for (int i = 0; i < OPENINGS; i++) {
        self->descriptor = open(self->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
        if (self->descriptor < 0)
            return error_set_errno(error, "%s: cannot open or create", self->path);
        /* Two evaluators that append at their own idea of the end would overwrite one another. */
        if (flock(self->descriptor, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                break;
            return error_set_errno(error, "%s: cannot lock", self->path);
        }
        if (is_current(self))
            return 0;
        close(self->descriptor);
        self->descriptor = -1;
    }
    return error_set(error, ERROR_REFUSED, "%s: another evaluator is writing to it", self->path);
}

struct report_file *report_open(const char *path, struct error *error) {
    struct report_file *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "%s: no memory to open it", path);
        return NULL;
    }
    self->descriptor = -1;
    snprintf(self->path, sizeof self->path, "%s", path);
    if (snprintf(self->aside, sizeof self->aside, "%s.part", path) >= (int)sizeof self->aside)
        error_set(error, ERROR_INVALID, "%.99s…: the path is too long", path);
    else if (open_locked(self, error) == 0) {
        unlink(self->aside); /* a crash left it: only who holds the file's lock writes it */
        if (read_file(self, error) == 0 && file_sync_folder(path, error) == 0)
            return self;
    }
    report_close(&self);
    return NULL;
}

size_t report_cut(const struct report_file *self) {
    return self->cut;
}

const struct evaluation *report_find(const struct report_file *self, uint64_t step) {
    return evaluations_find(&self->lines, step);
}

const struct evaluation *report_list(const struct report_file *self, size_t *count) {
    *count = self->lines.count;
    return self->lines.list;
}

/* --- writing --- */

void report_confirm(struct report_file *self, uint64_t step) {
    size_t at = evaluations_place(&self->lines, step);
    if (at < self->lines.count && self->lines.list[at].step == step)
        self->lines.list[at].confirmed = true;
}

void report_doubt(struct report_file *self, uint64_t made) {
    for (size_t i = 0; i < self->lines.count; i++)
        self->lines.list[i].confirmed = self->lines.list[i].step <= made;
}

int report_rewind(struct report_file *self, uint64_t step, size_t *dropped, struct error *error) {
    const struct evaluations *lines = &self->lines;
    struct evaluations kept = {.count = evaluations_place(lines, step), .room = lines->count};
    *dropped = 0;
    for (size_t i = kept.count; i < lines->count; i++)
        *dropped += lines->list[i].step == step || !lines->list[i].confirmed;
    if (*dropped == 0)
        return 0;
    kept.list = malloc(kept.room * sizeof *kept.list);
    if (!kept.list)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu evaluations", self->path,
                         kept.room);
    memcpy(kept.list, lines->list, kept.count * sizeof *kept.list);
    for (size_t i = kept.count; i < lines->count; i++)
        if (lines->list[i].step != step && lines->list[i].confirmed)
            kept.list[kept.count++] = lines->list[i];
    int result = replace(self, &kept, error);
    if (result != 0) {
        evaluations_free(&kept);
        return result;
    }
    evaluations_free(&self->lines);
    self->lines = kept;
    return 0;
}

/* Memory first: what is on the disk but not remembered would be scored twice. */
int report_append(struct report_file *self, const struct evaluation *evaluation,
                  struct error *error) {
    struct evaluations *lines = &self->lines;
    struct evaluation added = *evaluation;
    size_t at = evaluations_place(lines, added.step);
    bool last = at == lines->count;
    added.confirmed = true;
    if (evaluations_find(lines, added.step))
        return error_set(error, ERROR_REFUSED, "%s: step %llu is scored already", self->path,
                         (unsigned long long)added.step);
    char *line = evaluation_to_json(&added, error);
    if (!line || evaluations_put(lines, &added, error) != 0) {
        free(line);
        return -1;
    }
    int result =
        last ? file_append(self->descriptor, self->path, line, strlen(line), &self->end, error)
             : replace(self, lines, error);
    if (result != 0) {
        lines->count--;
        memmove(lines->list + at, lines->list + at + 1, (lines->count - at) * sizeof *lines->list);
    }
    free(line);
    return result;
}

void report_close(struct report_file **self) {
    if (!self || !*self)
        return;
    if ((*self)->descriptor >= 0)
        close((*self)->descriptor);
    evaluations_free(&(*self)->lines);
    free(*self);
    *self = NULL;
}
