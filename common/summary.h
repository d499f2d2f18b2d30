/* What is left of a run in one small file, summary.json: written by the trainer, read by whoever
 * shows a run. One table of fields (summary.c) says what is in it. */
#ifndef COMMON_SUMMARY_H
#define COMMON_SUMMARY_H

#include "common/error.h"
#include "common/notices.h"
#include "common/sha256.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define SUMMARY_MAX (1 << 20) /* bytes of summary.json */

/* Plain data, all its own. Begin with SUMMARY_INIT. */
struct summary {
    char network[64];
    uint64_t parameters; /* trainable */
    char dataset[160];
    bool synthetic; /* the figures are not MNIST's */
    char engine[64], precision[16];
    uint64_t threads;
    uint64_t seed, steps; /* steps trained in all */
    double epochs;
    double digit_accuracy, sum_accuracy; /* 0-1, of the last evaluated checkpoint; NaN: none */
    uint64_t best_step;                  /* 0: none */
    double best_digit_accuracy, best_sum_accuracy; /* NaN: none */
    char weights_sha256[SHA256_HEX];               /* of the last checkpoint; "" without one */
    char chain_sha256[SHA256_HEX];
    double seconds;                       /* of the whole run */
    double seconds_to_target;             /* to the first report of the goal, by default digit 99.0
                                             and sum 98.9 %; NaN: not reached */
    double seconds_waiting, longest_wait; /* of the training for batches, after the first */
    double images_per_second;             /* over the time from the first batch to the last */
    uint64_t batches_consumed, batches_duplicated, batches_released_again, messages_rejected;
    uint64_t checkpoints_unscored; /* as far as this process knows */
    bool finished;                 /* false: stopped before its last step */
    struct notices warnings;
    char computed_with[1024]; /* JSON object, as in the checkpoint (model/traits.h); "": none */
};

#define SUMMARY_INIT                                                                               \
    {                                                                                              \
        .digit_accuracy = NAN, .sum_accuracy = NAN, .best_digit_accuracy = NAN,                    \
        .best_sum_accuracy = NAN, .seconds_to_target = NAN                                         \
    }

/* Writes folder/summary.json aside, syncs, renames. What is not finite is null. */
int summary_write(const struct summary *self, const char *folder, struct error *error);

/* Reads and checks the file at `path`, which anyone may have edited; texts are cut to size and made
 * printable. What older files lack stays as in SUMMARY_INIT. -1: ERROR_IO where it cannot be read,
 * ERROR_CORRUPT with the field that is missing or wrong; *self is unchanged then. errno as
 * file_read. */
int summary_read(struct summary *self, const char *path, struct error *error);

#endif
