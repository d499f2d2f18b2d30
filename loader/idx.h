/* IDX: the format of the MNIST files (yann.lecun.com/exdb/mnist): a big-endian header, then
 * unsigned bytes. Plain or gzip. Where the files are is up to locate. */
#ifndef LOADER_IDX_H
#define LOADER_IDX_H

#include "common/error.h"
#include "loader/locate.h"
#include "loader/split.h"

/* Reads one pair of files into `split` (free with split_free). Labels are bytes, or QMNIST's
 * integers in up to 64 columns, of which the first is the digit. Refused with ERROR_CORRUPT and a
 * sentence: what is no IDX file, named for what it is; a wrong type, rank or image size; no
 * samples, or more than SPLIT_MAX; counts that differ; sizes that do not fit the header, either
 * way; damaged or truncated gzip; a label above 9. At most one byte more than the header announces
 * is ever inflated, where there is a header. ERROR_IO, ERROR_MEMORY as they are. On -1 `split` is
 * empty. */
int idx_read(const char *images, const char *labels, struct split *split, struct error *error);

#endif
