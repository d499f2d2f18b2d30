/* See follow.h. */
#include "evaluator/follow.h"

#include "common/clock.h"
#include "common/wire.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_PATIENCE (2 * CLOCK_SECOND)

/* A checkpoint as the trainer offered it. */
struct offer {
    struct evaluation of; /* no figures yet */
    uint64_t size;
    uint8_t sha256[SHA256_SIZE];
};

struct piece {
    uint64_t offset;
    uint32_t size;
    int64_t asked; /* when, ns */
    bool open;     /* asked for and not come */
};

struct follow {
    struct offer queue[FOLLOW_QUEUE]; /* oldest first */
    int count;
    uint32_t sequence; /* of the newest offer; 0: none yet */
    bool active;       /* current is being fetched or is whole */
    struct offer current;
    uint8_t *bytes; /* [current.size] */
    uint64_t next;  /* first offset not yet asked for */
    uint64_t got;   /* bytes that came */
    struct piece pieces[FOLLOW_CREDIT];
    int tries; /* whole fetches of current with a wrong digest */
    bool verified;
    bool starved; /* there was no memory for the next one */
};

struct follow *follow_create(void) {
    return calloc(1, sizeof(struct follow));
}

void follow_reset(struct follow *self) {
    free(self->bytes);
    *self = (struct follow){0};
}

void follow_destroy(struct follow **pointer) {
    if (*pointer)
        free((*pointer)->bytes);
    free(*pointer);
    *pointer = NULL;
}

/* Makes room in a full queue: false when only epoch ends wait. */
static bool give_way(struct follow *self, uint64_t *given_up) {
    for (int i = 0; i < self->count; i++) {
        if (self->queue[i].of.epoch_end || self->queue[i].of.final)
            continue;
        *given_up = self->queue[i].of.step;
        self->count--;
        memmove(&self->queue[i], &self->queue[i + 1],
                (size_t)(self->count - i) * sizeof self->queue[0]);
        return true;
    }
    return false;
}

int follow_check(const Digitsum__Header *header, struct error *error) {
    const Digitsum__CheckpointInfo *info = header->checkpoint;
    if (info->size < 8 || info->size > FOLLOW_BYTES)
        return error_set(error, ERROR_CORRUPT, "a checkpoint of %llu bytes was offered",
                         (unsigned long long)info->size);
    if (header->step > INT64_MAX || info->samples > INT64_MAX)
        return error_set(error, ERROR_CORRUPT, "%llu samples in %llu steps cannot be",
                         (unsigned long long)info->samples, (unsigned long long)header->step);
    if (!(info->epoch >= 0 && info->epoch < EVALUATION_EPOCHS))
        return error_set(error, ERROR_CORRUPT, "epoch %g cannot be", info->epoch);
    /* Half, for they grow until it is scored. */
    if (!(info->seconds >= 0 && info->seconds < EVALUATION_SECONDS / 2))
        return error_set(error, ERROR_CORRUPT, "%g s after the run began cannot be", info->seconds);
    return 0;
}

static struct offer *find(struct follow *self, uint64_t step) {
    if (self->active && self->current.of.step == step)
        return &self->current;
    for (int i = 0; i < self->count; i++)
        if (self->queue[i].of.step == step)
            return &self->queue[i];
    return NULL;
}

int follow_offer(struct follow *self, const Digitsum__Header *header, uint32_t *gap,
                 uint64_t *given_up, struct error *error) {
    const Digitsum__CheckpointInfo *info = header->checkpoint;
    *gap = 0;
    *given_up = UINT64_MAX;
    struct offer *before = find(self, header->step);
    if (before) {
        before->of.final |= info->final;
        before->of.epoch_end |= info->epoch_end;
        return 0;
    }
    if (self->sequence && info->sequence > self->sequence + 1)
        *gap = info->sequence - self->sequence - 1;
    if (info->sequence > self->sequence)
        self->sequence = info->sequence;
    if (self->count == FOLLOW_QUEUE && !give_way(self, given_up))
        return error_set(error, ERROR_MEMORY, "%d epoch ends wait to be scored", self->count);
    struct offer *offer = &self->queue[self->count++];
    *offer = (struct offer){.size = info->size,
                            .of = {.step = header->step,
                                   .samples = info->samples,
                                   .epoch = info->epoch,
                                   .epoch_end = info->epoch_end,
                                   .final = info->final}};
    memcpy(offer->sha256, info->sha256.data, SHA256_SIZE);
    sha256_hex(info->sha256.data, offer->of.checkpoint_sha256);
    if (info->weights.len == SHA256_SIZE)
        sha256_hex(info->weights.data, offer->of.weights_sha256);
    return 1;
}

