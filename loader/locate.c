/* Finding IDX files. */
#include "loader/locate.h"
#include "common/file.h"
#include "loader/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETS = 16, NO_RANK = 1 << 20 };

const char *const IDX_NAMES[IDX_FILES] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

/* --- names ------------------------------------------------------------------------------------ */

/* What a name says. */
struct form {
    char set[IDX_SET];
    enum idx_file file;
    int rank; /* of several for the same file the lowest is taken */
};

static bool is_one_of(const char *word, const char *const *list) {
    for (; *list; list++)
        if (names_equal(word, *list))
            return true;
    return false;
}

/* Joins words to the name of a set, in lower case. False where it is too long. */
static bool join_set(char *const *words, int count, char set[IDX_SET]) {
    size_t used = 0;
    set[0] = 0;
    for (int i = 0; i < count; i++) {
        used += (size_t)snprintf(set + used, IDX_SET - used, "%s%s", i ? "-" : "", words[i]);
        if (used >= IDX_SET)
            return false;
    }
    for (char *c = set; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return true;
}

/* Reads a file's name; false where it is none of ours. */
static bool parse(const char *name, struct form *form) {
    static const char *const images[] = {"images", "image", NULL};
    static const char *const labels[] = {"labels", "label", NULL};
    static const char *const endings[] = {"idx", "idx1", "idx2", "idx3", "ubyte", "int", NULL};
    char copy[NAME_MAX + 1], *words[NAMES_WORDS];
    int at = 0, split = -1;
    snprintf(copy, sizeof copy, "%s", name);
    int count = names_cut(copy, words);
    while (at < count && (split = names_split(words[at])) < 0)
        at++;
    if (at + 1 >= count || !join_set(words, at, form->set))
        return false;
    bool label = is_one_of(words[at + 1], labels);
    if (!label && !is_one_of(words[at + 1], images))
        return false;
    form->file = split ? (label ? IDX_TEST_LABELS : IDX_TEST_IMAGES)
                       : (label ? IDX_TRAIN_LABELS : IDX_TRAIN_IMAGES);
    form->rank = split > 0 && !names_equal(words[at], "t10k") ? split * 64 : 0;
    bool gzip = false, copied = false;
    for (int i = at + 2; i < count; i++) {
        if (names_equal(words[i], "gz"))
            gzip = true;
        else if (strspn(words[i], "0123456789") == strlen(words[i]))
            copied = true;
        else if (!is_one_of(words[i], endings))
            return false;
    }
    const char *own = IDX_NAMES[form->file];
    bool exact = strncmp(name, own, strlen(own)) == 0;
    form->rank += (copied ? 8 : 0) + (gzip ? 2 : 0) + (exact ? 0 : 1);
    return true;
}

/* The same for a table; only train and test images stand for the two files of a set. */
static bool parse_csv(const char *name, struct form *form) {
    static const char *const endings[] = {"csv", "tsv", "gz", "data", NULL};
    char copy[NAME_MAX + 1], *words[NAMES_WORDS];
    int at = 0, split = -1;
    if (!names_ends(name, ".csv") && !names_ends(name, ".csv.gz") && !names_ends(name, ".tsv") &&
        !names_ends(name, ".tsv.gz"))
        return false;
    snprintf(copy, sizeof copy, "%s", name);
    int count = names_cut(copy, words);
    while (at < count && (split = names_split(words[at])) < 0)
        at++;
    if (at >= count || !join_set(words, at, form->set))
        return false;
    form->file = split ? IDX_TEST_IMAGES : IDX_TRAIN_IMAGES;
    form->rank = split * 64 + (names_ends(name, ".gz") ? 2 : 0);
    for (int i = at + 1; i < count; i++) {
        if (strspn(words[i], "0123456789") == strlen(words[i]))
            form->rank += 8;
        else if (!is_one_of(words[i], endings))
            return false;
    }
    return true;
}

/* Reads what a name says. */
typedef bool reader(const char *name, struct form *form);

/* --- one folder ------------------------------------------------------------------------------- */

struct set {
    char name[IDX_SET];
    int rank[IDX_FILES];
    char path[IDX_FILES][PATH_MAX];
};

struct found {
    int count;
    struct set sets[SETS];
};

static struct set *set_of(struct found *found, const char *name) {
    for (int i = 0; i < found->count; i++)
        if (strcmp(found->sets[i].name, name) == 0)
            return &found->sets[i];
    if (found->count == SETS)
        return NULL;
    struct set *set = &found->sets[found->count++];
    snprintf(set->name, sizeof set->name, "%s", name);
    for (int file = 0; file < IDX_FILES; file++)
        set->rank[file] = NO_RANK;
    return set;
}

static void offer(struct found *found, const struct form *form, const char *path) {
    struct set *set = set_of(found, form->set);
    if (!set || form->rank >= set->rank[form->file])
        return;
    set->rank[form->file] = form->rank;
    snprintf(set->path[form->file], PATH_MAX, "%s", path);
}

/* An empty file, as a broken download leaves it, comes after any other. */
static int rank_of_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_size == 0 ? 1024 : 0;
}

