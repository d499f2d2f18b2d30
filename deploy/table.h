/* The report at a run's end, for people: a table of summary.json and the last evaluation. */
#ifndef DEPLOY_TABLE_H
#define DEPLOY_TABLE_H

#include "common/evaluation.h"
#include "common/summary.h"

/* Whether figures on this dataset are not MNIST figures: its name begins with "synthetic". */
bool table_is_synthetic(const char *dataset);

/* The table, newlines included; no line is wider than 79 columns but the folder's. `last`: the
 * evaluation that the accuracies belong to, or NULL: then there are neither intervals nor losses.
 * `folder` is shown as where the run lies. The caller frees; NULL when memory is short. */
char *table_text(const struct summary *summary, const struct evaluation *last, const char *folder,
                 bool ascii);

#endif
