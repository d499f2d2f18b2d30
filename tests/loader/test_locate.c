/* The four IDX files under the names and in the folders that people have, and what the files are
 * where they are none. */
#include "loader/fetch.h"
#include "loader/idx.h"
#include "loader/kind.h"
#include "loader/names.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the folders on the way, and an empty file; a name that ends in '/' is a folder alone. */
static void make(const char *folder, const char *name) {
    char path[SCRATCH_PATH];
    int start = snprintf(path, sizeof path, "%s/", folder);
    snprintf(path + start, sizeof path - (size_t)start, "%s", name);
    for (char *slash = path + start; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    if (name[strlen(name) - 1] == '/')
        return;
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file, "%s", path);
    fclose(file);
}

/* Expects that of these files, the ends of paths, the last four are found, in order. */
static void expect_found(const char *const names[], const char *asked, const char *set) {
    char folder[64], where[SCRATCH_PATH];
    struct idx_files files;
    struct error error = {0};
    int count = 0;
    scratch_begin(folder);
    for (; names[count]; count++)
        make(folder, names[count]);
    snprintf(where, sizeof where, "%s/%s", folder, asked);
    cr_expect_eq(idx_locate(where, &files, &error), 0, "%s", error.text);
    for (int i = 0; error.code == ERROR_NONE && i < IDX_FILES; i++) {
        const char *expected = names[count - IDX_FILES + i], *path = files.path[i];
        size_t end = strlen(expected), size = strlen(path);
        cr_expect(size > end && strcmp(path + size - end, expected) == 0, "%s, %s expected", path,
                  expected);
    }
    cr_expect(error.code || strcmp(files.set, set) == 0, "set '%s', '%s' expected", files.set, set);
    scratch_end(folder);
}

#define EXPECT_FOUND(asked, set, ...)                                                              \
    expect_found((const char *const[]){__VA_ARGS__, NULL}, asked, set)

Test(locate, plain_goes_before_gzip_and_own_names_before_others) {
    EXPECT_FOUND("", "", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte",
                 "t10k-labels-idx1-ubyte (1)", "test-images-idx3-ubyte", "train-images-idx3-ubyte",
                 "train-labels-idx1-ubyte.gz", "t10k-images.idx3-ubyte.gz",
                 "t10k-labels-idx1-ubyte");
}

Test(locate, any_letter_case_and_separator) {
    EXPECT_FOUND("", "", "TRAIN-IMAGES-IDX3-UBYTE.GZ", "Train-Labels.idx1-ubyte",
                 "t10k_images_idx3_ubyte", "T10K-labels.idx1.ubyte.Gz");
    EXPECT_FOUND("", "", "train-images-idx3-ubyte (1).gz", "train-labels-idx1-ubyte(2).gz",
                 "t10k-images-idx3-ubyte.gz.1", "t10k-labels-idx1-ubyte-2.gz");
    EXPECT_FOUND("", "", "training-images.gz", "training-labels.gz", "val-images.gz",
                 "val-labels.gz");
}

/* Archives unpacked by hand. */
Test(locate, folders_named_like_the_files) {
    EXPECT_FOUND("", "", "train-images-idx3-ubyte/train-images-idx3-ubyte",
                 "train-labels-idx1-ubyte/", "train-images.idx3-ubyte", "train-labels.idx1-ubyte",
                 "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte");
    EXPECT_FOUND("", "", "train-images-idx3-ubyte/.DS_Store", "train-images-idx3-ubyte/notes.txt",
                 "train-images-idx3-ubyte/train-images-idx3-ubyte",
                 "train-labels-idx1-ubyte/train-labels.idx1-ubyte",
                 "t10k-images-idx3-ubyte.gz/t10k-images-idx3-ubyte",
                 "t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte.gz");
}