/* Archives unpacked by hand: the folder "train-images-idx3-ubyte" holds a file of that name. */
static void look_inside(struct found *found, const struct form *form, const char *folder) {
    struct names names;
    struct form inner;
    char path[PATH_MAX];
    if (names_list(&names, folder, NAMES_MAX, NULL) == 0)
        for (int i = 0; i < names.count; i++)
            if (parse(names.list[i], &inner) && inner.file == form->file &&
                path_join(path, folder, names.list[i], NULL) == 0 && names_is_file(path)) {
                memcpy(inner.set, form->set, sizeof inner.set);
                inner.rank += 16 + rank_of_size(path);
                offer(found, &inner, path);
            }
    names_free(&names);
}

/* Each split in a folder of its own: "train/train-images-idx3-ubyte". */
static void look_in_split(struct found *found, const char *folder) {
    struct names names;
    struct form form;
    char path[PATH_MAX];
    if (names_list(&names, folder, NAMES_MAX, NULL) == 0)
        for (int i = 0; i < names.count; i++)
            if (parse(names.list[i], &form) && path_join(path, folder, names.list[i], NULL) == 0 &&
                names_is_file(path)) {
                form.rank += 16 + rank_of_size(path);
                offer(found, &form, path);
            }
    names_free(&names);
}

static void look(struct found *found, const char *folder, const struct names *names) {
    char path[PATH_MAX];
    struct form form;
    found->count = 0;
    for (int i = 0; i < names->count; i++) {
        bool parsed = parse(names->list[i], &form);
        if ((!parsed && names_split(names->list[i]) < 0) ||
            path_join(path, folder, names->list[i], NULL) != 0)
            continue;
        if (parsed && names_is_file(path)) {
            form.rank += rank_of_size(path);
            offer(found, &form, path);
        } else if (names_is_folder(path)) {
            if (parsed)
                look_inside(found, &form, path);
            else
                look_in_split(found, path);
        }
    }
}

/* How many files of a set are there. */
static int complete(const struct set *set) {
    int there = 0;
    for (int file = 0; file < IDX_FILES; file++)
        there += set->rank[file] < NO_RANK;
    return there;
}

static int preference(const char *name) {
    static const char *const order[] = {"", "mnist", "emnist-mnist", "emnist-digits"};
    int at = 0;
    while (at < (int)(sizeof order / sizeof *order) && strcmp(name, order[at]) != 0)
        at++;
    return at;
}

/* The set that is most complete, and of those the one that goes before; NULL where there is none.
 * `wanted` (may be NULL) is the only one that counts. */
static const struct set *choose(const struct found *found, const char *wanted) {
    const struct set *best = NULL;
    for (int i = 0; i < found->count; i++) {
        const struct set *set = &found->sets[i];
        if (wanted && strcmp(set->name, wanted) != 0)
            continue;
        int more = best ? complete(set) - complete(best) : 1;
        int order = best ? preference(best->name) - preference(set->name) : 0;
        if (more > 0 ||
            (more == 0 && (order > 0 || (order == 0 && best && strcmp(set->name, best->name) < 0))))
            best = set;
    }
    return best;
}

static bool has_train(const struct set *set) {
    return set && set->rank[IDX_TRAIN_IMAGES] < NO_RANK && set->rank[IDX_TRAIN_LABELS] < NO_RANK;
}

/* Where something is called like the file but is none: what it is, for the sentence. */
static const char *other_of_name(const char *folder, const struct names *names, int file,
                                 const char **name) {
    char path[PATH_MAX];
    struct form form;
    for (int i = 0; i < names->count; i++)
        if (parse(names->list[i], &form) && (int)form.file == file &&
            path_join(path, folder, names->list[i], NULL) == 0 && !names_is_file(path)) {
            *name = names->list[i];
            return names_is_folder(path) ? "is a folder without such a file"
                   : access(path, F_OK)  ? "is a link to nothing"
                                         : "is not a regular file";
        }
    return NULL;
}

