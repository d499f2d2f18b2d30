/* Whether a run consumed what its dataset and settings say: every batch is made again, without
 * training, and held against the chain in each checkpoint and against the record of the run.
 *
 * What is proved: the heads of the chain (common/chain.h) in the checkpoints follow from dataset,
 * seed, batch and warps alone, step by step from 0, and every sample was used exactly once in each
 * whole epoch. What is not: that the weights follow from the batches; for that, train again. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "common/error.h"
#include "common/log.h"
#include "common/sha256.h"
#include "loader/dataset.h"

struct verify_result {
    uint64_t steps; /* batches made again */
    uint32_t batch; /* pairs in each */
    uint64_t seed;
    double epochs;   /* steps · batch / samples; its whole part were checked for "exactly once" */
    int checkpoints; /* whose chain agrees */
    int unreadable;  /* checkpoints that are torn or damaged: named in the log, left out */
    uint64_t recorded;          /* steps whose recorded CRC agrees */
    uint8_t chain[SHA256_SIZE]; /* head after `steps` */
};

/* Verifies the run in `run_dir` against an open dataset on `threads` threads. 0 with *result
 * filled; -1 with
 *   ERROR_INVALID  there is no run, it has no valid checkpoint, or the dataset is another than the
 *                  run's (both SHA-256 are named),
 *   ERROR_CORRUPT  the run consumed something else: the sentence names the first step that differs,
 *                  or, where the run kept no record of it, between which steps it lies,
 *   ERROR_INTERRUPTED after a signal, and ERROR_IO, ERROR_MEMORY. */
int verify_run(const char *run_dir, const struct dataset *dataset, int threads,
               const struct log *log, struct verify_result *result, struct error *error);

#endif
