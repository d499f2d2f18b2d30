/* Finds the files of a dataset by their names, as people have them. IDX: MNIST's own names, in any
 * letter case and with dots, EMNIST's and QMNIST's; in torchvision's folders; unpacked into folders
 * of the same names. Opens nothing: what is in the files is up to idx. */
#ifndef LOADER_LOCATE_H
#define LOADER_LOCATE_H

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>

enum idx_file { IDX_TRAIN_IMAGES, IDX_TRAIN_LABELS, IDX_TEST_IMAGES, IDX_TEST_LABELS, IDX_FILES };

#define IDX_SET 48

/* The four files of a dataset. */
struct idx_files {
    char path[IDX_FILES][PATH_MAX];
    char set[IDX_SET]; /* what their names begin with, in lower case: "emnist-digits"; "" for MNIST,
                          Fashion-MNIST and others with the same names */
    int there;         /* how many of the four were found */
    bool train_only;   /* those of the train split, and not all of the test split: path has them */
};

/* "train-images-idx3-ubyte" … in the order of enum idx_file. */
extern const char *const IDX_NAMES[IDX_FILES];

/* Finds the four files in `folder`, or in the first of raw, MNIST/raw, gzip and their like in it
 * that has all four. A name is <set>-<split>-<images or labels>, then idx3, ubyte, gz and numbers
 * of copies, parted by any of "-_. ()", in any letter case; the split is train or training, t10k,
 * test, testing, val, valid, validation or eval, the first of these that is there. Plain goes
 * before .gz and MNIST's own spelling before others. Only regular files and links to them count; in
 * a folder of such a name lies the file of such a name. Where files of several sets are there,
 * MNIST's are taken, then those of emnist-mnist, of emnist-digits, then the first by name;
 * "folder/<set>" asks for one, as does one of its files. 0, or -1 with ERROR_INVALID: no such
 * folder; or a file is missing, with a sentence that names the folder, the first missing file and
 * some of what is there. */
int idx_locate(const char *folder, struct idx_files *files, struct error *error);

/* The same in `folder`, raw and MNIST/raw alone, with MNIST's own names alone. */
int idx_locate_mnist(const char *folder, struct idx_files *files, struct error *error);

/* A dataset as two tables. */
struct csv_files {
    char train[PATH_MAX];
    char test[PATH_MAX]; /* "" where there is none */
    char set[IDX_SET];   /* as above: "mnist" of mnist_train.csv */
    int there;           /* how many of the two were found */
};

/* Finds <set>_train.csv and <set>_test.csv, as .csv or .tsv, plain or .gz, the words as above, in
 * the folder `path`; or what belongs to the file `path`. With `alone` the test file need not be
 * there, nor a split be in the name of a file that is named. 0, or -1 with ERROR_INVALID and a
 * sentence that says what is missing and what is there. */
int csv_locate(const char *path, bool alone, struct csv_files *files, struct error *error);

#endif
