/* NumPy archives as Keras keeps MNIST (mnist.npz): x_train, y_train, x_test and y_test, on libzip.
 * The form of an array: numpy.org/neps/nep-0001-npy-format.html. */
#ifndef LOADER_NPZ_H
#define LOADER_NPZ_H

#include "common/error.h"
#include "loader/split.h"

#include <stdbool.h>

/* Reads the train or test arrays of an archive into `split` (free with split_free). They are called
 * x_train and y_train, or train_images and train_labels, or train_x and train_y, and likewise for
 * test, in any letter case, stored or deflated. Images are unsigned bytes of shape (n, 28, 28),
 * (n, 784), (n, 28, 28, 1) or (n, 1, 28, 28), labels whole numbers of any size and byte order of
 * shape (n) or (n, 1), in C or Fortran order.
 * -1: ERROR_INVALID, an array is missing, with what there is; ERROR_CORRUPT, with path and array in
 * the sentence: what is no ZIP archive, damaged, encrypted or packed otherwise; another type or
 * shape; counts that differ; sizes that do not fit the shape, either way; no samples or more than
 * SPLIT_MAX; a label above 9. ERROR_IO, ERROR_MEMORY as they are. Then `split` is empty. */
int npz_read(const char *path, bool test, struct split *split, struct error *error);

#endif
