/* Trees of PNG files. */
#include "loader/tree.h"
#include "common/file.h"
#include "loader/kind.h"
#include "loader/names.h"
#include "loader/png.h"
#include "loader/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN_WORDS "train or training"
#define TEST_WORDS "test, testing, t10k, val, valid, validation or eval"

static const char *const train_words[] = {"train", "training", NULL};
static const char *const test_words[] = {"test",  "testing",    "t10k", "val",
                                         "valid", "validation", "eval", NULL};

/* --- where the splits are --------------------------------------------------------------------- */

static bool is_label(const char *name) {
    return name[0] >= '0' && name[0] <= '9' && !name[1];
}

static bool is_folder(const char *folder, const char *name) {
    char path[PATH_MAX];
    return path_join(path, folder, name, NULL) == 0 && names_is_folder(path);
}

/* The first folder that has the first of these names that is there, spelt so before spelt
 * otherwise; NULL where there is none. */
static const char *find_word(const char *folder, const struct names *names,
                             const char *const *words) {
    for (; *words; words++) {
        const char *found = NULL;
        for (int i = 0; i < names->count; i++) {
            bool same = strcmp(names->list[i], *words) == 0;
            if (names_equal(names->list[i], *words) && (same || !found) &&
                is_folder(folder, names->list[i]))
                found = names->list[i];
        }
        if (found)
            return found;
    }
    return NULL;
}

static bool has_labels(const char *folder, const struct names *names) {
    for (int i = 0; i < names->count; i++)
        if (is_label(names->list[i]) && is_folder(folder, names->list[i]))
            return true;
    return false;
}

