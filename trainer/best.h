/* The best checkpoint that was scored so far, and its file best.safetensors: a second name of the
 * checkpoint's own file, which outlives the other.
 *
 * Best is the highest sum of both accuracies, of equal ones the lowest step. After a restart the
 * lines of evaluations.jsonl say which that is, as far as its file is still there; the file itself
 * counts only where no line knows it: then nothing takes its place before an evaluator has scored
 * it again. */
#ifndef TRAINER_BEST_H
#define TRAINER_BEST_H

#include "common/evaluations.h"
#include "common/log.h"
#include "trainer/publish.h"

/* A checkpoint and its accuracies. */
struct scored {
    uint64_t step; /* 0: none */
    double digit, sum;
};

struct scored scored_of(const struct evaluation *evaluation);

struct best {
    char folder[PATH_MAX]; /* of the run */
    const struct log *log;
    struct scored file;  /* what best.safetensors is of */
    bool unknown;        /* its figures are not known: it is to be scored */
    struct scored rival; /* best of those reported meanwhile, held in the publisher */
    struct scored lost;  /* the best there was, whose file is gone */
};

/* None yet. */
void best_begin(struct best *self, const char *folder, const struct log *log);

/* Finds the best again that an earlier incarnation left, up to step `start` that the run goes on
 * from, and puts best.safetensors in place where it is not. A file in place that no line knows gets
 * its name among the checkpoints back. What is lost is said in the log and in self->lost. To be
 * called before the checkpoints on disk are published. -1 with ERROR_IO where a file cannot be put
 * in place.
 */
int best_restore(struct best *self, const struct evaluations *scores, uint64_t start,
                 struct error *error);

/* The checkpoints on disk are published: holds the one that waits for its turn. */
void best_published(struct best *self, struct publisher *publisher);

/* A checkpoint that the publisher keeps was scored. */
void best_consider(struct best *self, struct publisher *publisher, struct scored scored);

#endif
