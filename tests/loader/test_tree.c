/* PNG trees: what is an image of 28×28 is read, everything else is refused by name and reason. */
#include "loader/dataset.h"
#include "loader/tree.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* <folder>/train/<label>/<name>, its folders made. */
static void path_of(const char *folder, int label, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/train", folder);
    mkdir(path, 0777);
    snprintf(path, size, "%s/train/%d", folder, label);
    mkdir(path, 0777);
    snprintf(path, size, "%s/train/%d/%s", folder, label, name);
}

static void write_png(const char *folder, int label, const char *name, unsigned width,
                      unsigned height, unsigned format, int value) {
    static uint8_t pixels[64 * 64 * 4];
    char path[SCRATCH_PATH];
    path_of(folder, label, name, path, sizeof path);
    memset(pixels, value, sizeof pixels);
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = format};
    cr_assert(png_image_write_to_file(&image, path, 0, pixels, 0, NULL), "%s", image.message);
}

static int read_train(const char *folder, struct split *split, struct tree_passed *passed,
                      struct error *error) {
    char train[SCRATCH_PATH];
    snprintf(train, sizeof train, "%s/train", folder);
    memset(passed, 0, sizeof *passed);
    return tree_read(train, split, passed, error);
}

static void refused_as(const char *folder, enum error_code code, const char *words) {
    struct split split;
    struct tree_passed passed;
    struct error error = {0};
    cr_expect_eq(read_train(folder, &split, &passed, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect(strstr(error.text, folder), "no file is named: %s", error.text);
}

static void refused(const char *folder, const char *words) {
    refused_as(folder, ERROR_CORRUPT, words);
}

Test(tree, in_order_and_converted) {
    char folder[64];
    struct split split;
    struct tree_passed passed;
    struct error error;
    scratch_begin(folder);
    write_png(folder, 7, "b.png", 28, 28, PNG_FORMAT_GRAY, 20);
    write_png(folder, 7, "a.png", 28, 28, PNG_FORMAT_GRAY, 10);
    write_png(folder, 3, "z.png", 28, 28, PNG_FORMAT_RGB, 200);
    cr_assert_eq(read_train(folder, &split, &passed, &error), 0, "%s", error.text);
    cr_assert_eq(split.count, 3);
    cr_expect_arr_eq(split.labels, ((uint8_t[]){3, 7, 7}), 3);
    cr_expect_eq(split.images[0], 200);
    cr_expect_eq(split.images[IMAGE_PIXELS], 10);
    cr_expect_eq(split.images[3 * IMAGE_PIXELS - 1], 20);
    split_free(&split);
    scratch_end(folder);
}

Test(tree, other_size) {
    char folder[64];
    scratch_begin(folder);
    write_png(folder, 1, "wide.png", 29, 28, PNG_FORMAT_GRAY, 1);
    refused(folder, "wide.png: is 29x28 pixels, 28x28 expected; ImageMagick resizes a copy");
    scratch_end(folder);
}

Test(tree, text_file_and_damage) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    path_of(folder, 1, "text.png", path, sizeof path);
    FILE *file = fopen(path, "we");
    fputs("this is a text, whatever its name says", file);
    fclose(file);
    refused(folder, "text.png: is not a PNG file");
    remove(path);
    write_png(folder, 1, "cut.png", 28, 28, PNG_FORMAT_GRAY, 9);
    path_of(folder, 1, "cut.png", path, sizeof path);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(truncate(path, status.st_size - 20), 0);
    refused(folder, "cut.png: damaged PNG");
    scratch_end(folder);
}

/* 2,147,483,647 × 2,147,483,647 pixels by its header: refused before anything is inflated. */
Test(tree, bomb) {
    char folder[64], path[SCRATCH_PATH];
    uint8_t bytes[4096];
    scratch_begin(folder);
    write_png(folder, 1, "bomb.png", 28, 28, PNG_FORMAT_GRAY, 9);
    path_of(folder, 1, "bomb.png", path, sizeof path);
    FILE *file = fopen(path, "r+e");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    memset(bytes + 16, 0x7f, 1);
    memset(bytes + 17, 0xff, 3);
    memcpy(bytes + 20, bytes + 16, 4);
    rewind(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    refused(folder, "bomb.png");
    scratch_end(folder);
}

Test(tree, nothing_there) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    refused_as(folder, ERROR_INVALID, "/train: there is no such folder");
    path_of(folder, 1, "x", path, sizeof path);
    refused_as(folder, ERROR_INVALID,
               "/train: holds no samples: files called .png in folders 0-9 expected");
    scratch_end(folder);
}

static void put(const char *folder, int label, const char *name, const char *bytes) {
    char path[SCRATCH_PATH];
    path_of(folder, label, name, path, sizeof path);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file, "%s", path);
    fputs(bytes, file);
    fclose(file);
}