static void append(char *list, size_t size, const char *name) {
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

/* Lists the splits that are there beside those that are taken. */
static void list_others(const char *folder, const struct names *names, const char *train,
                        const char *test, struct tree *tree) {
    for (int i = 0; i < names->count; i++) {
        const struct names one = {.list = names->list + i, .count = 1};
        const char *name = names->list[i];
        bool trains = find_word(folder, &one, train_words);
        if (name == train || name == test || (!trains && !find_word(folder, &one, test_words)))
            continue;
        append(tree->others, sizeof tree->others, name);
        if (trains || (test && names_equal(name, test)))
            append(tree->doubled, sizeof tree->doubled, name);
    }
}

/* Takes what is in the folder itself. 1: done; 0: there is neither split. */
static int settle(const char *folder, const struct names *names, bool alone, struct tree *tree,
                  struct error *error) {
    char there[256];
    const char *train = find_word(folder, names, train_words);
    const char *test = find_word(folder, names, test_words);
    names_describe(names, there, sizeof there);
    if (!train && !test && !has_labels(folder, names))
        return 0;
    if (!train && !test && !alone)
        return error_set(error, ERROR_INVALID,
                         "%s: holds labels, but no folder " TRAIN_WORDS " and none " TEST_WORDS
                         "; HOLD_OUT=N (--hold-out) trains on it and scores N of its images",
                         folder);
    if (!train && test)
        return error_set(error, ERROR_INVALID, "%s: holds no folder " TRAIN_WORDS "; it holds %s",
                         folder, there);
    if (!test && !alone)
        return error_set(error, ERROR_INVALID,
                         "%s: holds no folder " TEST_WORDS "; it holds %s; HOLD_OUT=N (--hold-out) "
                         "scores N training images in its place",
                         folder, there);
    if (train ? path_join(tree->train, folder, train, error)
              : snprintf(tree->train, PATH_MAX, "%s", folder) >= PATH_MAX)
        return -1;
    if (test && path_join(tree->test, folder, test, error))
        return -1;
    list_others(folder, names, train, test, tree);
    return 1;
}

int tree_locate(const char *folder, bool alone, struct tree *tree, struct error *error) {
    char here[PATH_MAX], inner[PATH_MAX], there[256];
    int status = 0;
    snprintf(here, sizeof here, "%s", folder);
    memset(tree, 0, sizeof *tree);
    for (int depth = 0; status == 0 && depth < 3; depth++) {
        struct names names;
        status = names_list(&names, here, NAMES_MAX, error);
        if (status == 0 && depth == 0) {
            names_describe(&names, there, sizeof there);
            error_set(error, ERROR_INVALID,
                      "%s: holds no folders " TRAIN_WORDS ", and " TEST_WORDS
                      ", with labels 0-9 in them; it holds %s",
                      folder, there);
        }
        const char *only = status == 0 ? names_only_folder(here, &names) : NULL;
        if (status == 0)
            status = settle(here, &names, alone, tree, error);
        if (status == 0 && (!only || path_join(inner, here, only, NULL) != 0))
            depth = 3;
        else if (status == 0)
            memcpy(here, inner, sizeof here);
        names_free(&names);
    }
    return status == 1 ? 0 : -1;
}

bool tree_is_there(const char *folder) {
    struct tree tree;
    struct names names;
    if (tree_locate(folder, true, &tree, NULL) != 0)
        return false;
    /* A folder train or test may hold IDX files as well. */
    bool there = names_list(&names, tree.train, NAMES_MAX, NULL) != 0;
    for (int i = 0; !there && i < names.count; i++)
        there = is_folder(tree.train, names.list[i]) || names_ends(names.list[i], ".png");
    names_free(&names);
    return there;
}

/* --- one split -------------------------------------------------------------------------------- */

struct listing {
    struct names labels[10]; /* the .png files of each */
    uint64_t total;
};

/* Counts a file that is not read; `label` is NULL for one beside the labels. */
static void pass_over(struct tree_passed *passed, const char *folder, const char *label,
                      const char *name) {
    const char *slash = strrchr(folder, '/'), *split = slash ? slash + 1 : folder;
    char path[3 * NAME_MAX + 8];
    if (passed->files++)
        return;
    size_t size = (size_t)snprintf(path, sizeof path, "%s/%s%s%s", split, label ? label : "",
                                   label ? "/" : "", name);
    size_t room = sizeof passed->example - 1;
    memcpy(passed->example, size > room ? path + size - room : path,
           (size > room ? room : size) + 1);
}

/* Keeps the .png files of a label's list. */
static int list_label(struct listing *listing, const char *split, const char *name,
                      struct tree_passed *passed, struct error *error) {
    char folder[PATH_MAX];
    struct names *names = &listing->labels[name[0] - '0'];
    if (path_join(folder, split, name, error) || names_list(names, folder, SPLIT_MAX, error))
        return -1;
    int kept = 0;
    for (int i = 0; i < names->count; i++)
        if (names_ends(names->list[i], ".png")) {
            names->list[kept++] = names->list[i];
        } else {
            pass_over(passed, split, name, names->list[i]);
            free(names->list[i]);
        }
    names->count = kept;
    listing->total += (uint64_t)kept;
    if (names->more || listing->total > SPLIT_MAX)
        return error_set(error, ERROR_CORRUPT, "%s: more than %d samples in this split", folder,
                         SPLIT_MAX);
    return 0;
}

static int list_split(struct listing *listing, const char *folder, struct tree_passed *passed,
                      struct error *error) {
    struct names names;
    char path[PATH_MAX];
    int status = names_list(&names, folder, NAMES_MAX, error);
    for (int i = 0; !status && i < names.count; i++) {
        const char *name = names.list[i];
        if (path_join(path, folder, name, error))
            status = -1;
        else if (!names_is_folder(path))
            pass_over(passed, folder, NULL, name);
        else if (!is_label(name))
            status =
                error_set(error, ERROR_INVALID, "%s: is not a label, folders 0-9 expected", path);
        else
            status = list_label(listing, folder, name, passed, error);
    }
    names_free(&names);
    return status;
}

/* What the first file that was passed over is, and what to do with such files: the end of a
 * sentence. */
static void advise(const char *folder, const struct tree_passed *passed, char *text, size_t size) {
    char path[PATH_MAX + NOTICE_SIZE];
    uint8_t bytes[KIND_BYTES];
    size_t got = 0;
    const char *name = strchr(passed->example, '/'), *dot = strrchr(passed->example, '.');
    snprintf(path, sizeof path, "%s%s", folder, name ? name : "");
    if (names_is_folder(path) || names_ends(path, ".png")) {
        snprintf(text, size, "%s",
                 names_is_folder(path)
                     ? ", which is a folder: put its files into that of the label"
                     : ", which lies in no folder 0-9: such a folder says what the label is");
        return;
    }
    struct source *source = source_open(path, NULL);
    enum kind kind = source && source_read(source, bytes, sizeof bytes, &got, NULL) == 0 && got
                         ? kind_of(bytes, got)
                         : KIND_UNKNOWN;
    source_close(&source);
    text[0] = 0;
    if (kind == KIND_PNG)
        snprintf(text, size, ", which is a PNG image by its contents: rename such files");
    else if (kind == KIND_IMAGE)
        snprintf(text, size,
                 ", which is %s; ImageMagick converts them: find DIR -name '*%.8s' -exec mogrify "
                 "-format png -resize '28x28!' {} +",
                 kind_describe(bytes, got, NULL), dot ? dot : "");
}

/* Says what lies where no .png is, and how to make use of it. */
static int refuse_empty(const char *folder, const struct tree_passed *passed, struct error *error) {
    char advice[192];
    if (!passed->files)
        return error_set(error, ERROR_INVALID,
                         "%s: holds no samples: files called .png in folders 0-9 expected", folder);
    advise(folder, passed, advice, sizeof advice);
    return error_set(error, ERROR_INVALID,
                     "%.160s: holds no samples: only files called .png are read; it holds %" PRIu32
                     " others, e.g. %s%s",
                     folder, passed->files, passed->example, advice);
}

static int read_all(const struct listing *listing, const char *folder, struct split *split,
                    struct error *error) {
    char path[PATH_MAX];
    uint8_t *image = split->memory, *labels = split->memory + listing->total * IMAGE_PIXELS;
    uint8_t *space = malloc(PNG_FILE_MAX + 1);
    int status =
        space ? 0
              : error_set(error, ERROR_MEMORY, "%s: no memory for %zu bytes", folder, PNG_FILE_MAX);
    for (int label = 0; label < 10; label++)
        for (int i = 0; !status && i < listing->labels[label].count; i++) {
            const char *name = listing->labels[label].list[i];
            int size = snprintf(path, sizeof path, "%s/%d/%s", folder, label, name);
            if (size < 0 || size >= PATH_MAX)
                status = error_set(error, ERROR_INVALID, "%s: the path is longer than %d bytes",
                                   folder, PATH_MAX);
            else
                status = png_read(path, image, space, error);
            image += IMAGE_PIXELS;
            *labels++ = (uint8_t)label;
        }
    free(space);
    return status;
}

int tree_read(const char *folder, struct split *split, struct tree_passed *passed,
              struct error *error) {
    struct listing listing = {0};
    memset(split, 0, sizeof *split);
    int status = list_split(&listing, folder, passed, error);
    if (!status && !listing.total)
        status = refuse_empty(folder, passed, error);
    if (!status)
        status = split_allocate(split, listing.total, folder, error);
    if (!status)
        status = read_all(&listing, folder, split, error);
    if (status)
        split_free(split);
    for (int label = 0; label < 10; label++)
        names_free(&listing.labels[label]);
    return status;
}

void tree_note_doubled(const struct tree *tree, struct notices *notices) {
    if (tree->doubled[0])
        notices_add(notices,
                    "of several folders for the same split one was read, and passed over: %.120s",
                    tree->doubled);
}

void tree_note_passed(const struct tree_passed *train, const struct tree_passed *test,
                      struct notices *notices) {
    uint32_t files = train->files + test->files;
    const char *example = train->files ? train->example : test->example;
    if (files && names_ends(example, ".png"))
        notices_add(notices,
                    "files passed over, since not both .png and in a folder 0-9: %" PRIu32
                    ", e.g. %s",
                    files, example);
    else if (files == 1)
        notices_add(notices, "1 file that is not .png was passed over: %s", example);
    else if (files)
        notices_add(notices, "%" PRIu32 " files that are not .png were passed over, e.g. %s", files,
                    example);
}
