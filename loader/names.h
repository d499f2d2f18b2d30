/* Names in folders, as the systems and programs of people write them: any letter case, and files
 * that a system leaves behind. What the files hold is up to the readers. */
#ifndef LOADER_NAMES_H
#define LOADER_NAMES_H

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_MAX 65536 /* entries of a folder that are looked at where a few are searched for */

/* What a folder holds, without the files of a system, in byte order. Zero the struct to begin. */
struct names {
    char **list; /* [count] */
    int count;
    bool more; /* there are further ones, which were not looked at */
};

/* Whether both are the same but for the case of ASCII letters, whatever the locale is. */
bool names_equal(const char *one, const char *other);

/* The same for the end of a name and a suffix, with something before it. */
bool names_ends(const char *name, const char *suffix);

/* Whether a system or its programs left this behind: .DS_Store and all that begins with a dot,
 * Thumbs.db, desktop.ini, __MACOSX, @eaDir, lost+found and their like. */
bool names_is_system(const char *name);

/* Whether there is a regular file, or a folder, at the end of all links. What the system gives no
 * answer about (an I/O error, no memory) passes for a file: to open it will say why. */
bool names_is_file(const char *path);
bool names_is_folder(const char *path);

/* Lists up to `most` entries of a folder into `names`; free with names_free, also after -1. -1:
 * ERROR_INVALID where there is no such folder, or as names_refuse, ERROR_MEMORY. */
int names_list(struct names *names, const char *folder, int most, struct error *error);

/* Sets an error as error_set_file does, "PATH: cannot be opened: Permission denied", or says that
 * the path is a link to nothing. Returns -1. */
int names_refuse(struct error *error, const char *path, const char *what);

/* Writes the first few for a sentence: "a, b, c and 12 more", or "nothing". */
void names_describe(const struct names *names, char *text, size_t size);

/* The one folder among the names of `folder`; NULL where there are none or several. */
const char *names_only_folder(const char *folder, const struct names *names);

/* Leaves in `path` the folder called `name` within `folder`, in any letter case, the case as given
 * first. False where there is none. */
bool names_find_folder(const char *folder, const char *name, char path[PATH_MAX]);

#define NAMES_WORDS 16

/* Cuts a name into words at any of "-_. ()", in place. Returns how many, -1 for too many. */
int names_cut(char *name, char *words[NAMES_WORDS]);

/* The place of a word among those for the train split (0: train, training) or for the test split
 * (1 to 7: test, testing, t10k, val, valid, validation, eval); -1: it is neither. */
int names_split(const char *word);

/* NULL-safe, twice-safe. */
void names_free(struct names *names);

#endif
