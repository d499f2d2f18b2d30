/* The thread that writes checkpoints, so that neither training nor sockets wait for a disk. Owns
 * one snapshot at a time: a second one makes the giver wait (bounded memory). */
#ifndef TRAINER_SAVE_H
#define TRAINER_SAVE_H

#include "common/log.h"
#include "model/checkpoint.h"

#include <limits.h>
/* A checkpoint that is whole and on disk, as the socket side learns of it. */
struct saved {
    char path[PATH_MAX];
    uint64_t step;
    double epoch;
    uint64_t samples;
    bool epoch_end, final;
    uint64_t size;               /* bytes of the file */
    uint8_t sha256[SHA256_SIZE]; /* of the file */
    char weights[SHA256_HEX];    /* state_sha256 */
    uint8_t chain[SHA256_SIZE];  /* head of the chain over consumed batches */
    bool failed;                 /* could not be written; error says why */
    struct error error;
};

struct saver;

/* Files go to folder/step-%09llu.safetensors. `wake`: eventfd written when something was saved.
 * NULL with the reason: no memory, no thread, a path of 400 bytes or more. */
struct saver *saver_start(const char *folder, int wake, struct error *error);

/* A whole file of the same step and state stays as it is, and is told of as if it had been written
 * now. Takes over the state's arrays (the caller's are cleared) and the rest by copy; the net and
 * texts inside must outlive the saver. Waits while an earlier snapshot is being written. Once one
 * could not be written, all later ones are dropped: a run that goes on from before the hole fills
 * it. */
void saver_give(struct saver *self, struct checkpoint *snapshot, bool epoch_end, bool final);

/* The next saved (or failed) checkpoint that was not yet asked for. */
bool saver_take(struct saver *self, struct saved *saved);

/* Whether nothing is being written or waiting to be taken. */
bool saver_idle(struct saver *self);

/* Writes the path of a step's file. */
void saver_file(const char *folder, uint64_t step, char path[static PATH_MAX]);

/* The smallest step ≥ `from` that has a file in the folder. False when there is none: errno is 0
 * then, or says why the folder cannot be read (ENOENT: there is none). */
bool saver_next(const char *folder, uint64_t from, uint64_t *step);
/* The largest step < `below` that has a file in the folder. False, and errno, likewise. */
bool saver_newest(const char *folder, uint64_t below, uint64_t *step);

/* The step's file as saver_take would have told of it, after reading and checking it whole; but
 * `final` is false, since whether a run goes on is not in the file. -1 with the reason where it
 * cannot be read (ERROR_IO) or is not whole (ERROR_CORRUPT). */
int saver_describe(const char *folder, uint64_t step, struct saved *saved, struct error *error);

/* The same of any checkpoint file. */
int saver_describe_file(const char *path, struct saved *saved, struct error *error);

/* Writes what it holds, ends, frees. */
void saver_destroy(struct saver **self);

#endif
