/* Trees of PNG files: <folder>/<split>/<label 0-9>/…png. What a file holds is up to png. */
#ifndef LOADER_TREE_H
#define LOADER_TREE_H

#include "common/error.h"
#include "common/notices.h"
#include "loader/split.h"

#include <limits.h>
#include <stdbool.h>

/* The folders of both splits. */
struct tree {
    char train[PATH_MAX];
    char test[PATH_MAX];   /* "" where there is none */
    char others[NAME_MAX]; /* further splits that are not read, for the log; "" where there are none
                            */
    char doubled[NAME_MAX]; /* of those, what may belong to one that is: a second train, or the same
                               name in another letter case */
};

/* What was not read in a tree. Zero it to begin. */
struct tree_passed {
    uint32_t files;
    char example[NOTICE_SIZE / 2]; /* the first, from the split's folder on, or its end */
};

/* Finds the splits in `folder`, in any letter case: train or training; test, testing, t10k, val,
 * valid, validation or eval, the first of these that is there. Where `folder` holds one folder and
 * no split, they are looked for in that one, twice at most. With `alone` a test split need not be
 * there, and labels may lie in `folder` itself. 0, or -1 with ERROR_INVALID and a sentence that
 * says what is looked for and what is there. */
int tree_locate(const char *folder, bool alone, struct tree *tree, struct error *error);

/* Whether `folder` looks like a tree, for those who do not know what it holds. */
bool tree_is_there(const char *folder);

/* Reads <folder>/0 … 9 into `split` (free with split_free), sorted by label, then by file name in
 * byte order. Files that do not end in .png, in any letter case, are passed over and counted in
 * `passed`; those that a system left behind are passed over in silence; label folders may be
 * absent. -1: ERROR_INVALID for a folder that is not a label or where there is no .png at all, with
 * what lies there; ERROR_CORRUPT for more than SPLIT_MAX and as png_read. Then `split` is
 * empty. */
int tree_read(const char *folder, struct split *split, struct tree_passed *passed,
              struct error *error);

/* Says which folders were passed over that seem to belong to a split that is read. */
void tree_note_doubled(const struct tree *tree, struct notices *notices);

/* Says in one sentence what both splits passed over, if anything was. */
void tree_note_passed(const struct tree_passed *train, const struct tree_passed *test,
                      struct notices *notices);

#endif
