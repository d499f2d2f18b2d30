/* What a finished run left: summary.json and the last lines of evaluations.jsonl, and the report
 * for people that is made of them. Files come from a folder that anyone may have edited: everything
 * is checked, and what is missing is shown as missing. */
#ifndef DEPLOY_SUMMARY_H
#define DEPLOY_SUMMARY_H

#include "common/error.h"
#include "common/notices.h"
#include "common/sha256.h"
#include "deploy/form.h"

#include <stdbool.h>
#include <stdint.h>

#define SUMMARY_MAXIMUM (1 << 20)      /* bytes of summary.json */
#define SUMMARY_LINE_MAXIMUM (1 << 16) /* bytes of a line of evaluations.jsonl */

struct summary {
    char network[64], dataset[160], engine[64], precision[16];
    char instructions[64], library[128]; /* of the engine; "" where they are not recorded */
    int threads;                         /* 0: not recorded, or a GPU */
    char weights_sha256[SHA256_HEX];
    uint64_t parameters, seed, steps, best_step;
    uint64_t batches_consumed, batches_duplicated, batches_released_again;
    double epochs;
    double digit_accuracy, sum_accuracy;  /* of the last checkpoint, 0-1; NaN: not evaluated */
    double seconds;                       /* of the whole run */
    double seconds_waiting, longest_wait; /* of the training for batches */
    double seconds_to_target;             /* NaN: not reached */
    double images_per_second;
    struct notices warnings; /* none where the file has none: older trainers wrote none */
};

/* Reads and checks summary.json. Texts are cut to size. -1: ERROR_IO where it cannot be read,
 * ERROR_CORRUPT with the field that is missing or wrong; *summary is unchanged then. */
int summary_read(const char *path, struct summary *summary, struct error *error);

/* Whether figures on this dataset are not MNIST figures: its name begins with "synthetic". */
bool summary_is_synthetic(const char *dataset);

/* Calls `found` for each line of evaluations.jsonl in order; lines that are no evaluation (the last
 * may be torn) are skipped. Returns how many were found; 0 too where there is no such file. */
int summary_evaluations(const char *path,
                        void (*found)(const struct form_scores *scores, void *context),
                        void *context);

/* The report as a table, newlines included. `last`: the evaluation that the accuracies belong to,
 * or NULL: then without intervals. `folder` is shown as where the run lies. The caller frees; NULL
 * when memory is short. */
char *summary_table(const struct summary *summary, const struct form_scores *last,
                    const char *folder, bool ascii);

#endif
