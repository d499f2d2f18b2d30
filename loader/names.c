/* Names in folders. */
#include "loader/names.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SHOWN = 6 }; /* names in a sentence */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool names_equal(const char *one, const char *other) {
    while (*one && lower(*one) == lower(*other))
        one++, other++;
    return lower(*one) == lower(*other);
}

bool names_ends(const char *name, const char *suffix) {
    size_t size = strlen(name), end = strlen(suffix);
    return size > end && names_equal(name + size - end, suffix);
}

bool names_is_system(const char *name) {
    static const char *const left_behind[] = {
        "Thumbs.db",    "ehthumbs.db", "desktop.ini",
        "__MACOSX",     "@eaDir",      "lost+found",
        "$RECYCLE.BIN", "#recycle",    "System Volume Information",
        "Icon\r"};
    if (name[0] == '.' || names_ends(name, ":Zone.Identifier"))
        return true;
    for (size_t i = 0; i < sizeof left_behind / sizeof *left_behind; i++)
        if (names_equal(name, left_behind[i]))
            return true;
    return false;
}

bool names_is_file(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0)
        return S_ISREG(status.st_mode);
    return errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES &&
           errno != ENAMETOOLONG;
}

bool names_is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int by_bytes(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Adds a copy of a name to the list, which grows by doubling. */
static int add(struct names *names, const char *name) {
    int count = names->count;
    if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
        char **list = realloc(names->list, (count ? 2 * (size_t)count : 16) * sizeof *list);
        if (!list)
            return -1;
        names->list = list;
    }
    names->list[count] = strdup(name);
    if (!names->list[count])
        return -1;
    names->count++;
    return 0;
}

int names_refuse(struct error *error, const char *path, const char *what) {
    struct stat status;
    int number = errno;
    if (number == ENOENT && lstat(path, &status) == 0)
        return error_set(error, ERROR_INVALID, "%s: is a link to nothing", path);
    errno = number;
    return error_set_file(error, "%s: %s", path, what);
}

int names_list(struct names *names, const char *folder, int most, struct error *error) {
    memset(names, 0, sizeof *names);
    DIR *directory = opendir(folder);
    if (!directory && (errno == ENOENT || errno == ENOTDIR))
        return error_set(error, ERROR_INVALID, "%s: %s", folder,
                         errno == ENOENT ? "there is no such folder" : "is not a folder");
    if (!directory)
        return names_refuse(error, folder, "cannot be listed");
    int status = 0;
    const struct dirent *entry;
    while (!status && !names->more && (errno = 0, entry = readdir(directory))) {
        if (names_is_system(entry->d_name))
            continue;
        names->more = names->count == most;
        if (!names->more && add(names, entry->d_name))
            status = error_set(error, ERROR_MEMORY, "%s: no memory for its file names", folder);
    }
    if (!status && !names->more && errno)
        status = error_set_errno(error, "%s: cannot be listed", folder);
    closedir(directory);
    if (names->count)
        qsort(names->list, (size_t)names->count, sizeof *names->list, by_bytes);
    return status;
}

void names_describe(const struct names *names, char *text, size_t size) {
    size_t used = 0;
    snprintf(text, size, "nothing");
    /* One more is named in place of "and 1 more". */
    int shown = names->count <= SHOWN + 1 ? names->count : SHOWN;
    for (int i = 0; i < shown && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%.40s", i ? ", " : "", names->list[i]);
    if (names->count > shown && used < size)
        snprintf(text + used, size - used, " and %s%d more", names->more ? "over " : "",
                 names->count - shown);
}

const char *names_only_folder(const char *folder, const struct names *names) {
    const char *only = NULL;
    char path[PATH_MAX];
    for (int i = 0; i < names->count; i++)
        if (path_join(path, folder, names->list[i], NULL) == 0 && names_is_folder(path)) {
            if (only)
                return NULL;
            only = names->list[i];
        }
    return only;
}

bool names_find_folder(const char *folder, const char *name, char path[PATH_MAX]) {
    struct names names = {0};
    bool found = false;
    if (path_join(path, folder, name, NULL) == 0 && names_is_folder(path))
        return true;
    if (names_list(&names, folder, NAMES_MAX, NULL) == 0)
        for (int i = 0; i < names.count && !found; i++)
            found = names_equal(names.list[i], name) &&
                    path_join(path, folder, names.list[i], NULL) == 0 && names_is_folder(path);
    names_free(&names);
    return found;
}

int names_cut(char *name, char *words[NAMES_WORDS]) {
    static const char separators[] = "-_. ()";
    char *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(name, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest)) {
        if (count == NAMES_WORDS)
            return -1;
        words[count++] = word;
    }
    return count;
}

int names_split(const char *word) {
    static const char *const test[] = {"test",  "testing",    "t10k", "val",
                                       "valid", "validation", "eval"};
    if (names_equal(word, "train") || names_equal(word, "training"))
        return 0;
    for (int i = 0; i < (int)(sizeof test / sizeof *test); i++)
        if (names_equal(word, test[i]))
            return i + 1;
    return -1;
}

void names_free(struct names *names) {
    if (!names)
        return;
    for (int i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    memset(names, 0, sizeof *names);
}
