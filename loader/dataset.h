/* What `--data` names, opened, checked and hashed: the one door to datasets. Which readers stand
 * behind it (IDX, PNG, synthetic, download) shows only in the name. */
#ifndef LOADER_DATASET_H
#define LOADER_DATASET_H

#include "common/error.h"
#include "common/log.h"
#include "common/notices.h"
#include "common/sha256.h"
#include "loader/fetch.h"
#include "loader/split.h"

#include <stdbool.h>
#include <stdint.h>

#define DATASET_NAME 256

struct dataset {
    char name[DATASET_NAME];     /* "MNIST" only where every byte is MNIST's; "synthetic digits",
                                    "idx:<path>" and the like; followed by ", transposed" and
                                    ", 5000 training images held out" where that was asked for,
                                    and a long path cut so that this is within the first 120 bytes
                                  */
    bool synthetic;              /* drawn, not handwriting: every report must say so */
    uint8_t sha256[SHA256_SIZE]; /* over images, then labels of train, then of test, as kept */
    struct split train, test;
    struct notices notices; /* what is suspicious about it: inspect.h, and files passed over */
};

struct dataset_request {
    /* "auto": MNIST as "mnist" has it, otherwise synthetic. "mnist": the search of fetch_find, then
     * Keras's cache, then a download into ours. "synthetic". Otherwise files: layout_find. */
    const char *data;
    bool transpose; /* turn every image: rows become columns */
    uint32_t
        hold_out; /* so many training images, drawn from all over, take the place of the test split,
                     and the name says so; before the limits; 0: the test split itself */
    uint32_t train_limit, test_limit; /* keep only the first N samples; 0 keeps all. The first of a
                                         PNG tree are those of the lowest labels */
    const struct log *log;            /* what was found or tried, line by line; may be NULL */
};

/* Opens and checks everything; nothing is read later. NULL with the reader's sentence.
 * ERROR_INVALID: `data` is none of the above, a folder lacks a file, or all would be held out.
 * "auto" never turns to synthetic digits because of files that are there but wrong, nor after a
 * signal: those are errors. "mnist" also refuses files that are not MNIST's; "auto" takes them
 * under the name idx:<folder>, with a warning in the log. Uses a second thread while it runs. */
struct dataset *dataset_open(const struct dataset_request *request, struct error *error);

/* NULL-safe, twice-safe. */
void dataset_close(struct dataset **self);

#endif