Test(tree, any_letter_case_and_what_is_passed_over) {
    char folder[64], path[SCRATCH_PATH];
    struct split split;
    struct tree_passed passed, none = {0};
    struct notices notices = {0};
    struct error error;
    scratch_begin(folder);
    write_png(folder, 4, "a.png", 28, 28, PNG_FORMAT_GRAY, 1);
    write_png(folder, 4, "b.PNG", 28, 28, PNG_FORMAT_GRAY, 2);
    write_png(folder, 4, "c.Png", 28, 28, PNG_FORMAT_GRAY, 3);
    put(folder, 4, ".DS_Store", "");
    put(folder, 4, "Thumbs.db", "");
    put(folder, 4, "._a.png", "");
    put(folder, 4, ".ipynb_checkpoints", "");
    put(folder, 4, "DESKTOP.INI", "");
    snprintf(path, sizeof path, "%s/train/__MACOSX", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/train/@eaDir", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(read_train(folder, &split, &passed, &error), 0, "%s", error.text);
    cr_expect_eq(split.count, 3);
    cr_expect_eq(split.images[2 * IMAGE_PIXELS], 3);
    split_free(&split);
    cr_expect_eq(passed.files, 0);
    tree_note_passed(&passed, &none, &notices);
    cr_expect_eq(notices.count, 0);
    put(folder, 4, "notes.txt", "");
    cr_assert_eq(read_train(folder, &split, &passed, &error), 0, "%s", error.text);
    split_free(&split);
    tree_note_passed(&none, &passed, &notices);
    cr_expect_str_eq(notices.texts[0],
                     "1 file that is not .png was passed over: train/4/notes.txt");
    put(folder, 0, "x.jpg", "");
    put(folder, 0, "y.jpg", "");
    cr_assert_eq(read_train(folder, &split, &passed, &error), 0, "%s", error.text);
    split_free(&split);
    tree_note_passed(&passed, &none, &notices);
    cr_expect_str_eq(notices.texts[1],
                     "3 files that are not .png were passed over, e.g. train/0/x.jpg");
    scratch_end(folder);
}

Test(tree, other_pictures_are_named) {
    char folder[64], from[SCRATCH_PATH], to[SCRATCH_PATH];
    scratch_begin(folder);
    put(folder, 1, "a.jpg", "\xff\xd8\xff\xe0");
    refused_as(folder, ERROR_INVALID,
               "/train: holds no samples: only files called .png are read; it holds 1 others, e.g. "
               "train/1/a.jpg, which is a JPEG image; ImageMagick converts them: find DIR -name "
               "'*.jpg' -exec mogrify -format png -resize '28x28!' {} +");
    write_png(folder, 0, "b.png", 28, 28, PNG_FORMAT_GRAY, 1);
    path_of(folder, 0, "b.png", from, sizeof from);
    path_of(folder, 0, "b.jpg", to, sizeof to);
    cr_assert_eq(rename(from, to), 0);
    refused_as(folder, ERROR_INVALID,
               "e.g. train/0/b.jpg, which is a PNG image by its contents: rename such files");
    put(folder, 1, "a.png", "\xff\xd8\xff\xe0");
    refused(folder, "/train/1/a.png: is a JPEG image, not a PNG file");
    put(folder, 1, "a.png", "");
    refused(folder, "/train/1/a.png: is empty, not a PNG file");
    scratch_end(folder);
}

/* What is a .png file, and lies where no label is. */
Test(tree, places_without_a_label_are_named) {
    char folder[64], path[SCRATCH_PATH];
    struct split split;
    struct tree_passed passed, none = {0};
    struct notices notices = {0};
    struct error error;
    scratch_begin(folder);
    path_of(folder, 1, "x", path, sizeof path);
    snprintf(path, sizeof path, "%s/train/1/more", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    refused_as(folder, ERROR_INVALID,
               "e.g. train/1/more, which is a folder: put its files into that of the label");
    cr_assert_eq(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/train/a.png", folder);
    cr_assert_eq(symlink("/no/where", path), 0);
    refused_as(folder, ERROR_INVALID,
               "e.g. train/a.png, which lies in no folder 0-9: such a folder says what the label "
               "is");
    write_png(folder, 4, "b.png", 28, 28, PNG_FORMAT_GRAY, 1);
    cr_assert_eq(read_train(folder, &split, &passed, &error), 0, "%s", error.text);
    split_free(&split);
    tree_note_passed(&passed, &none, &notices);
    cr_expect_str_eq(notices.texts[0], "files passed over, since not both .png and in a folder "
                                       "0-9: 1, e.g. train/a.png");
    scratch_end(folder);
}

/* Nothing gets better by trying again: not ERROR_IO. */
Test(tree, what_cannot_be_opened_is_refused_for_good) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    path_of(folder, 4, "a.png", path, sizeof path);
    cr_assert_eq(symlink("/no/where", path), 0);
    refused_as(folder, ERROR_INVALID, "/train/4/a.png: is a link to nothing");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("a.png", path), 0);
    refused_as(folder, ERROR_INVALID, "/train/4/a.png: cannot be opened: Too many levels of");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    refused_as(folder, ERROR_INVALID, "/train/4/a.png: cannot be read: Is a directory");
    scratch_end(folder);
}

Test(tree, folders_must_be_labels) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    write_png(folder, 4, "a.png", 28, 28, PNG_FORMAT_GRAY, 1);
    snprintf(path, sizeof path, "%s/train/four", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    refused_as(folder, ERROR_INVALID, "/train/four: is not a label, folders 0-9 expected");
    scratch_end(folder);
}

/* --- names of the splits ---------------------------------------------------------------------- */

/* Makes folders, a space between any two. */
static void make_folders(const char *root, const char *list) {
    char path[SCRATCH_PATH], copy[256], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        snprintf(path, sizeof path, "%s/%s", root, name);
        cr_assert_eq(mkdir(path, 0700), 0, "%s", path);
    }
}

