/* What is left of a run in one small file: summary.json, in the form that people and the launcher
 * read. */
#ifndef TRAINER_SUMMARY_H
#define TRAINER_SUMMARY_H

#include "common/error.h"
#include "common/notices.h"
#include "common/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct summary {
    char network[64];
    size_t parameters; /* trainable */
    char dataset[128];
    bool synthetic; /* the figures are not MNIST's */
    char engine[16], precision[8];
    int threads;
    const char *computed_with; /* JSON object, as in the checkpoint (model/traits.h); NULL: none.
                                  Borrowed */
    uint64_t seed, steps;      /* steps trained in all */
    double epochs;
    bool scored;                         /* an evaluation of the last checkpoint came in */
    double digit_accuracy, sum_accuracy; /* 0-1, of the last evaluated checkpoint */
    uint64_t best_step;                  /* 0: none */
    double best_digit_accuracy, best_sum_accuracy;
    char weights_sha256[SHA256_HEX]; /* of the last checkpoint; "" without one */
    char chain_sha256[SHA256_HEX];
    double seconds;
    double seconds_to_target; /* to the first report of the goal, by default digit 99.0 and sum
                                 98.9 %; negative: not reached */
    double seconds_waiting, longest_wait; /* of the training for batches, after the first */
    double images_per_second;             /* over the time from the first batch to the last */
    uint64_t batches_consumed, batches_duplicated, batches_released_again, messages_rejected;
    uint64_t checkpoints_unscored; /* as far as this process knows */
    bool finished;                 /* false: stopped before its last step */
    struct notices warnings;
};

/* Writes folder/summary.json aside, syncs, renames. */
int summary_write(const struct summary *summary, const char *folder, struct error *error);

/* What an earlier incarnation of the run, stopped in good order, left in folder/summary.json: its
 * seconds, and those to the target (negative: not reached). Both as if it had never been where
 * there is no such file. */
void summary_earlier(const char *folder, double *seconds, double *seconds_to_target);

#endif
