/* What evaluations.jsonl says of a run's checkpoints, as far as the trainer needs it when it goes
 * on: which are scored, and how. The evaluator (evaluator/report.h) writes the file and checks it
 * strictly; here a line that cannot be read is as good as none. */
#ifndef TRAINER_SCORES_H
#define TRAINER_SCORES_H

#include "common/error.h"
#include "common/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct score_line {
    uint64_t step;
    double digit, sum;        /* accuracies, 0-1 */
    char weights[SHA256_HEX]; /* state_sha256 of what was scored; "" where the line has none */
    char file[SHA256_HEX];    /* SHA-256 of the checkpoint's file */
};

struct scores {
    struct score_line *list; /* one of each step, the last in the file */
    size_t count;
    bool there;       /* the file is, with or without lines */
    uint64_t largest; /* step */
};

/* Reads folder/evaluations.jsonl; none at all where there is no such file. -1 with ERROR_IO or
 * ERROR_MEMORY. scores_free frees the list. */
int scores_read(const char *folder, struct scores *scores, struct error *error);
void scores_free(struct scores *scores);

/* The line of this step, or NULL. */
const struct score_line *scores_find(const struct scores *scores, uint64_t step);

/* Whether the line is about a checkpoint with these weights (state_sha256), or where it does not
 * say, with this file. */
bool score_is_of(const struct score_line *line, const char *weights,
                 const uint8_t file[static SHA256_SIZE]);

#endif
