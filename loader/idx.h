/* IDX: the format of the MNIST files (yann.lecun.com/exdb/mnist): a big-endian header, then
 * unsigned bytes. Plain or gzip. Where the files come from is up to fetch and dataset. */
#ifndef LOADER_IDX_H
#define LOADER_IDX_H

#include "common/error.h"
#include "loader/split.h"

#include <limits.h>

enum idx_file { IDX_TRAIN_IMAGES, IDX_TRAIN_LABELS, IDX_TEST_IMAGES, IDX_TEST_LABELS, IDX_FILES };

/* The four files of a dataset. */
struct idx_files {
    char path[IDX_FILES][PATH_MAX];
};

/* "train-images-idx3-ubyte" … in the order of enum idx_file. */
extern const char *const IDX_NAMES[IDX_FILES];

/* Finds the four files in `folder`: each plain or .gz (plain is taken where there are both), spelt
 * "train-images-idx3-ubyte" or "train-images.idx3-ubyte". Opens nothing. Returns 0, or -1 with
 * ERROR_INVALID and a sentence that names the folder and the first file that is missing. */
int idx_locate(const char *folder, struct idx_files *files, struct error *error);

/* Reads one pair of files into `split` (free with split_free). Refused with ERROR_CORRUPT and a
 * sentence: a wrong magic, type, rank or image size; no samples, or more than SPLIT_MAXIMUM; counts
 * that differ; sizes that do not fit the header, either way; damaged or truncated gzip; a label
 * above 9. At most one byte more than the header announces is ever inflated. ERROR_IO, ERROR_MEMORY
 * as they are. On -1 `split` is empty. */
int idx_read(const char *images, const char *labels, struct split *split, struct error *error);

#endif
