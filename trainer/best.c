/* See best.h. */
#include "trainer/best.h"
#include "common/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sums of shares of up to a million pairs: what is nearer than this is equal. */
static const double equal = 1e-9;

static bool better(struct scored one, struct scored other) {
    double by = one.digit + one.sum - (other.digit + other.sum);
    return by > equal || (by > -equal && one.step < other.step);
}

struct scored scored_of(const struct evaluation *evaluation) {
    return (struct scored){.step = evaluation->step,
                           .digit = evaluation_digit_accuracy(evaluation),
                           .sum = evaluation_sum_accuracy(evaluation)};
}

static void file_of(const struct best *self, char path[static PATH_MAX]) {
    path_join(path, self->folder, "best.safetensors", NULL); /* best_begin: it fits */
}

/* For file systems that have no second names. */
static int copy(const char *path, const char *to, struct error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (checkpoint_load(path, &bytes, &size, error) != 0)
        return -1;
    int status = file_write(to, bytes, size, error);
    free(bytes);
    return status;
}

/* Makes best.safetensors the same file as `path`, and returns when that survives a power cut: the
 * other name may go at once. */
static int put_in_place(const struct best *self, const char *path, struct error *error) {
    char best[PATH_MAX], aside[PATH_MAX];
    file_of(self, best);
    path_join(aside, self->folder, "best.safetensors.tmp", NULL);
    unlink(aside);
    bool linked = link(path, aside) == 0;
    if (!linked && errno != ENOENT)
        return copy(path, best, error);
    if (!linked || rename(aside, best) != 0) {
        error_set_errno(error, "making %s", best);
        unlink(aside);
        return -1;
    }
    unlink(aside); /* rename does nothing where both names are the same file already */
    return file_sync_folder(best, error);
}

void best_begin(struct best *self, const char *folder, const struct log *log) {
    *self = (struct best){.log = log};
    snprintf(self->folder, sizeof self->folder, "%s", folder);
}

/* --- after a restart -------------------------------------------------------------------------- */

/* best.safetensors as it was found. */
struct found {
    bool whole;
    struct saved saved;
};

static void look(const struct best *self, struct found *found) {
    char path[PATH_MAX];
    struct error bad;
    file_of(self, path);
    *found = (struct found){0};
    if (access(path, F_OK) != 0)
        return;
    found->whole = saver_describe_file(path, &found->saved, &bad) == 0;
    if (!found->whole)
        log_warning(self->log, "best.safetensors cannot be used: %s", bad.text);
}

static bool is_found(const struct found *found, const struct evaluation *line) {
    return found->whole && found->saved.step == line->step &&
           evaluation_is_of(line, found->saved.weights, found->saved.sha256);
}

/* The next best line after `last` (NULL: the best of all), of those whose step was trained by
 * `start` or whose file is in place. */
static const struct evaluation *next_best(const struct evaluations *scores, uint64_t start,
                                          const struct found *found,
                                          const struct evaluation *last) {
    const struct evaluation *next = NULL;
    for (size_t i = 0; i < scores->count; i++) {
        const struct evaluation *line = &scores->list[i];
        if ((line->step > start && !is_found(found, line)) ||
            (last && !better(scored_of(last), scored_of(line))))
            continue;
        if (!next || better(scored_of(line), scored_of(next)))
            next = line;
    }
    return next;
}

/* The best line whose file is there, in place or among the checkpoints (then its path is filled
 * in).
 */
static const struct evaluation *find_best(const struct best *self, const struct evaluations *scores,
                                          uint64_t start, const struct found *found,
                                          char path[static PATH_MAX]) {
    char folder[PATH_MAX];
    path_join(folder, self->folder, "checkpoints", NULL);
    const struct evaluation *line = NULL;
    path[0] = '\0';
    while ((line = next_best(scores, start, found, line))) {
        struct saved saved;
        if (is_found(found, line))
            return line;
        if (saver_describe(folder, line->step, &saved, NULL) == 0 &&
            evaluation_is_of(line, saved.weights, saved.sha256)) {
            memcpy(path, saved.path, sizeof saved.path);
            return line;
        }
    }
    return NULL;
}

/* Nobody knows how good the file in place is: it becomes a checkpoint to be scored like any other.
 */
static int publish_found(struct best *self, const struct found *found, uint64_t start,
                         const struct evaluation *line, struct error *error) {
    char path[PATH_MAX], folder[PATH_MAX], best[PATH_MAX];
    file_of(self, best);
    path_join(folder, self->folder, "checkpoints", NULL);
    saver_file(folder, found->saved.step, path);
    if (found->saved.step <= start && access(path, F_OK) != 0 &&
        (link(best, path) == 0 ? file_sync_folder(path, error) : copy(best, path, error)) != 0)
        return -1;
    log_info(self->log,
             "best.safetensors is of step %" PRIu64
             ", which has no line in evaluations.jsonl: it will be scored again",
             found->saved.step);
    self->file.step = found->saved.step;
    self->unknown = true;
    if (line)
        self->rival = scored_of(line);
    return 0;
}

int best_restore(struct best *self, const struct evaluations *scores, uint64_t start,
                 struct error *error) {
    char path[PATH_MAX];
    struct found found;
    look(self, &found);
    const struct evaluation *first = next_best(scores, start, &found, NULL);
    const struct evaluation *line = find_best(self, scores, start, &found, path);
    if (first && line != first) {
        self->lost = scored_of(first);
        log_error(self->log,
                  "the best checkpoint, step %" PRIu64
                  ", is lost: neither best.safetensors nor the checkpoints have it",
                  first->step);
    }
    if (found.whole && !evaluations_find(scores, found.saved.step))
        return publish_found(self, &found, start, line, error);
    if (!line)
        return 0;
    self->file = scored_of(line);
    if (!path[0])
        return 0;
    log_info(self->log, "best.safetensors is restored: step %" PRIu64, line->step);
    return put_in_place(self, path, error);
}

void best_published(struct best *self, struct publisher *publisher) {
    if (self->rival.step)
        publisher_hold(publisher, self->rival.step, true);
}

/* --- while the run lasts ---------------------------------------------------------------------- */

static void make_best(struct best *self, const struct publisher *publisher, struct scored scored) {
    struct error error = {0};
    const struct published *entry = publisher_find(publisher, scored.step);
    self->file = scored;
    if (!entry)
        error_set(&error, ERROR_IO, "its file is gone");
    if (entry && put_in_place(self, entry->saved.path, &error) == 0) {
        if (!better(self->lost, scored))
            self->lost = (struct scored){0};
        return;
    }
    self->lost = scored;
    log_error(self->log, "best.safetensors is not step %" PRIu64 "'s: %s", scored.step, error.text);
}

/* Until the file in place is scored it is not known to be worse: the best of the others waits. */
static void put_off(struct best *self, struct publisher *publisher, struct scored scored) {
    if (self->rival.step && !better(scored, self->rival))
        return;
    publisher_hold(publisher, self->rival.step, false);
    publisher_hold(publisher, scored.step, true);
    self->rival = scored;
}

void best_consider(struct best *self, struct publisher *publisher, struct scored scored) {
    bool was_unknown = self->unknown;
    if (was_unknown && scored.step != self->file.step) {
        put_off(self, publisher, scored);
        return;
    }
    self->unknown = false;
    if (scored.step == self->file.step || self->file.step == 0 || better(scored, self->file))
        make_best(self, publisher, scored);
    if (!was_unknown || !self->rival.step)
        return;
    if (better(self->rival, self->file))
        make_best(self, publisher, self->rival);
    publisher_hold(publisher, self->rival.step, false);
    self->rival = (struct scored){0};
}