static void expect_splits(const char *list, const char *train, const char *test,
                          const char *others) {
    char folder[64], path[SCRATCH_PATH];
    struct tree tree;
    struct error error = {0};
    scratch_begin(folder);
    make_folders(folder, list);
    cr_expect_eq(tree_locate(folder, false, &tree, &error), 0, "%s", error.text);
    snprintf(path, sizeof path, "%s/%s", folder, train);
    cr_expect_str_eq(tree.train, path);
    snprintf(path, sizeof path, "%s/%s", folder, test);
    cr_expect_str_eq(tree.test, path);
    cr_expect_str_eq(tree.others, others);
    scratch_end(folder);
}

Test(tree, splits_by_any_usual_name) {
    expect_splits("train test", "train", "test", "");
    expect_splits("training testing", "training", "testing", "");
    expect_splits("Train TEST", "Train", "TEST", "");
    expect_splits("train val", "train", "val", "");
    expect_splits("train val test __MACOSX docs", "train", "test", "val");
    expect_splits("train validation t10k", "train", "t10k", "validation");
    expect_splits("Train train eval Valid", "train", "Valid", "Train, eval");
    expect_splits("mnist_png mnist_png/training mnist_png/testing", "mnist_png/training",
                  "mnist_png/testing", "");
}

Test(tree, a_split_that_is_there_twice_is_noted) {
    static const char *const lists[] = {"Train train test", "train training test",
                                        "train Test test", "train test val"};
    static const char *const passed[] = {"Train", "training", "Test", NULL};
    for (int i = 0; i < 4; i++) {
        char folder[64], words[128];
        struct tree tree;
        struct notices notices = {0};
        struct error error = {0};
        scratch_begin(folder);
        make_folders(folder, lists[i]);
        cr_assert_eq(tree_locate(folder, false, &tree, &error), 0, "%s", error.text);
        tree_note_doubled(&tree, &notices);
        cr_assert_eq(notices.count, passed[i] ? 1 : 0, "%s", lists[i]);
        snprintf(words, sizeof words,
                 "of several folders for the same split one was read, and passed over: %s",
                 passed[i] ? passed[i] : "");
        cr_expect(!passed[i] || strcmp(notices.texts[0], words) == 0, "%s", lists[i]);
        scratch_end(folder);
    }
}

static void expect_no_splits(const char *list, bool alone, const char *words) {
    char folder[64];
    struct tree tree;
    struct error error = {0};
    scratch_begin(folder);
    make_folders(folder, list);
    cr_expect_eq(tree_locate(folder, alone, &tree, &error), -1, "%s", words);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    scratch_end(folder);
}

Test(tree, splits_that_are_missing) {
    expect_no_splits("", false,
                     ": holds no folders train or training, and test, testing, t10k, val, valid, "
                     "validation or eval, with labels 0-9 in them; it holds nothing");
    expect_no_splits("cats dogs", false, "it holds cats, dogs");
    expect_no_splits("train other", false,
                     ": holds no folder test, testing, t10k, val, valid, validation or eval; it "
                     "holds other, train; HOLD_OUT=N (--hold-out) scores N training images");
    expect_no_splits("test other", true, ": holds no folder train or training; it holds other");
    expect_no_splits("0 1 7", false, ": holds labels, but no folder train or training and none");
    expect_no_splits("a a/b a/b/c a/b/c/train", false, "it holds a");
}

/* With images held out, the test split may be missing, and so may both. */
Test(tree, is_enough_alone_with_images_held_out) {
    static const char *const roots[] = {"train", "."};
    for (int i = 0; i < 2; i++) {
        char folder[64], name[64], data[128];
        struct error error = {0};
        scratch_begin(folder);
        for (int image = 0; image < 10; image++) {
            snprintf(name, sizeof name, "%d.png", image);
            write_png(folder, image % 3, name, 28, 28, PNG_FORMAT_GRAY, image);
        }
        snprintf(data, sizeof data, "png:%s%s", folder, i ? "/train" : "");
        struct dataset_request request = {.data = data, .hold_out = 4};
        struct dataset *dataset = dataset_open(&request, &error);
        cr_assert_not_null(dataset, "%s: %s", roots[i], error.text);
        cr_expect_eq(dataset->train.count, 6);
        cr_expect_eq(dataset->test.count, 4);
        dataset_close(&dataset);
        scratch_end(folder);
    }
}
