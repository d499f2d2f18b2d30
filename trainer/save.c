/* See save.h. */
#include "trainer/save.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MAX = PATH_MAX - 64, SAVED_MAX = 256 };

struct saver {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char folder[PATH_MAX];
    int wake; /* borrowed */
    bool full, ending;
    bool broken;                /* one could not be written: no later one may be */
    struct checkpoint snapshot; /* valid while full; owns the state's arrays */
    bool epoch_end, final;
    struct saved done[SAVED_MAX]; /* ring */
    int first, count;
};

void saver_file(const char *folder, uint64_t step, char path[static PATH_MAX]) {
    char name[64];
    snprintf(name, sizeof name, "step-%09" PRIu64 ".safetensors", step);
    path_join(path, folder, name, NULL); /* saver_start: it fits */
}

/* The whole file that is at `path` already, if it holds the same state: what was written is never
 * written again, not even with other bytes. */
static bool there_already(const char *path, const struct checkpoint *snapshot, uint8_t **bytes,
                          size_t *size) {
    bool same = false;
    if (access(path, F_OK) != 0 || checkpoint_load(path, bytes, size, NULL) != 0)
        return false;
    struct checkpoint *before = checkpoint_decode(*bytes, *size, path, NULL);
    if (before)
        same = checkpoint_same(before, snapshot);
    checkpoint_destroy(&before);
    if (!same) {
        free(*bytes);
        *bytes = NULL;
    }
    return same;
}

static void write_snapshot(struct saver *self, struct saved *saved) {
    const struct checkpoint *snapshot = &self->snapshot;
    *saved = (struct saved){.step = snapshot->step,
                            .epoch = snapshot->epoch,
                            .samples = snapshot->samples,
                            .epoch_end = self->epoch_end,
                            .final = self->final};
    saver_file(self->folder, snapshot->step, saved->path);
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (there_already(saved->path, snapshot, &bytes, &size))
        saved->failed = file_sync_folder(saved->path, &saved->error) != 0;
    else
        saved->failed = checkpoint_encode(snapshot, &bytes, &size, &saved->error) != 0 ||
                        file_write(saved->path, bytes, size, &saved->error) != 0;
    if (!saved->failed) {
        saved->size = size;
        sha256_bytes(bytes, size, saved->sha256);
        state_sha256(&snapshot->state, snapshot->net, saved->weights);
        memcpy(saved->chain, snapshot->chain, sizeof saved->chain);
    }
    free(bytes);
}

static void *run(void *argument) {
    struct saver *self = argument;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (!self->ending && !(self->full && self->count < SAVED_MAX))
            pthread_cond_wait(&self->changed, &self->mutex);
        if (!self->full || self->count == SAVED_MAX)
            break;
        pthread_mutex_unlock(&self->mutex);
        struct saved saved;
        write_snapshot(self, &saved);
        state_free(&self->snapshot.state);
        pthread_mutex_lock(&self->mutex);
        self->done[(self->first + self->count) % SAVED_MAX] = saved;
        self->count++;
        self->broken |= saved.failed;
        self->full = false;
        pthread_cond_broadcast(&self->changed);
        uint64_t one = 1;
        if (write(self->wake, &one, sizeof one) < 0)
            continue; /* the counter is at its top: the reader is awake already */
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

struct saver *saver_start(const char *folder, int wake, struct error *error) {
    struct saver *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for the checkpoint writer");
        return NULL;
    }
    if (strlen(folder) >= FOLDER_MAX) {
        error_set(error, ERROR_INVALID,
                  "the folder for checkpoints has a path of %zu bytes: at "
                  "most %d",
                  strlen(folder), FOLDER_MAX - 1);
        free(self);
        return NULL;
    }
    snprintf(self->folder, sizeof self->folder, "%s", folder);
    self->wake = wake;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        error_set(error, ERROR_IO, "cannot start the checkpoint writer's thread");
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->mutex);
        free(self);
        return NULL;
    }
    return self;
}

