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
    int descriptor; /* -1 while it is not open; locked */
    char *path;
    uint64_t end;            /* bytes in the file */
    size_t cut;              /* bytes of the torn line that was at its end */
    struct evaluation *list; /* by step, each once */
    bool *confirmed;         /* for each of them */
    size_t count, room;
};

/* --- the lines in memory --- */

static int make_room(struct report_file *self, struct error *error) {
    if (self->count < self->room)
        return 0;
    size_t room = self->room ? 2 * self->room : 64;
    struct evaluation *list = realloc(self->list, room * sizeof *list);
    if (list)
        self->list = list;
    bool *confirmed = list ? realloc(self->confirmed, room * sizeof *confirmed) : NULL;
    if (!confirmed)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu evaluations", self->path,
                         room);
    self->confirmed = confirmed;
    self->room = room;
    return 0;
}

/* The index of the first line of this step or a later one. Most are asked for near the end. */
static size_t place_of(const struct report_file *self, uint64_t step) {
    size_t at = self->count;
    while (at > 0 && self->list[at - 1].step >= step)
        at--;
    return at;
}

static bool is_at(const struct report_file *self, size_t at, uint64_t step) {
    return at < self->count && self->list[at].step == step;
}

static void insert(struct report_file *self, size_t at, const struct evaluation *evaluation,
                   bool confirmed) {
    size_t after = self->count - at;
    memmove(self->list + at + 1, self->list + at, after * sizeof *self->list);
    memmove(self->confirmed + at + 1, self->confirmed + at, after * sizeof *self->confirmed);
    self->list[at] = *evaluation;
    self->confirmed[at] = confirmed;
    self->count++;
}

/* --- the whole file anew --- */

/* All lines as text; NULL with the reason. The caller frees. */
static char *encode_all(const struct report_file *self, const struct evaluation *list, size_t count,
                        size_t *size, struct error *error) {
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    bool failed = !out;
    for (size_t i = 0; i < count && !failed; i++) {
        char *line = evaluation_encode_json(&list[i], error);
        if (!line) {
            fclose(out);
            free(text);
            return NULL;
        }
        failed = fputs(line, out) < 0;
        free(line);
    }
    if (out && fclose(out) != 0)
        failed = true;
    if (!failed)
        return text;
    free(text);
    error_set(error, ERROR_MEMORY, "%s: no memory for %zu lines", self->path, count);
    return NULL;
}

/* Puts these lines in the place of the file. The new file is locked before it takes the old one's
 * name, so that nobody else can come to own it. */
static int replace(struct report_file *self, const struct evaluation *list, size_t count,
                   struct error *error) {
    size_t size = 0;
    uint64_t end = 0;
    char *aside = NULL, *text = encode_all(self, list, count, &size, error);
    int descriptor = -1, result = -1;
    if (!text)
        return -1;
    if (asprintf(&aside, "%s.part", self->path) < 0) {
        aside = NULL;
        error_set(error, ERROR_MEMORY, "%s: no memory for a file name", self->path);
        goto done;
    }
    descriptor = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB)) {
        error_set_errno(error, "%s: cannot be made and locked", aside);
        goto done;
    }
    if (file_append(descriptor, aside, text, size, &end, error))
        goto done;
    if (rename(aside, self->path)) {
        error_set_errno(error, "%s: cannot take the place of %s", aside, self->path);
        goto done;
    }
    close(self->descriptor);
    self->descriptor = descriptor;
    self->end = end;
    descriptor = -1;
    result = file_sync_folder(self->path, error);
done:
    if (descriptor >= 0) {
        unlink(aside);
        close(descriptor);
    }
    free(aside);
    free(text);
    return result;
}

/* --- opening --- */

/* Takes the whole lines out of text[size]. The last one is torn unless it is an evaluation: a power
 * cut may leave its newline and not what stood before it, or an evaluation without its newline.
 * *tidy: by step, and each step once. */
static int read_lines(struct report_file *self, const char *text, size_t size, bool *tidy,
                      struct error *error) {
    size_t start = 0;
    *tidy = true;
    for (unsigned number = 1; start < size; number++) {
        char origin[512];
        struct evaluation evaluation;
        const char *newline = memchr(text + start, '\n', size - start);
        size_t length = newline ? (size_t)(newline - text) - start : size - start;
        snprintf(origin, sizeof origin, "%s:%u", self->path, number);
        if (evaluation_decode_json(text + start, length, origin, &evaluation, error)) {
            if (newline && start + length + 1 < size)
                return -1;
            self->cut = size - start;
            break;
        }
        size_t at = place_of(self, evaluation.step);
        *tidy = *tidy && at == self->count;
        if (is_at(self, at, evaluation.step))
            self->list[at] = evaluation;
        else if (make_room(self, error) == 0)
            insert(self, at, &evaluation, false);
        else
            return -1;
        start += length;
        self->end = start;
        if (!newline)
            return file_append(self->descriptor, self->path, "\n", 1, &self->end, error);
        self->end = ++start;
    }
    if (self->cut > 0 && ftruncate(self->descriptor, (off_t)self->end))
        return error_set_errno(error, "%s: cannot cut a torn line of %zu bytes", self->path,
                               self->cut);
    return 0;
}

