/* See publish.h. */
#include "trainer/publish.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct publisher {
    const struct log *log;
    int keep, limit;
    bool expecting;    /* there was an evaluator once, or there is to be one */
    bool recording;    /* likewise one that keeps evaluations.jsonl */
    uint32_t sequence; /* of the newest entry */
    int count, room;
    struct published *list; /* oldest first */
    bool changed;           /* since publisher_tidy looked last */
    int dropped;            /* removed unscored */
    uint64_t dropped_step;
};

struct publisher *publisher_create(int keep, int limit, const struct log *log) {
    struct publisher *self = calloc(1, sizeof *self);
    assert(limit >= 1);
    if (self) {
        self->keep = keep;
        self->limit = limit;
        self->log = log;
    }
    return self;
}

void publisher_destroy(struct publisher **pointer) {
    struct publisher *self = *pointer;
    if (!self)
        return;
    free(self->list);
    free(self);
    *pointer = NULL;
}

/* Whether nobody has to score it any more. */
static bool settled(const struct publisher *self, const struct published *entry) {
    return entry->recorded || entry->failed || (!self->recording && entry->scored);
}

static bool owed(const struct publisher *self, const struct published *entry) {
    return self->expecting && !settled(self, entry);
}

static struct published *find(const struct publisher *self, uint64_t step) {
    for (int i = self->count - 1; i >= 0; i--)
        if (self->list[i].saved.step == step)
            return &self->list[i];
    return NULL;
}

/* --- coming in -------------------------------------------------------------------------------- */

struct published *publisher_add(struct publisher *self, const struct saved *saved, uint32_t waiting,
                                struct error *error) {
    self->changed = true;
    struct published *newest = self->count > 0 ? &self->list[self->count - 1] : NULL;
    if (newest && newest->saved.step == saved->step) {
        if (memcmp(newest->saved.sha256, saved->sha256, SHA256_SIZE) == 0) {
            newest->saved.final |= saved->final;
            newest->saved.epoch_end |= saved->epoch_end;
            newest->waiting |= waiting & ~newest->told;
            newest->offered = 0;
            return newest;
        }
        self->count--; /* the new one inherits its number */
        self->sequence--;
    }
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
    struct published *entry = &self->list[self->count++];
    *entry = (struct published){.saved = *saved, .sequence = ++self->sequence, .waiting = waiting};
    return entry;
}

void publisher_expect(struct publisher *self, bool records) {
    self->expecting = self->changed = true;
    self->recording |= records;
}

void publisher_join(struct publisher *self, int bit, bool records) {
    publisher_expect(self, records);
    for (int i = 0; i < self->count; i++)
        self->list[i].waiting |= UINT32_C(1) << bit;
}

void publisher_leave(struct publisher *self, int bit) {
    uint32_t mask = ~(UINT32_C(1) << bit);
    self->changed = true;
    for (int i = 0; i < self->count; i++) {
        self->list[i].waiting &= mask;
        self->list[i].offered &= mask;
        self->list[i].told &= mask;
    }
}

bool publisher_report(struct publisher *self, int bit, uint64_t step, bool records, bool failed) {
    struct published *entry = find(self, step);
    if (!entry || entry->told >> bit & 1)
        return false;
    entry->waiting &= ~(UINT32_C(1) << bit);
    entry->told |= UINT32_C(1) << bit;
    self->changed = true;
    entry->scored |= !failed;
    if (records || !self->recording) {
        entry->recorded |= records && !failed;
        entry->failed = failed && !entry->scored && !entry->recorded;
    }
    return true;
}

void publisher_recorded(struct publisher *self, uint64_t step) {
    struct published *entry = find(self, step);
    if (entry)
        entry->scored = entry->recorded = self->changed = true;
}

bool publisher_hears_all(const struct publisher *self) {
    return !self->recording;
}

/* --- offers ----------------------------------------------------------------------------------- */

const struct published *publisher_to_offer(const struct publisher *self, int bit) {
    uint32_t mask = UINT32_C(1) << bit;
    int open = 0;
    for (int i = 0; i < self->count; i++) {
        const struct published *entry = &self->list[i];
        if (!(entry->offered & mask))
            return open < PUBLISH_OFFERS ? entry : NULL;
        open += !(entry->told & mask);
    }
    return NULL;
}

void publisher_offered(struct publisher *self, int bit, uint64_t step) {
    struct published *entry = find(self, step);
    if (entry)
        entry->offered |= UINT32_C(1) << bit;
}

void publisher_offer_again(struct publisher *self, int bit) {
    uint32_t mask = UINT32_C(1) << bit;
    for (int i = 0; i < self->count; i++) {
        struct published *entry = &self->list[i];
        if ((entry->offered & mask) && !(entry->told & mask)) {
            entry->offered &= ~mask;
            return;
        }
    }
}

int publisher_count(const struct publisher *self) {
    return self->count;
}

const struct published *publisher_at(const struct publisher *self, int i) {
    return &self->list[i];
}

const struct published *publisher_find(const struct publisher *self, uint64_t step) {
    return find(self, step);
}

