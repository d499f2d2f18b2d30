/* From --data to files. */
#include "loader/layout.h"
#include "common/file.h"
#include "common/suggest.h"
#include "loader/kind.h"
#include "loader/names.h"
#include "loader/source.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    [LAYOUT_IDX] = "idx", [LAYOUT_PNG] = "png", [LAYOUT_CSV] = "csv", [LAYOUT_NPZ] = "npz"};

enum { FORMS = sizeof words / sizeof *words };

const char *layout_word(enum layout_form form) {
    return words[form];
}

bool layout_has_test(const struct layout *layout) {
    return (layout->form != LAYOUT_IDX || !layout->files.train_only) &&
           (layout->form != LAYOUT_PNG || layout->tree.test[0]) &&
           (layout->form != LAYOUT_CSV || layout->csv.test[0]);
}

bool layout_is_emnist(const struct layout *layout) {
    const char *set = layout->form == LAYOUT_IDX   ? layout->files.set
                      : layout->form == LAYOUT_CSV ? layout->csv.set
                                                   : "";
    return strncmp(set, "emnist", strlen("emnist")) == 0;
}

/* An archive in a folder, mnist.npz or the only one: takes its path where there is one. */
static bool find_archive(struct layout *layout) {
    struct names names;
    const char *found = NULL;
    int archives = 0;
    bool is_there = false;
    char path[PATH_MAX];
    if (names_list(&names, layout->path, NAMES_MAX, NULL) == 0)
        for (int i = 0; i < names.count; i++) {
            bool mnist = names_equal(names.list[i], "mnist.npz");
            if (!mnist && (archives < 0 || !names_ends(names.list[i], ".npz")))
                continue;
            archives = mnist ? -1 : archives + 1;
            found = names.list[i];
        }
    if (found && archives <= 1 && path_join(path, layout->path, found, NULL) == 0 &&
        names_is_file(path)) {
        memcpy(layout->path, path, sizeof path);
        is_there = true;
    }
    names_free(&names);
    return is_there;
}

static int refuse_archive(const char *path, struct error *error) {
    struct names names;
    char there[256];
    if (!names_is_folder(path))
        return error_set(error, ERROR_INVALID, "%s: there is no such file", path);
    int listed = names_list(&names, path, NAMES_MAX, error);
    names_describe(&names, there, sizeof there);
    names_free(&names);
    return listed ? -1
                  : error_set(error, ERROR_INVALID,
                              "%s: holds no mnist.npz and not just one other .npz file; it holds "
                              "%s; name the file",
                              path, there);
}

/* One form in a place that was named for it. */
static int find_form(struct layout *layout, enum layout_form form, bool alone,
                     struct error *error) {
    layout->form = form;
    switch (form) {
    case LAYOUT_IDX:
        return idx_locate(layout->path, &layout->files, error) == 0 ||
                       (alone && layout->files.train_only)
                   ? 0
                   : -1;
    case LAYOUT_PNG:
        return tree_locate(layout->path, alone, &layout->tree, error);
    case LAYOUT_CSV:
        return csv_locate(layout->path, alone, &layout->csv, error);
    case LAYOUT_NPZ:
        if (names_is_file(layout->path) || find_archive(layout))
            return 0;
        return refuse_archive(layout->path, error);
    }
    return -1;
}

/* The forms that a folder is tried for, in this order; what is there in part is named. */
static int find_in_folder(struct layout *layout, bool alone, struct error *error) {
    struct names names;
    char there[256];
    if (find_form(layout, LAYOUT_IDX, alone, error) == 0)
        return 0;
    bool idx = layout->files.there > 0;
    if (!idx && tree_is_there(layout->path))
        return find_form(layout, LAYOUT_PNG, alone, error);
    if (!idx && (find_form(layout, LAYOUT_CSV, alone, error) == 0 || layout->csv.there))
        return layout->csv.train[0] ? 0 : -1;
    if (!idx && find_archive(layout))
        return find_form(layout, LAYOUT_NPZ, alone, error);
    if (idx)
        return -1;
    int listed = names_list(&names, layout->path, NAMES_MAX, error);
    names_describe(&names, there, sizeof there);
    names_free(&names);
    if (listed != 0)
        return -1;
    return error_set(
        error, ERROR_INVALID,
        "%.150s: holds no dataset: IDX files as train-images-idx3-ubyte, folders train "
        "and test with PNG files in folders 0-9, train.csv and test.csv, or mnist.npz "
        "expected; it holds %s",
        layout->path, there);
}

