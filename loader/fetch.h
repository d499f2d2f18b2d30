/* Where MNIST lies, or else comes from: the search on disk, and the download by the script
 * loader/fetch. What is in the files is read by idx. */
#ifndef LOADER_FETCH_H
#define LOADER_FETCH_H

#include "common/error.h"
#include "common/log.h"
#include "common/notices.h"
#include "loader/idx.h"

#include <limits.h>
#include <stdbool.h>

/* $XDG_CACHE_HOME/digitsum/mnist, or ~/.cache/digitsum/mnist. Returns 0, or -1 with ERROR_INVALID
 * where neither XDG_CACHE_HOME nor HOME is set. */
int fetch_cache(char folder[PATH_MAX], struct error *error);

/* Looks for the four files in $MNIST_DIR, data/mnist, data/MNIST, MNIST, ../shared/mnist and the
 * cache, in this order, and in raw and MNIST/raw in each, where torchvision keeps them. 1 with the
 * folder and the files in it; 0 where no folder has all four. A $MNIST_DIR that lacks one is noted
 * in `notices` (may be NULL). -1 with ERROR_IO or ERROR_MEMORY where a folder is there and the
 * system fails to list it: it may have them. Reads nothing. */
int fetch_find(struct notices *notices, char folder[PATH_MAX], struct idx_files *files,
               struct error *error);

/* The copy of MNIST that Keras keeps: $KERAS_HOME/datasets/mnist.npz, or below ~/.keras. False
 * where there is none. Reads nothing. */
bool fetch_find_keras(char path[PATH_MAX]);

/* Downloads MNIST's four files into `folder`, which is made where it is missing, with the script
 * loader/fetch: from the first mirror that has each right, by its SHA-256. `list` names the files
 * in their place (a test's own); NULL: MNIST's. The folder then holds whole files or, after any
 * failure or signal, nothing new but the folder .part, which the next download goes on from. On
 * standard error a terminal gets progress, and each failure that another mirror may make up for a
 * line. Returns 0, or -1: ERROR_INTERRUPTED when signals_stop() turned true, otherwise why the last
 * mirror failed (ERROR_TIMEOUT, ERROR_IO, ERROR_CORRUPT) with the address in the sentence, or
 * ERROR_IO for the folder, or where curl is not installed. */
int fetch_download(const char *folder, const char *list, struct error *error);

/* Downloads MNIST into the cache, and logs that (`log` may be NULL); `folder` gets its path. -1 as
 * fetch_cache and fetch_download. */
int fetch_obtain(char folder[PATH_MAX], const struct log *log, struct error *error);

#endif
