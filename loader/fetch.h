/* Where MNIST lies, or else comes from: the search on disk, and the download with its checks. What
 * is in the files is read by idx. */
#ifndef LOADER_FETCH_H
#define LOADER_FETCH_H

#include "common/error.h"
#include "common/log.h"
#include "common/notices.h"
#include "loader/idx.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* A file as the mirrors have it. */
struct fetch_file {
    const char *name;   /* without .gz */
    const char *sha256; /* of the decompressed bytes: 64 digits */
    uint64_t size;      /* of the decompressed bytes */
};

/* Called while a file comes, some times a second; total is 0 as long as it is not known. */
typedef void fetch_progress(void *context, const char *name, uint64_t done, uint64_t total);

struct fetch_settings {
    const char *const *mirrors;     /* NULL-ended; each ends in '/' and has NAME.gz in it */
    const struct fetch_file *files; /* `count` of them */
    int count;
    long connect_seconds;     /* most until a connection stands */
    long stall_seconds;       /* longest time below 1,000 bytes a second */
    fetch_progress *progress; /* may be NULL */
    void *context;
    const struct log *log; /* a line for each mirror that failed; may be NULL */
};

/* MNIST's four files, in the order of enum idx_file. */
extern const struct fetch_file FETCH_MNIST[IDX_FILES];

/* MNIST, two public mirrors, 5 s to connect, 10 s of stalling; no progress, no log. */
struct fetch_settings fetch_defaults(void);

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

/* Downloads every file from the first mirror that has it right, into `folder`, which is made where
 * it is missing. All are held in memory and checked (size, SHA-256 of what they inflate to) before
 * the first is written; each is written aside, synced and renamed. So the folder holds whole files
 * or, after any failure or signal, nothing new. Returns 0, or -1: ERROR_INTERRUPTED when
 * signals_stop() turned true, otherwise the last mirror's failure (ERROR_TIMEOUT, ERROR_IO,
 * ERROR_CORRUPT) with the address in the sentence, or ERROR_IO for the folder. */
int fetch_download(const struct fetch_settings *settings, const char *folder, struct error *error);

#endif
