/* The pictures of a run: accuracy.svg, accuracy.png, loss.svg and loss.png from its evaluations. */
#ifndef EVALUATOR_PLOT_H
#define EVALUATOR_PLOT_H

#include "common/error.h"
#include "evaluator/report.h"

#include <stdbool.h>
#include <stddef.h>

struct plot_title {
    const char *run;     /* name of the run */
    const char *dataset; /* as the loader named it: "MNIST" */
    bool synthetic;      /* the pictures then say "synthetic digits, not MNIST" */
};

/* Draws the evaluations (any order; failed ones are left out; count may be 0) into `folder`, which
 * is made where it is missing; its parent must exist. Accuracy stands on a logarithmic scale of
 * the error, 100 % − accuracy, with the Wilson interval as a band; no error at all is drawn as half
 * a pair. A loss that is not finite is a gap with a red mark. Each file is replaced as a whole, so
 * that a viewer never sees half a picture. 0, or -1 with ERROR_IO, ERROR_MEMORY. */
int plot_write(const char *folder, const struct plot_title *title,
               const struct evaluation *evaluations, size_t count, struct error *error);

/* Removes what a crash left of pictures that were being written into this folder. */
void plot_clean(const char *folder);

#endif
