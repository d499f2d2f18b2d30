/* From what --data says to the files that hold the dataset. Reads at most the beginning of one. */
#ifndef LOADER_LAYOUT_H
#define LOADER_LAYOUT_H

#include "common/error.h"
#include "loader/locate.h"
#include "loader/tree.h"

enum layout_form { LAYOUT_IDX, LAYOUT_PNG, LAYOUT_CSV, LAYOUT_NPZ };

struct layout {
    enum layout_form form;
    char path[PATH_MAX];    /* what was named, without the word before it */
    struct idx_files files; /* of LAYOUT_IDX */
    struct tree tree;       /* of LAYOUT_PNG */
    struct csv_files csv;   /* of LAYOUT_CSV */
};

/* Finds what `data` names: "idx:…", "png:…", "csv:…" or "npz:…" and a path, or a path alone, whose
 * contents decide. An archive is a file, or mnist.npz in a folder. With `alone` a test split need
 * not be there. 0, or -1 with ERROR_INVALID and a sentence: nothing of the kind is there, or `data`
 * is no path and no word that is known. */
int layout_find(const char *data, bool alone, struct layout *layout, struct error *error);

/* Whether the test split lies in files of its own that were found. Of an archive only reading
 * tells.
 */
bool layout_has_test(const struct layout *layout);

/* Whether the names of the files are EMNIST's, whose images lie on their side. */
bool layout_is_emnist(const struct layout *layout);

/* The word for a form, as it stands before the colon. */
const char *layout_word(enum layout_form form);

#endif