Test(locate, in_the_folders_of_torchvision_and_emnist) {
    EXPECT_FOUND("", "", "MNIST/processed/", "MNIST/raw/train-images-idx3-ubyte",
                 "MNIST/raw/train-labels-idx1-ubyte", "MNIST/raw/t10k-images-idx3-ubyte",
                 "MNIST/raw/t10k-labels-idx1-ubyte");
    EXPECT_FOUND("MNIST", "", "MNIST/raw/train-images-idx3-ubyte.gz",
                 "MNIST/raw/train-labels-idx1-ubyte", "MNIST/raw/t10k-images-idx3-ubyte",
                 "MNIST/raw/t10k-labels-idx1-ubyte");
    EXPECT_FOUND("", "", "mnist/RAW/train-images-idx3-ubyte", "mnist/RAW/train-labels-idx1-ubyte",
                 "mnist/RAW/t10k-images-idx3-ubyte", "mnist/RAW/t10k-labels-idx1-ubyte");
    EXPECT_FOUND("", "emnist-digits", "gzip/emnist-letters-train-images-idx3-ubyte.gz",
                 "gzip/emnist-digits-train-images-idx3-ubyte.gz",
                 "gzip/emnist-digits-train-labels-idx1-ubyte.gz",
                 "gzip/emnist-digits-test-images-idx3-ubyte.gz",
                 "gzip/emnist-digits-test-labels-idx1-ubyte.gz");
}

/* An archive unpacked into a folder of its own, and each split in one. */
Test(locate, in_the_only_folder_and_in_those_of_the_splits) {
    EXPECT_FOUND("", "", "notes.txt", "a/b/train-images-idx3-ubyte", "a/b/train-labels-idx1-ubyte",
                 "a/b/t10k-images-idx3-ubyte", "a/b/t10k-labels-idx1-ubyte");
    EXPECT_FOUND("", "", "Train/train-images-idx3-ubyte", "Train/train-labels-idx1-ubyte",
                 "test/t10k-images-idx3-ubyte.gz", "test/t10k-labels-idx1-ubyte");
}

/* Empty files, as broken downloads leave them. */
Test(locate, an_empty_file_comes_after_any_other) {
    char folder[64], path[SCRATCH_PATH];
    struct idx_files files;
    struct error error = {0};
    scratch_begin(folder);
    for (int i = 0; i < IDX_FILES; i++) {
        make(folder, IDX_NAMES[i]);
        char name[64];
        snprintf(name, sizeof name, "%s.gz", IDX_NAMES[i]);
        scratch_write(folder, name, "x", path);
    }
    cr_assert_eq(idx_locate(folder, &files, &error), 0, "%s", error.text);
    cr_expect_str_eq(files.path[IDX_FILES - 1], path);
    scratch_end(folder);
}

/* Only root reads what nobody may; as another user the sentence would be the same. */
Test(locate, what_may_not_be_listed_is_refused_for_good) {
    struct error error = {0};
    errno = EACCES;
    cr_expect_eq(names_refuse(&error, "/a/b", "cannot be listed"), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "/a/b: cannot be listed: Permission denied");
    errno = EIO;
    cr_expect_eq(names_refuse(&error, "/a/b", "cannot be listed"), -1);
    cr_expect_eq(error.code, ERROR_IO);
}

#define EMNIST(set, image)                                                                         \
    "emnist-" set "-train-images-idx3-ubyte" image, "emnist-" set "-train-labels-idx1-ubyte",      \
        "emnist-" set "-test-images-idx3-ubyte", "emnist-" set "-test-labels-idx1-ubyte"