void saver_give(struct saver *self, struct checkpoint *snapshot, bool epoch_end, bool final) {
    pthread_mutex_lock(&self->mutex);
    while (self->full)
        pthread_cond_wait(&self->changed, &self->mutex);
    if (self->broken) {
        pthread_mutex_unlock(&self->mutex);
        state_free(&snapshot->state);
        snapshot->state = (struct engine_state){0};
        return;
    }
    self->snapshot = *snapshot;
    snapshot->state = (struct engine_state){0};
    self->epoch_end = epoch_end;
    self->final = final;
    self->full = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

bool saver_take(struct saver *self, struct saved *saved) {
    pthread_mutex_lock(&self->mutex);
    bool any = self->count > 0;
    if (any) {
        *saved = self->done[self->first];
        self->first = (self->first + 1) % SAVED_MAX;
        self->count--;
        pthread_cond_broadcast(&self->changed);
    }
    pthread_mutex_unlock(&self->mutex);
    return any;
}

bool saver_idle(struct saver *self) {
    pthread_mutex_lock(&self->mutex);
    bool idle = !self->full && self->count == 0;
    pthread_mutex_unlock(&self->mutex);
    return idle;
}

void saver_destroy(struct saver **pointer) {
    struct saver *self = *pointer;
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->ending = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    pthread_join(self->thread, NULL);
    if (self->full)
        state_free(&self->snapshot.state);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    *pointer = NULL;
}

/* The step that a file's name names, or UINT64_MAX for any name that saver_file does not give. */
static uint64_t step_of(const char *name) {
    uint64_t step;
    char path[PATH_MAX];
    if (sscanf(name, "step-%" SCNu64, &step) != 1)
        return UINT64_MAX;
    saver_file(".", step, path);
    return strcmp(path + 2, name) == 0 ? step : UINT64_MAX;
}

bool saver_next(const char *folder, uint64_t from, uint64_t *step) {
    DIR *directory = opendir(folder);
    if (!directory)
        return false;
    *step = UINT64_MAX;
    errno = 0; /* readdir sets it or leaves it */
    for (struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        uint64_t found = step_of(entry->d_name);
        if (found >= from && found < *step)
            *step = found;
    }
    int failure = errno;
    closedir(directory);
    errno = failure;
    return failure == 0 && *step != UINT64_MAX;
}

bool saver_newest(const char *folder, uint64_t below, uint64_t *step) {
    bool found = false;
    uint64_t next;
    for (uint64_t from = 0; saver_next(folder, from, &next) && next < below; from = next + 1) {
        *step = next;
        found = true;
        errno = 0;
    }
    return found && errno == 0;
}

/* Whether an epoch became complete with this checkpoint's last step. From the samples that it names
 * follow those of a batch and of an epoch. */
static bool ends_epoch(const struct checkpoint *checkpoint) {
    if (checkpoint->step == 0 || checkpoint->epoch <= 0)
        return false;
    uint64_t samples = (uint64_t)llround((double)checkpoint->samples / checkpoint->epoch);
    uint64_t before = checkpoint->samples - checkpoint->samples / checkpoint->step;
    return samples > 0 && checkpoint->samples / samples > before / samples;
}

int saver_describe_file(const char *path, struct saved *saved, struct error *error) {
    *saved = (struct saved){0};
    snprintf(saved->path, sizeof saved->path, "%s", path);
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct checkpoint *checkpoint = NULL;
    if (checkpoint_load(saved->path, &bytes, &size, error) == 0)
        checkpoint = checkpoint_decode(bytes, size, saved->path, error);
    if (checkpoint) {
        saved->step = checkpoint->step;
        saved->epoch = checkpoint->epoch;
        saved->samples = checkpoint->samples;
        saved->epoch_end = ends_epoch(checkpoint);
        saved->size = size;
        sha256_bytes(bytes, size, saved->sha256);
        state_sha256(&checkpoint->state, checkpoint->net, saved->weights);
        memcpy(saved->chain, checkpoint->chain, sizeof saved->chain);
    }
    int status = checkpoint ? 0 : -1;
    checkpoint_destroy(&checkpoint);
    free(bytes);
    return status;
}

int saver_describe(const char *folder, uint64_t step, struct saved *saved, struct error *error) {
    char path[PATH_MAX];
    saver_file(folder, step, path);
    if (saver_describe_file(path, saved, error) != 0)
        return -1;
    if (saved->step != step)
        return error_set(error, ERROR_CORRUPT,
                         "checkpoint %s: its step is %" PRIu64 ", and its name says %" PRIu64, path,
                         saved->step, step);
    return 0;
}
