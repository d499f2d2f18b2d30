/* The results of a run as its folder has them, for the pictures: evaluations.jsonl and
 * summary.json, read and checked. Changes nothing: the run may still be going on. */
#ifndef REPORT_RESULTS_H
#define REPORT_RESULTS_H

#include "common/error.h"
#include "common/evaluation.h"

#include <stdbool.h>
#include <stddef.h>

#define RESULTS_TEXT 256 /* bytes of a name */

struct results {
    char run[RESULTS_TEXT];     /* the last part of the folder's path */
    char dataset[RESULTS_TEXT]; /* as the loader named it: "MNIST"; "" without a summary.json */
    bool synthetic;             /* digits that we drew ourselves */
    struct evaluation *list;    /* [count], by step, one of each; owned */
    size_t count;
};

/* Reads `folder`. A file that is missing is a run that has not come so far: no evaluation, no
 * dataset; a last line that is torn is still being written, and left out. -1 with
 * ERROR_INVALID where there is no such folder, ERROR_CORRUPT naming the line or file that is none
 * of a run, ERROR_IO, ERROR_MEMORY; *results needs no results_free then. */
int results_read(const char *folder, struct results *results, struct error *error);

void results_free(struct results *results);

#endif