void publisher_hold(struct publisher *self, uint64_t step, bool hold) {
    struct published *entry = find(self, step);
    self->changed = true;
    if (entry)
        entry->held = hold;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What the system says no to because it is short of something; anything else is the file's. */
static bool may_pass(int number) {
    return number == EMFILE || number == ENFILE || number == ENOMEM || number == EAGAIN;
}

/* The reason in errno, as ERROR_IO while it may pass, else as ERROR_CORRUPT. */
static int read_failed(struct published *entry, const char *what, struct error *error) {
    bool passes = may_pass(errno) || (errno == ESTALE && ++entry->bad_reads < PUBLISH_TRIES);
    error_set_errno(error, "%s %s", what, entry->saved.path);
    if (error)
        error->code = passes ? ERROR_IO : ERROR_CORRUPT;
    return -1;
}

int publisher_read(struct publisher *self, uint64_t step, uint64_t offset, uint32_t size,
                   void *bytes, struct error *error) {
    struct published *entry = find(self, step);
    if (!entry)
        return error_set(error, ERROR_CORRUPT, "there is no checkpoint of step %" PRIu64, step);
    if (offset > entry->saved.size || size > entry->saved.size - offset)
        return error_set(error, ERROR_INVALID,
                         "bytes %" PRIu64 " to %" PRIu64 " of step %" PRIu64
                         "'s checkpoint, which has %" PRIu64,
                         offset, offset + size, step, entry->saved.size);
    int descriptor = open(entry->saved.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return read_failed(entry, "opening", error);
    int status = 0;
    for (uint32_t done = 0; status == 0 && done < size;) {
        ssize_t got = pread(descriptor, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            status =
                error_set(error, ERROR_CORRUPT, "%s is shorter than it was", entry->saved.path);
        else if (got < 0)
            status = read_failed(entry, "reading", error);
        else
            done += (uint32_t)got;
    }
    close(descriptor);
    if (status == 0)
        entry->bad_reads = 0;
    return status;
}

/* --- what is owed, and what may go ------------------------------------------------------------ */

struct publisher_counts publisher_counts(const struct publisher *self) {
    struct publisher_counts counts = {.dropped = self->dropped, .dropped_step = self->dropped_step};
    for (int i = self->count - 1; i >= 0; i--) {
        const struct published *entry = &self->list[i];
        if (owed(self, entry)) {
            counts.owed++;
            counts.owed_step = entry->saved.step;
        } else if (entry->failed) {
            counts.failed++;
            counts.failed_step = entry->saved.step;
        }
    }
    return counts;
}

int publisher_unscored(const struct publisher *self) {
    int count = 0;
    for (int i = 0; i < self->count; i++)
        count += !self->list[i].scored;
    return count;
}

bool publisher_expecting(const struct publisher *self) {
    return self->expecting;
}

bool publisher_full(const struct publisher *self) {
    return self->expecting && publisher_counts(self).owed >= self->limit;
}

bool publisher_final_waits(const struct publisher *self) {
    for (int i = 0; i < self->count; i++)
        if (self->list[i].saved.final && self->list[i].waiting)
            return true;
    return false;
}

/* Gives up the oldest claims on what is settled, so that an evaluator beside the one that records
 * holds back no more than PUBLISH_PENDING files, however slow it is. */
static void bound_pending(struct publisher *self) {
    for (int bit = 0; bit < 32; bit++) {
        uint32_t mask = UINT32_C(1) << bit;
        int pending = 0;
        for (int i = 0; i < self->count; i++)
            pending += (self->list[i].waiting & mask) != 0 && settled(self, &self->list[i]);
        for (int i = 0; i < self->count && pending > PUBLISH_PENDING; i++) {
            struct published *entry = &self->list[i];
            if (!(entry->waiting & mask) || entry->saved.epoch_end || !settled(self, entry))
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

/* Unscored, and yet nobody is waited for: it failed, or no evaluator ever came. Such are kept as
 * long as there are few, since somebody may still come. */
static bool stranded(const struct publisher *self, const struct published *entry) {
    return !owed(self, entry) && (entry->failed || !settled(self, entry));
}

static void drop(struct publisher *self, const struct published *entry) {
    if (self->dropped++ == 0)
        self->dropped_step = entry->saved.step;
    else if (!entry->failed)
        return; /* one line is enough, and the end of the run counts them */
    log_warning(self->log,
                "checkpoint of step %" PRIu64 " is removed unscored: %d wait already, and %s",
                entry->saved.step, self->limit,
                entry->failed ? "it could not be scored" : "no evaluator ever joined");
}

void publisher_tidy(struct publisher *self) {
    int kept = 0, excess = self->count - self->keep, few = 0;
    if (!self->changed)
        return;
    self->changed = false;
    bound_pending(self);
    for (int i = 0; i < self->count; i++)
        few += stranded(self, &self->list[i]);
    for (int i = 0; i < self->count; i++) {
        struct published *entry = &self->list[i];
        bool alone = stranded(self, entry);
        if (i >= excess || entry->saved.final || entry->held || owed(self, entry) ||
            (alone ? few <= self->limit : entry->waiting != 0)) {
            self->list[kept++] = *entry;
            continue;
        }
        if (alone) {
            drop(self, entry);
            few--;
        }
        unlink(entry->saved.path);
    }
    self->count = kept;
}