static int read_file(struct report_file *self, struct error *error) {
    struct stat status;
    if (fstat(self->descriptor, &status))
        return error_set_errno(error, "%s: cannot be looked at", self->path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_IO, "%s: expected a regular file", self->path);
    if (status.st_size > REPORT_FILE_MAXIMUM)
        return error_set(error, ERROR_CORRUPT, "%s: %lld bytes; at most %d are read", self->path,
                         (long long)status.st_size, REPORT_FILE_MAXIMUM);
    size_t size = (size_t)status.st_size, done = 0;
    char *text = malloc(size + 1);
    if (!text)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu bytes", self->path, size);
    int result = -1;
    bool tidy = true;
    while (done < size) {
        ssize_t got = pread(self->descriptor, text + done, size - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set_errno(error, "%s: cannot read", self->path);
            goto done;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    result = read_lines(self, text, done, &tidy, error);
    if (result == 0 && !tidy)
        result = replace(self, self->list, self->count, error);
done:
    free(text);
    return result;
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
        if (flock(self->descriptor, LOCK_EX | LOCK_NB)) {
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

/* What a crash left that was to take the file's place. Only the process that holds the file's lock
 * writes it. */
static void remove_aside(const struct report_file *self) {
    char *aside = NULL;
    if (asprintf(&aside, "%s.part", self->path) < 0)
        return;
    unlink(aside);
    free(aside);
}

struct report_file *report_open(const char *path, struct error *error) {
    struct report_file *self = calloc(1, sizeof *self);
    if (!self || !(self->path = strdup(path))) {
        free(self);
        error_set(error, ERROR_MEMORY, "%s: no memory to open it", path);
        return NULL;
    }
    if (open_locked(self, error) == 0) {
        remove_aside(self);
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
    size_t at = place_of(self, step);
    return is_at(self, at, step) ? &self->list[at] : NULL;
}

const struct evaluation *report_list(const struct report_file *self, size_t *count) {
    *count = self->count;
    return self->list;
}

/* --- writing --- */

void report_confirm(struct report_file *self, uint64_t step) {
    size_t at = place_of(self, step);
    if (is_at(self, at, step))
        self->confirmed[at] = true;
}

void report_doubt(struct report_file *self, uint64_t made) {
    for (size_t i = 0; i < self->count; i++)
        self->confirmed[i] = self->list[i].step <= made;
}

int report_rewind(struct report_file *self, uint64_t step, size_t *dropped, struct error *error) {
    size_t first = place_of(self, step), kept = first;
    *dropped = 0;
    for (size_t i = first; i < self->count; i++)
        *dropped += self->list[i].step == step || !self->confirmed[i];
    if (*dropped == 0)
        return 0;
    struct evaluation *list = malloc(self->count * sizeof *list);
    if (!list)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu evaluations", self->path,
                         self->count);
    memcpy(list, self->list, first * sizeof *list);
    for (size_t i = first; i < self->count; i++)
        if (self->list[i].step != step && self->confirmed[i])
            list[kept++] = self->list[i];
    int result = replace(self, list, kept, error);
    if (result == 0) {
        memcpy(self->list, list, kept * sizeof *list);
        for (size_t i = first; i < kept; i++)
            self->confirmed[i] = true;
        self->count = kept;
    }
    free(list);
    return result;
}

/* Memory first: what is on the disk but not remembered would be scored twice. */
static int add(struct report_file *self, size_t at, const struct evaluation *evaluation,
               struct error *error) {
    char *line = evaluation_encode_json(evaluation, error);
    if (!line)
        return -1;
    bool last = at == self->count;
    insert(self, at, evaluation, true);
    int result =
        last ? file_append(self->descriptor, self->path, line, strlen(line), &self->end, error)
             : replace(self, self->list, self->count, error);
    if (result) {
        size_t after = --self->count - at;
        memmove(self->list + at, self->list + at + 1, after * sizeof *self->list);
        memmove(self->confirmed + at, self->confirmed + at + 1, after * sizeof *self->confirmed);
    }
    free(line);
    return result;
}

int report_append(struct report_file *self, const struct evaluation *evaluation,
                  struct error *error) {
    size_t at = place_of(self, evaluation->step);
    if (is_at(self, at, evaluation->step))
        return error_set(error, ERROR_REFUSED, "%s: step %llu is scored already", self->path,
                         (unsigned long long)evaluation->step);
    const char *wrong = evaluation_unreasonable(evaluation);
    if (wrong)
        return error_set(error, ERROR_INVALID, "step %llu: %s",
                         (unsigned long long)evaluation->step, wrong);
    return make_room(self, error) == 0 ? add(self, at, evaluation, error) : -1;
}

void report_close(struct report_file **self) {
    if (!self || !*self)
        return;
    if ((*self)->descriptor >= 0)
        close((*self)->descriptor);
    free((*self)->list);
    free((*self)->confirmed);
    free((*self)->path);
    free(*self);
    *self = NULL;
}