static int refuse(const char *folder, const struct set *set, const struct names *names,
                  const char *wanted, struct error *error) {
    int file = 0;
    char there[256];
    const char *name;
    while (set && file < IDX_FILES - 1 && set->rank[file] < NO_RANK)
        file++;
    const char *other = other_of_name(folder, names, file, &name);
    if (other)
        return error_set(error, ERROR_INVALID, "%s: holds no %s, plain or .gz: %s %s", folder,
                         IDX_NAMES[file], name, other);
    const char *prefix = set ? set->name : wanted ? wanted : "";
    names_describe(names, there, sizeof there);
    return error_set(error, ERROR_INVALID, "%s: holds no %s%s%s, plain or .gz; it holds %s%s",
                     folder, prefix, prefix[0] ? "-" : "", IDX_NAMES[file], there,
                     has_train(set) ? "; HOLD_OUT=N (--hold-out) scores N training images in place "
                                      "of a test split"
                                    : "");
}

/* Looks at one folder. Returns how many of the files are there; with fewer than all, *error says
 * what is missing. -1 where it cannot be looked at. */
static int look_at(const char *folder, const char *wanted, struct idx_files *files,
                   struct error *error) {
    struct names names;
    int there = -1;
    struct found *found = malloc(sizeof *found);
    if (names_list(&names, folder, NAMES_MAX, error) != 0)
        goto done;
    if (!found) {
        error_set(error, ERROR_MEMORY, "%s: no memory to look for files", folder);
        goto done;
    }
    look(found, folder, &names);
    const struct set *set = choose(found, wanted);
    there = set ? complete(set) : 0;
    if (there == IDX_FILES || (has_train(set) && !files->train_only)) {
        memcpy(files->path, set->path, sizeof files->path);
        memcpy(files->set, set->name, sizeof files->set);
        files->train_only = there < IDX_FILES;
    }
    if (there < IDX_FILES) {
        refuse(folder, set, &names, wanted, error);
    }
done:
    names_free(&names);
    free(found);
    return there;
}

/* --- places ----------------------------------------------------------------------------------- */

/* torchvision keeps <root>/MNIST/raw; EMNIST's archive unpacks into gzip. */
static const char *const places[][2] = {
    {"raw", NULL},           {"MNIST", "raw"},  {"MNIST", NULL},   {"gzip", NULL},
    {"FashionMNIST", "raw"}, {"KMNIST", "raw"}, {"QMNIST", "raw"}, {"EMNIST", "raw"},
};

enum { PLACES = sizeof places / sizeof *places, MNIST_PLACES = 2 };

static int locate(const char *folder, const char *wanted, int count, struct idx_files *files,
                  struct error *error) {
    char place[PATH_MAX], outer[PATH_MAX];
    struct error reason;
    files->train_only = false;
    int most = look_at(folder, wanted, files, error);
    for (int i = 0; most >= 0 && most < IDX_FILES && i < count; i++) {
        if (!names_find_folder(folder, places[i][0], place))
            continue;
        memcpy(outer, place, sizeof outer);
        if (places[i][1] && !names_find_folder(outer, places[i][1], place))
            continue;
        int there = look_at(place, wanted, files, &reason);
        if (there > most) {
            most = there;
            if (error)
                *error = reason;
        }
    }
    files->there = most < 0 ? 0 : most;
    return most == IDX_FILES ? 0 : -1;
}