Test(locate, one_set_of_several) {
    EXPECT_FOUND("", "emnist-mnist", EMNIST("balanced", ""), EMNIST("digits", ""),
                 EMNIST("letters", ""), EMNIST("mnist", ""));
    EXPECT_FOUND("emnist-digits", "emnist-digits", EMNIST("mnist", ""), EMNIST("digits", ""));
    EXPECT_FOUND("emnist-digits-test-images-idx3-ubyte", "emnist-digits", EMNIST("mnist", ""),
                 EMNIST("digits", ""));
    EXPECT_FOUND("", "qmnist", "qmnist-train-images-idx3-ubyte.gz",
                 "qmnist-train-labels-idx2-int.gz", "qmnist-test-images-idx3-ubyte.gz",
                 "qmnist-test-labels-idx2-int.gz");
    EXPECT_FOUND("train-images-idx3-ubyte", "", "train-images-idx3-ubyte",
                 "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
}

Test(locate, says_what_is_missing_and_what_is_there) {
    char folder[64];
    struct idx_files files;
    struct error error = {0};
    scratch_begin(folder);
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, ": holds no train-images-idx3-ubyte, plain or .gz; it holds "
                                 "nothing"),
              "%s", error.text);
    make(folder, "train-images-idx3-ubyte");
    make(folder, "train-labels-idx1-ubyte.zip");
    make(folder, "notes.txt");
    make(folder, "Thumbs.db");
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, ": holds no train-labels-idx1-ubyte, plain or .gz; it holds "
                                 "notes.txt, train-images-idx3-ubyte, train-labels-idx1-ubyte.zip"),
              "%s", error.text);
    char name[] = "a0";
    for (; name[1] <= '9'; name[1]++)
        make(folder, name);
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect(strstr(error.text, "it holds a0, a1, a2, a3, a4, a5 and 7 more"), "%s", error.text);
    scratch_end(folder);
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, ": there is no such folder"), "%s", error.text);
}

Test(locate, says_what_is_called_so_and_is_no_file) {
    char folder[64], path[SCRATCH_PATH];
    struct idx_files files;
    struct error error = {0};
    scratch_begin(folder);
    make(folder, "train-images-idx3-ubyte/notes");
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect(strstr(error.text, ": holds no train-images-idx3-ubyte, plain or .gz: "
                                 "train-images-idx3-ubyte is a folder without such a file"),
              "%s", error.text);
    make(folder, "train-images-idx3-ubyte.gz");
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
    cr_assert_eq(symlink("/no/where", path), 0);
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect(strstr(error.text, "train-labels-idx1-ubyte is a link to nothing"), "%s", error.text);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect(strstr(error.text, "train-labels-idx1-ubyte is not a regular file"), "%s",
              error.text);
    cr_expect_not(files.train_only);
    make(folder, "train-labels-idx1-ubyte.gz");
    cr_expect_eq(idx_locate(folder, &files, &error), -1);
    cr_expect(strstr(error.text, "HOLD_OUT=N"), "%s", error.text);
    cr_expect(files.train_only);
    scratch_end(folder);
}

/* Found by itself must be MNIST's files alone. */
Test(locate, the_search_for_mnist_takes_no_other_set) {
    char folder[64];
    struct idx_files files;
    struct error error = {0};
    static const char *const names[] = {EMNIST("mnist", "")};
    scratch_begin(folder);
    for (int i = 0; i < 4; i++)
        make(folder, names[i]);
    cr_expect_eq(idx_locate_mnist(folder, &files, &error), -1);
    cr_expect_eq(idx_locate(folder, &files, &error), 0);
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "MNIST/raw/%s", IDX_NAMES[i]);
        make(folder, name);
    }
    cr_expect_eq(idx_locate_mnist(folder, &files, &error), 0, "%s", error.text);
    cr_expect(strstr(files.path[0], "MNIST/raw/train-images"), "%s", files.path[0]);
    scratch_end(folder);
}

/* Where torchvision keeps them below the working folder, and by MNIST_DIR. */
Test(locate, the_search_looks_into_raw) {
    static const char *const places[] = {"data/MNIST/raw", "MNIST/raw", "data/mnist/raw", "own"};
    setenv("XDG_CACHE_HOME", "/nowhere", 1);
    for (int place = 0; place < 4; place++) {
        char folder[64], name[128], found[PATH_MAX], *home = getcwd(NULL, 0);
        struct idx_files files;
        scratch_begin(folder);
        cr_assert_eq(chdir(folder), 0);
        setenv("MNIST_DIR", place == 3 ? "own" : "", 1);
        struct notices notices = {0};
        struct error error;
        cr_expect_eq(fetch_find(&notices, found, &files, &error), 0);
        cr_expect_eq(notices.count, place == 3);
        cr_expect(place < 3 || strcmp(notices.texts[0], "MNIST_DIR was passed over: own: there is "
                                                        "no such folder") == 0,
                  "%s", notices.texts[0]);
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "%s/%s.gz", places[place], IDX_NAMES[i]);
            make(folder, name);
        }
        cr_expect_eq(fetch_find(NULL, found, &files, &error), 1, "%s", places[place]);
        cr_expect_eq(strncmp(files.path[0], places[place], strlen(places[place])), 0, "%s",
                     files.path[0]);
        cr_assert_eq(chdir(home), 0);
        free(home);
        scratch_end(folder);
    }
}

