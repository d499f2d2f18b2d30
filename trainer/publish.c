/* See publish.h. */
#include "trainer/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct publisher {
    const struct log *log;
    int keep;
    bool expecting;    /* there was an evaluator once, or there is to be one */
    uint32_t sequence; /* of the newest entry */
    int count, room;
    struct published *list; /* oldest first */
};

struct publisher *publisher_create(int keep, const struct log *log) {
    struct publisher *self = calloc(1, sizeof *self);
    if (self) {
        self->keep = keep;
        self->log = log;
    }
    return self;
}

void publisher_expect(struct publisher *self) {
    self->expecting = true;
}

void publisher_destroy(struct publisher **pointer) {
    struct publisher *self = *pointer;
    if (!self)
        return;
    for (int i = 0; i < self->count; i++)
        close(self->list[i].descriptor);
    free(self->list);
    free(self);
    *pointer = NULL;
}

/* Gives up the oldest claims that may be given up, so that an evaluator that lives but never keeps
 * up holds back no more than PUBLISH_PENDING files. */
static void bound_pending(struct publisher *self) {
    for (int bit = 0; bit < 32; bit++) {
        uint32_t mask = UINT32_C(1) << bit;
        int pending = 0;
        for (int i = 0; i < self->count; i++)
            pending += (self->list[i].waiting & mask) != 0;
        for (int i = 0; i < self->count && pending > PUBLISH_PENDING; i++) {
            struct published *entry = &self->list[i];
            if (!(entry->waiting & mask) || entry->saved.epoch_end)
                continue;
            entry->waiting &= ~mask;
            pending--;
            log_warning(self->log,
                        "an evaluator is %d checkpoints behind: step %" PRIu64
                        " goes unscored by it",
                        PUBLISH_PENDING, entry->saved.step);
        }
    }
}

/* Forgets the newest entry if it is this step's: its file is another now, and inherits its number.
 */
static void forget_newest(struct publisher *self, uint64_t step) {
    struct published *newest = self->count > 0 ? &self->list[self->count - 1] : NULL;
    if (!newest || newest->saved.step != step)
        return;
    close(newest->descriptor);
    self->count--;
    self->sequence--;
}

const struct published *publisher_add(struct publisher *self, const struct saved *saved,
                                      uint32_t waiting, struct error *error) {
    if (self->count == self->room) {
        int room = self->room ? 2 * self->room : 16;
        struct published *list = realloc(self->list, (size_t)room * sizeof *list);
        if (!list) {
            error_set(error, ERROR_MEMORY, "no memory to publish step %" PRIu64, saved->step);
            return NULL;
        }
        self->list = list;
        self->room = room;
    }
    int descriptor = open(saved->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        error_set_errno(error, "opening %s", saved->path);
        return NULL;
    }
    forget_newest(self, saved->step);
    self->list[self->count] = (struct published){.saved = *saved,
                                                 .sequence = ++self->sequence,
                                                 .waiting = waiting,
                                                 .descriptor = descriptor};
    self->count++;
    bound_pending(self);
    return &self->list[self->count - 1];
}

void publisher_join(struct publisher *self, int bit) {
    self->expecting = true;
    for (int i = 0; i < self->count; i++)
        self->list[i].waiting |= UINT32_C(1) << bit;
}

void publisher_leave(struct publisher *self, int bit) {
    for (int i = 0; i < self->count; i++) {
        self->list[i].waiting &= ~(UINT32_C(1) << bit);
        self->list[i].told &= ~(UINT32_C(1) << bit);
    }
}

static struct published *find(const struct publisher *self, uint64_t step) {
    for (int i = self->count - 1; i >= 0; i--)
        if (self->list[i].saved.step == step)
            return &self->list[i];
    return NULL;
}

bool publisher_scored(struct publisher *self, int bit, uint64_t step) {
    struct published *entry = find(self, step);
    if (!entry || entry->told >> bit & 1)
        return false;
    entry->waiting &= ~(UINT32_C(1) << bit);
    entry->told |= UINT32_C(1) << bit;
    entry->scored = true;
    return true;
}

int publisher_count(const struct publisher *self) {
    return self->count;
}

const struct published *publisher_at(const struct publisher *self, int i) {
    return &self->list[i];
}

int publisher_read(const struct publisher *self, uint64_t step, uint64_t offset, uint32_t size,
                   void *bytes, struct error *error) {
    const struct published *entry = find(self, step);
    if (!entry)
        return error_set(error, ERROR_CORRUPT, "there is no checkpoint of step %" PRIu64, step);
    if (offset > entry->saved.size || size > entry->saved.size - offset)
        return error_set(error, ERROR_CORRUPT,
                         "bytes %" PRIu64 " to %" PRIu64 " of step %" PRIu64
                         "'s checkpoint, which has %" PRIu64,
                         offset, offset + size, step, entry->saved.size);
    for (uint32_t done = 0; done < size;) {
        ssize_t got =
            pread(entry->descriptor, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return error_set(error, ERROR_CORRUPT, "%s is shorter than it was", entry->saved.path);
        if (got < 0)
            return error_set_errno(error, "reading %s", entry->saved.path);
        done += (uint32_t)got;
    }
    return 0;
}

/* Whether somebody is still to score it. */
static bool owed(const struct publisher *self, const struct published *entry) {
    return entry->waiting || (self->expecting && !entry->scored);
}

bool publisher_final_pending(const struct publisher *self) {
    for (int i = 0; i < self->count; i++)
        if (self->list[i].saved.final && owed(self, &self->list[i]))
            return true;
    return false;
}

int publisher_best(const struct publisher *self, uint64_t step, const char *folder,
                   struct error *error) {
    const struct published *entry = find(self, step);
    if (!entry)
        return error_set(error, ERROR_INVALID, "the checkpoint of step %" PRIu64 " is gone", step);
    char best[600], aside[620];
    snprintf(best, sizeof best, "%s/best.safetensors", folder);
    snprintf(aside, sizeof aside, "%s.tmp", best);
    /* A hard link costs nothing and outlives the other name. */
    unlink(aside);
    if (link(entry->saved.path, aside) != 0 || rename(aside, best) != 0) {
        error_set_errno(error, "making %s", best);
        unlink(aside);
        return -1;
    }
    unlink(aside); /* rename does nothing where both names are the same file already */
    return 0;
}

void publisher_tidy(struct publisher *self) {
    int kept = 0, excess = self->count - self->keep;
    for (int i = 0; i < self->count; i++) {
        struct published *entry = &self->list[i];
        /* With no evaluator there, what is held for one that may come back is bounded too. */
        bool given_up =
            !entry->waiting && !entry->saved.epoch_end && self->count - i > PUBLISH_PENDING;
        if (i < excess && !entry->saved.final && (given_up || !owed(self, entry))) {
            unlink(entry->saved.path);
            close(entry->descriptor);
        } else {
            self->list[kept++] = *entry;
        }
    }
    self->count = kept;
}