/* "folder/<set>", or one of the files: leaves its folder and the set's name. */
static bool asks_for_set(const char *path, reader *read_name, char folder[PATH_MAX],
                         char set[IDX_SET]) {
    char copy[NAME_MAX + 1], *words[NAMES_WORDS];
    struct form form;
    size_t size = strlen(path);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (size >= PATH_MAX || !*name || strlen(name) > NAME_MAX || names_is_folder(path))
        return false;
    if (slash)
        snprintf(folder, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(folder, PATH_MAX, ".");
    if (!names_is_folder(folder))
        return false;
    if (read_name(name, &form)) {
        memcpy(set, form.set, IDX_SET);
        return names_is_file(path);
    }
    snprintf(copy, sizeof copy, "%s", name);
    int count = names_cut(copy, words);
    return count > 0 && join_set(words, count, set) && !names_is_file(path);
}

/* An archive unpacked into a folder of its own, and that perhaps into another: where a folder holds
 * none of the files and one folder, that is looked at. */
static int locate_deeper(const char *folder, struct idx_files *files) {
    struct names names;
    char inner[PATH_MAX], here[PATH_MAX];
    int status = -1, most = files->there;
    snprintf(here, sizeof here, "%s", folder);
    for (int depth = 0; status != 0 && most == 0 && depth < 3; depth++) {
        const char *only =
            names_list(&names, here, NAMES_MAX, NULL) == 0 ? names_only_folder(here, &names) : NULL;
        bool found = only && path_join(inner, here, only, NULL) == 0;
        names_free(&names);
        if (!found)
            break;
        memcpy(here, inner, sizeof here);
        status = locate(here, NULL, PLACES, files, NULL);
        most = files->there;
    }
    return status;
}

int idx_locate(const char *folder, struct idx_files *files, struct error *error) {
    char parent[PATH_MAX], set[IDX_SET];
    if (asks_for_set(folder, parse, parent, set) && locate(parent, set, PLACES, files, NULL) == 0)
        return 0;
    if (locate(folder, NULL, PLACES, files, error) == 0 || files->there > 0)
        return files->there == IDX_FILES ? 0 : -1;
    return locate_deeper(folder, files);
}

int idx_locate_mnist(const char *folder, struct idx_files *files, struct error *error) {
    return locate(folder, "", MNIST_PLACES, files, error);
}

/* --- tables ----------------------------------------------------------------------------------- */

static int refuse_csv(const char *folder, const struct set *set, const struct names *names,
                      struct error *error) {
    char there[256];
    names_describe(names, there, sizeof there);
    if (!set || set->rank[IDX_TRAIN_IMAGES] == NO_RANK)
        return error_set(error, ERROR_INVALID,
                         "%s: holds no train.csv or mnist_train.csv, plain or .gz; it holds %s",
                         folder, there);
    return error_set(error, ERROR_INVALID,
                     "%s: holds no test.csv beside %s; it holds %s; HOLD_OUT=N (--hold-out) scores "
                     "N training images in its place",
                     folder, strrchr(set->path[IDX_TRAIN_IMAGES], '/') + 1, there);
}

static int locate_csv(const char *folder, const char *wanted, bool alone, struct csv_files *files,
                      struct error *error) {
    struct names names;
    struct form form;
    char path[PATH_MAX];
    int status = -1;
    struct found *found = calloc(1, sizeof *found);
    if (names_list(&names, folder, NAMES_MAX, error) != 0)
        goto done;
    if (!found) {
        error_set(error, ERROR_MEMORY, "%s: no memory to look for files", folder);
        goto done;
    }
    for (int i = 0; i < names.count; i++)
        if (parse_csv(names.list[i], &form) && path_join(path, folder, names.list[i], NULL) == 0 &&
            names_is_file(path))
            offer(found, &form, path);
    const struct set *set = choose(found, wanted);
    bool train = set && set->rank[IDX_TRAIN_IMAGES] < NO_RANK;
    bool test = set && set->rank[IDX_TEST_IMAGES] < NO_RANK;
    files->there = train + test;
    if (!train || (!test && !alone)) {
        refuse_csv(folder, set, &names, error);
        goto done;
    }
    memcpy(files->train, set->path[IDX_TRAIN_IMAGES], PATH_MAX);
    if (test)
        memcpy(files->test, set->path[IDX_TEST_IMAGES], PATH_MAX);
    memcpy(files->set, set->name, IDX_SET);
    status = 0;
done:
    names_free(&names);
    free(found);
    return status;
}

int csv_locate(const char *path, bool alone, struct csv_files *files, struct error *error) {
    char parent[PATH_MAX], set[IDX_SET];
    memset(files, 0, sizeof *files);
    if (asks_for_set(path, parse_csv, parent, set))
        return locate_csv(parent, set, alone, files, error);
    if (!names_is_file(path))
        return locate_csv(path, NULL, alone, files, error);
    if (!alone)
        return error_set(error, ERROR_INVALID,
                         "%s: its name says of no split: mnist_train.csv beside mnist_test.csv "
                         "expected, or HOLD_OUT=N (--hold-out), which scores N of its images",
                         path);
    files->there = 1;
    return snprintf(files->train, PATH_MAX, "%s", path) < PATH_MAX ? 0 : -1;
}
