/* What is suspicious about a dataset: labels that are missing, rare or nearly all the same, images
 * without ink or with hardly any, on white ground, nearly all the same, or in both splits. None of
 * it is an error, for all of it can be meant; each is worth one sentence to the person who trains
 * on it. */
#ifndef LOADER_INSPECT_H
#define LOADER_INSPECT_H

#include "loader/dataset.h"

/* Adds a sentence for each to dataset->notices. Looks at every image once: 30 ms for MNIST. Where
 * memory is short, repeated images are not looked for. */
void inspect_dataset(struct dataset *dataset);

#endif