bool follow_gone(struct follow *self, uint64_t step, struct evaluation *offered) {
    struct offer *known = find(self, step);
    if (!known || (known == &self->current && self->got == self->current.size))
        return false; /* what is whole needs no trainer any more */
    *offered = known->of;
    if (known == &self->current) {
        follow_done(self);
        return true;
    }
    self->count--;
    memmove(known, known + 1, (size_t)(&self->queue[self->count] - known) * sizeof *known);
    return true;
}

static void restart_fetch(struct follow *self) {
    self->next = self->got = 0;
    memset(self->pieces, 0, sizeof self->pieces);
}

/* Takes the oldest offer from the queue. */
static bool begin_next(struct follow *self) {
    if (self->count == 0)
        return false;
    uint8_t *bytes = malloc(self->queue[0].size);
    self->starved = !bytes;
    if (!bytes)
        return false; /* follow_take says so */
    self->current = self->queue[0];
    self->count--;
    memmove(&self->queue[0], &self->queue[1], (size_t)self->count * sizeof self->queue[0]);
    self->bytes = bytes;
    self->active = true;
    self->verified = false;
    self->tries = 0;
    restart_fetch(self);
    return true;
}

bool follow_request(struct follow *self, int64_t now, uint64_t *step, uint64_t *offset,
                    uint32_t *size) {
    if (!self->active && !begin_next(self))
        return false;
    for (int i = 0; i < FOLLOW_CREDIT; i++) {
        struct piece *piece = &self->pieces[i];
        if (piece->open && now - piece->asked < PIECE_PATIENCE)
            continue;
        if (!piece->open) {
            uint64_t left = self->current.size - self->next;
            if (left == 0)
                continue;
            piece->offset = self->next;
            piece->size = left < WIRE_CHUNK_MAX ? (uint32_t)left : WIRE_CHUNK_MAX;
            piece->open = true;
            self->next += piece->size;
        }
        piece->asked = now;
        *step = self->current.of.step;
        *offset = piece->offset;
        *size = piece->size;
        return true;
    }
    return false;
}

int follow_piece(struct follow *self, uint64_t step, uint64_t offset, const void *bytes,
                 size_t size, struct error *error) {
    for (int i = 0; self->active && step == self->current.of.step && i < FOLLOW_CREDIT; i++) {
        struct piece *piece = &self->pieces[i];
        if (!piece->open || piece->offset != offset || piece->size != size)
            continue;
        memcpy(self->bytes + offset, bytes, size);
        piece->open = false;
        self->got += size;
        return 0;
    }
    return error_set(error, ERROR_CORRUPT,
                     "%zu bytes at %llu of step %llu's checkpoint, which were not asked for", size,
                     (unsigned long long)offset, (unsigned long long)step);
}

int follow_take(struct follow *self, struct evaluation *offered, const uint8_t **bytes,
                size_t *size, struct error *error) {
    if (self->starved) {
        *offered = self->queue[0].of;
        return error_set(error, ERROR_MEMORY, "no memory for a checkpoint of %llu bytes",
                         (unsigned long long)self->queue[0].size);
    }
    if (!self->active || self->got < self->current.size)
        return 0;
    *offered = self->current.of;
    if (!self->verified) {
        uint8_t digest[SHA256_SIZE];
        sha256_bytes(self->bytes, self->current.size, digest);
        self->verified = memcmp(digest, self->current.sha256, SHA256_SIZE) == 0;
    }
    if (!self->verified) {
        if (++self->tries >= FOLLOW_TRIES)
            return error_set(error, ERROR_CORRUPT, "its SHA-256 was wrong %d times", self->tries);
        restart_fetch(self);
        return 0;
    }
    *bytes = self->bytes;
    *size = self->current.size;
    return 1;
}

void follow_done(struct follow *self) {
    free(self->bytes);
    self->bytes = NULL;
    self->active = false;
}

int follow_waiting(const struct follow *self) {
    return self->count;
}
