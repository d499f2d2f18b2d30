/* The pictures of a run, each as NAME.svg and NAME.png: accuracy and loss over the epochs. The
 * table at the end of pictures.c lists them. */
#ifndef REPORT_PICTURES_H
#define REPORT_PICTURES_H

#include "common/error.h"
#include "report/results.h"

/* Draws every picture of `results` (count may be 0) into `folder`, which is made where it is
 * missing; its parent must exist. Accuracy stands on a logarithmic scale of the error, 100 % −
 * accuracy, with the 95 % Wilson interval as a band; no error at all is drawn as half a pair. A
 * loss that is not finite is a gap with a red mark. Each file is replaced as a whole, so that a
 * viewer never sees half a picture, and what a killed process left there is removed first. 0, or -1
 * with ERROR_IO, ERROR_MEMORY, or ERROR_INTERRUPTED between two files when a signal came. */
int pictures_draw(const struct results *results, const char *folder, struct error *error);

#endif