static int find_by_contents(struct layout *layout, bool alone, struct error *error) {
    uint8_t bytes[KIND_BYTES];
    size_t got = 0;
    const char *path = layout->path;
    if (names_ends(path, ".npz"))
        return find_form(layout, LAYOUT_NPZ, alone, error);
    if (names_ends(path, ".csv") || names_ends(path, ".csv.gz") || names_ends(path, ".tsv") ||
        names_ends(path, ".tsv.gz"))
        return find_form(layout, LAYOUT_CSV, alone, error);
    struct source *source = source_open(path, error);
    int status = source ? source_read(source, bytes, sizeof bytes, &got, error) : -1;
    source_close(&source);
    if (status != 0)
        return -1;
    if (kind_of(bytes, got) == KIND_IDX)
        return find_form(layout, LAYOUT_IDX, alone, error);
    const char *advice, *name = kind_describe(bytes, got, &advice);
    return error_set(error, ERROR_INVALID, "%s: is %s, not a dataset%s%s", layout->path,
                     name ? name : "of a kind that is not known", advice ? ": " : "",
                     advice ? advice : "");
}

/* Copies a path; "~/" becomes the home folder, for a shell leaves it alone behind "png:". */
static int take_path(struct layout *layout, const char *path, struct error *error) {
    const char *home = strncmp(path, "~/", 2) == 0 ? getenv("HOME") : NULL;
    int size = home ? snprintf(layout->path, PATH_MAX, "%s%s", home, path + 1)
                    : snprintf(layout->path, PATH_MAX, "%s", path);
    if (size < 0 || size >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "data: the path is longer than %d bytes", PATH_MAX);
    return 0;
}

/* A form that was named for another one: the sentence ends with the right one. */
static int suggest_form(const struct layout *named, bool alone, struct error *error) {
    struct layout other = {0};
    struct error kept = *error;
    memcpy(other.path, named->path, sizeof other.path);
    bool found = names_is_folder(other.path)
                     ? find_in_folder(&other, alone, NULL) == 0
                     : names_is_file(other.path) && find_by_contents(&other, alone, NULL) == 0;
    return !found || other.form == named->form
               ? -1
               : error_set(error, kept.code, "%s; did you mean %s:%s?", kept.text,
                           words[other.form], named->path);
}

static int find_any(const char *data, bool alone, struct layout *layout, struct error *error) {
    memset(layout, 0, sizeof *layout);
    for (int form = 0; form < FORMS; form++) {
        size_t size = strlen(words[form]);
        if (strncmp(data, words[form], size) == 0 && data[size] == ':' && data[size + 1]) {
            if (take_path(layout, data + size + 1, error))
                return -1;
            return find_form(layout, (enum layout_form)form, alone, error) == 0 ? 0
                   : error->code == ERROR_INVALID ? suggest_form(layout, alone, error)
                                                  : -1;
        }
    }
    if (take_path(layout, data, error))
        return -1;
    if (names_is_folder(layout->path))
        return find_in_folder(layout, alone, error);
    if (names_is_file(layout->path))
        return find_by_contents(layout, alone, error);
    const char *slash = strchr(data, '/'), *colon = strchr(data, ':');
    bool file = names_ends(data, ".npz") || names_ends(data, ".csv") || names_ends(data, ".gz");
    if ((slash || file) && !(colon && (!slash || colon < slash)))
        return error_set(error, ERROR_INVALID, "%s: there is no such file or folder", data);
    struct suggestion suggestion;
    char hint[SUGGEST_HINT], word[SUGGEST_NAME];
    suggest_begin(&suggestion, data);
    suggest_words(&suggestion, "auto|mnist|synthetic");
    if (colon) {
        snprintf(word, sizeof word, "%.*s", (int)(colon - data < 32 ? colon - data : 32), data);
        suggest_begin(&suggestion, word);
        suggest_words(&suggestion, "idx|png|csv|npz");
    }
    suggest_hint(&suggestion, hint);
    return error_set(
        error, ERROR_INVALID,
        "data '%.200s': auto, mnist, synthetic, a path, or idx:, png:, csv: or npz: and a "
        "path expected%s",
        data, hint);
}

/* What was tried before the right form was found is no error of the caller's. */
int layout_find(const char *data, bool alone, struct layout *layout, struct error *error) {
    struct error tried = {0};
    int status = find_any(data, alone, layout, &tried);
    if (status != 0 && error)
        *error = tried;
    return status;
}
