/* See old_events.h. */
#include "evaluator/old_events.h"
#include "common/file.h"

#include "evaluator/event_record.h"
#include "proto/tensorboard.pb-c.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cleaning {
    const struct evaluation *list; /* what counts */
    size_t count;
    bool *seen; /* for each of the list */
    struct old_events *old;
};

enum verdict { KEEP, KEEP_POINT, DROP, FOREIGN };

/* Whether all scalars have tags that events.c gives. */
static bool is_ours(const Tensorboard__Summary *summary) {
    static const struct evaluation none;
    double scalar;
    for (size_t i = 0; i < summary->n_value; i++) {
        const char *tag;
        int at = 0;
        while ((tag = evaluation_scalar(&none, at, &scalar)) &&
               strcmp(summary->value[i]->tag, tag) != 0)
            at++;
        if (!tag)
            return false;
    }
    return summary->n_value > 0;
}

static int by_step(const void *key, const void *element) {
    uint64_t step = *(const uint64_t *)key, other = ((const struct evaluation *)element)->step;
    return step < other ? -1 : step > other;
}

static enum verdict judge(struct cleaning *self, const uint8_t *bytes, size_t size) {
    enum verdict verdict = FOREIGN;
    Tensorboard__Event *event = tensorboard__event__unpack(NULL, size, bytes);
    if (!event)
        return FOREIGN;
    if (event->what_case == TENSORBOARD__EVENT__WHAT_FILE_VERSION ||
        event->what_case == TENSORBOARD__EVENT__WHAT_SESSION_LOG) {
        verdict = KEEP;
    } else if (event->what_case == TENSORBOARD__EVENT__WHAT_SUMMARY && is_ours(event->summary)) {
        uint64_t step = (uint64_t)event->step;
        const struct evaluation *line =
            self->count ? bsearch(&step, self->list, self->count, sizeof *line, by_step) : NULL;
        bool *seen = line ? &self->seen[line - self->list] : NULL;
        verdict = seen && !*seen ? KEEP_POINT : DROP;
        if (seen)
            *seen = true;
    }
    if ((verdict == KEEP || verdict == KEEP_POINT) && isfinite(event->wall_time) &&
        event->wall_time > self->old->wall_time)
        self->old->wall_time = event->wall_time;
    tensorboard__event__free_unpacked(event, NULL);
    return verdict;
}

/* What of a file stays. */
struct rest {
    size_t size;   /* bytes, moved to the file's beginning */
    size_t points; /* among them */
    bool dropped;  /* something is to go */
    bool prefix;   /* only what was at the end */
    bool foreign;  /* not a file of ours: nothing was changed */
};

/* Moves what stays to the beginning of bytes[size]. */
static struct rest sift(struct cleaning *self, uint8_t *bytes, size_t size) {
    struct rest rest = {.prefix = true};
    const uint8_t *message;
    size_t at = 0, length, whole;
    for (; (whole = event_record_read(bytes + at, size - at, &message, &length)) > 0; at += whole) {
        enum verdict verdict = judge(self, message, length);
        if (verdict == FOREIGN) {
            rest.foreign = true;
            return rest;
        }
        if (verdict == DROP) {
            rest.dropped = true;
            continue;
        }
        rest.prefix = rest.prefix && !rest.dropped;
        rest.points += verdict == KEEP_POINT;
        memmove(bytes + rest.size, bytes + at, whole);
        rest.size += whole;
    }
    rest.foreign = at == 0;
    rest.dropped |= at < size;
    return rest;
}

/* Cut at its end where that is all, so that who reads along need not begin anew. */
static int clean_file(struct cleaning *self, const char *path, struct error *error) {
    size_t size;
    uint8_t *bytes;
    struct stat about;
    if (lstat(path, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0 ||
        about.st_size > OLD_EVENTS_MAX)
        return 0; /* not ours */
    if (file_read(path, OLD_EVENTS_MAX, &bytes, &size, error) != 0)
        return -1;
    struct rest rest = sift(self, bytes, size);
    int status = 0;
    if (rest.foreign || (!rest.dropped && rest.points > 0))
        status = 0;
    else if (rest.points == 0)
        status = unlink(path) ? error_set_errno(error, "%s: cannot be removed", path) : 0;
    else if (!rest.prefix)
        status = file_write(path, bytes, rest.size, error);
    else if (truncate(path, (off_t)rest.size))
        status = error_set_errno(error, "%s: cannot be cut", path);
    free(bytes);
    return status;
}

static int is_event_file(const struct dirent *entry) {
    return strncmp(entry->d_name, OLD_EVENTS_PREFIX, strlen(OLD_EVENTS_PREFIX)) == 0;
}

/* As TensorBoard orders them, whatever the locale. */
static int by_name(const struct dirent **one, const struct dirent **other) {
    return strcmp((*one)->d_name, (*other)->d_name);
}

static int clean_named(struct cleaning *self, const char *folder, const char *name,
                       struct error *error) {
    char *path = NULL;
    int64_t seconds = 0;
    size_t length = strlen(name);
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return error_set(error, ERROR_MEMORY, "%s: no memory for a file name", folder);
    int status = 0;
    if (length > 5 && strcmp(name + length - 5, ".part") == 0)
        unlink(path); /* a crash while it was to take another's place */
    else
        status = clean_file(self, path, error);
    if (sscanf(name + strlen(OLD_EVENTS_PREFIX), "%10" SCNd64, &seconds) == 1 &&
        seconds > self->old->seconds)
        self->old->seconds = seconds;
    free(path);
    return status;
}

int old_events_clean(const char *folder, const struct evaluation *list, size_t count,
                     struct old_events *old, struct error *error) {
    struct dirent **entries = NULL;
    struct cleaning cleaning = {.list = list, .count = count, .old = old};
    int status = 0;
    *old = (struct old_events){0};
    cleaning.seen = calloc(count + 1, sizeof *cleaning.seen);
    if (!cleaning.seen)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %zu steps", folder, count);
    int found = scandir(folder, &entries, is_event_file, by_name);
    if (found < 0)
        status = error_set_errno(error, "%s: cannot be listed", folder);
    for (int i = 0; i < found; i++) {
        if (status == 0)
            status = clean_named(&cleaning, folder, entries[i]->d_name, error);
        free(entries[i]);
    }
    free(entries);
    free(cleaning.seen);
    return status;
}