/* Whoever trained on drawn digits because a folder could not be listed would not know why. */
Test(locate, a_folder_that_cannot_be_listed_ends_the_search) {
    char folder[64], found[PATH_MAX], *home = getcwd(NULL, 0);
    struct idx_files files;
    struct error error = {0};
    scratch_begin(folder);
    cr_assert_eq(chdir(folder), 0);
    setenv("MNIST_DIR", "", 1);
    setenv("XDG_CACHE_HOME", "/nowhere", 1);
    cr_assert_eq(mkdir("data", 0700), 0);
    cr_assert_eq(mkdir("data/mnist", 0700), 0);
    struct rlimit before, none;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0; /* nothing can be opened: EMFILE */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int status = fetch_find(NULL, found, &files, &error);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(status, -1);
    cr_expect_eq(error.code, ERROR_IO, "%s", error.text);
    cr_assert_eq(chdir(home), 0);
    free(home);
    scratch_end(folder);
}

/* --- what files are --------------------------------------------------------------------------- */

static void refused(const void *bytes, size_t size, const char *words) {
    struct error error = {0};
    cr_expect_eq(kind_refuse("f", bytes, size, "an IDX file", &error), -1, "%s", words);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, words);
}

static void refused_text(const char *text, const char *words) {
    refused(text, strlen(text), words);
}

Test(kind, is_named_with_advice) {
    static uint8_t tar[300];
    memcpy(tar + 257, "ustar", 5);
    refused_text("<!DOCTYPE html><html>",
                 "f: is a web page (HTML), not an IDX file: the download went wrong, fetch it "
                 "again");
    refused_text("\xef\xbb\xbf \r\n<HTML lang=en>",
                 "f: is a web page (HTML), not an IDX file: the download went wrong, fetch it "
                 "again");
    refused_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                 "f: is a Git LFS pointer, not an IDX file: run git lfs pull");
    refused_text("{\"message\": \"Not Found\"}", "f: is JSON, as servers send for an error, not an "
                                                 "IDX file: the download went wrong, fetch it "
                                                 "again");
    refused_text("404: Not Found", "f: is a text file, not an IDX file");
    refused("", 0, "f: is empty, not an IDX file: the download went wrong, fetch it again");
    refused("PK\3\4", 4, "f: is a ZIP archive, not an IDX file: unpack it");
    refused("\xff\xd8\xff\xe0", 4, "f: is a JPEG image, not an IDX file");
    refused("\x93NUMPY\1", 7, "f: is a NumPy array (.npy), not an IDX file");
    refused("\xfd"
            "7zXZ",
            6, "f: is compressed with xz, not an IDX file: unpack it with unxz");
    refused(tar, sizeof tar, "f: is a tar archive, not an IDX file: unpack it with tar -xf");
    static const uint8_t zeros[20];
    refused(zeros, sizeof zeros,
            "f: is filled with zeros, not an IDX file: the download went wrong, fetch it again");
    refused("x\x9c\xed\x9c", 4,
            "f: is compressed with zlib, not an IDX file: unpack it with pigz -dz");
    refused_text("/annex/objects/SHA256E-s9--a.gz\n",
                 "f: is a git-annex pointer, not an IDX file: run git annex get");
    refused("%PDF-1.4", 8, "f: is a PDF document, not an IDX file");
    cr_expect_eq(kind_refuse("f", "\1\0\x08\3", 4, "an IDX file", NULL), 0, "not known");
}
