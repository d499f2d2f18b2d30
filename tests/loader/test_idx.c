/* IDX files, plain and gzip: the good one is read, and each way to be bad has its own sentence. */
#include "loader/dataset.h"
#include "loader/idx.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct bad {
    char folder[64];
    char images[SCRATCH_PATH], labels[SCRATCH_PATH];
    uint8_t image_bytes[16 + 4 * IMAGE_PIXELS], label_bytes[8 + 4];
};

static void begin(struct bad *bad) {
    static const uint8_t image_head[16] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28};
    static const uint8_t label_head[8] = {0, 0, 8, 1, 0, 0, 0, 3};
    scratch_begin(bad->folder);
    snprintf(bad->images, sizeof bad->images, "%s/images", bad->folder);
    snprintf(bad->labels, sizeof bad->labels, "%s/labels", bad->folder);
    memset(bad->image_bytes, 7, sizeof bad->image_bytes);
    memset(bad->label_bytes, 5, sizeof bad->label_bytes);
    memcpy(bad->image_bytes, image_head, 16);
    memcpy(bad->label_bytes, label_head, 8);
}

static void put(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void put_gzip(const char *path, const void *bytes, size_t size) {
    gzFile file = gzopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    cr_assert_eq(gzclose(file), Z_OK);
}

static void write_both(struct bad *bad, size_t images, size_t labels) {
    put(bad->images, bad->image_bytes, images);
    put(bad->labels, bad->label_bytes, labels);
}

static const size_t IMAGES = 16 + 3 * IMAGE_PIXELS, LABELS = 8 + 3;

static void expect_bad(struct bad *bad, const char *words) {
    struct split split;
    struct error error = {0};
    cr_expect_eq(idx_read(bad->images, bad->labels, &split, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, ERROR_CORRUPT, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect(strstr(error.text, bad->folder), "no file is named: %s", error.text);
}

Test(idx, good_plain_and_gzip) {
    struct bad bad;
    begin(&bad);
    for (int gzip = 0; gzip < 2; gzip++) {
        struct split split;
        struct error error;
        if (gzip) {
            put_gzip(bad.images, bad.image_bytes, IMAGES);
            put_gzip(bad.labels, bad.label_bytes, LABELS);
        } else {
            write_both(&bad, IMAGES, LABELS);
        }
        cr_assert_eq(idx_read(bad.images, bad.labels, &split, &error), 0, "%s", error.text);
        cr_expect_eq(split.count, 3);
        cr_expect_eq(split.images[3 * IMAGE_PIXELS - 1], 7);
        cr_expect_eq(split.labels[2], 5);
        split_free(&split);
    }
    scratch_end(bad.folder);
}

Test(idx, sizes_that_lie) {
    struct bad bad;
    begin(&bad);
    write_both(&bad, IMAGES - 1, LABELS);
    expect_bad(&bad, "images");
    write_both(&bad, IMAGES + 1, LABELS);
    expect_bad(&bad, "images");
    write_both(&bad, IMAGES, LABELS - 1);
    expect_bad(&bad, "labels");
    write_both(&bad, IMAGES, LABELS + 1);
    expect_bad(&bad, "labels");
    write_both(&bad, 5, LABELS);
    expect_bad(&bad, "within its header");
    write_both(&bad, 0, LABELS);
    expect_bad(&bad, "images");
    scratch_end(bad.folder);
}

Test(idx, headers_that_cannot_be) {
    struct bad bad;
    begin(&bad);
    bad.image_bytes[0] = 1;
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "magic 0x01000803, 0x00000803 expected");
    begin(&bad);
    bad.image_bytes[3] = 2; /* rank */
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "expected");
    begin(&bad);
    bad.image_bytes[3] = 1; /* as labels have it */
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "IDX rank 1, 3 (images) expected; these are labels: are the names of the "
                     "files swapped?");
    begin(&bad);
    bad.image_bytes[11] = 27; /* rows */
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "28");
    begin(&bad);
    memset(bad.image_bytes + 4, 0, 4); /* no samples */
    memset(bad.label_bytes + 4, 0, 4);
    write_both(&bad, 16, 8);
    expect_bad(&bad, "sample");
    begin(&bad);
    memset(bad.image_bytes + 4, 0xff, 4); /* four thousand million images: refused unallocated */
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "4294967295");
    begin(&bad);
    bad.label_bytes[7] = 4;
    write_both(&bad, IMAGES, LABELS + 1);
    expect_bad(&bad, "4 labels");
    begin(&bad);
    bad.label_bytes[9] = 10;
    write_both(&bad, IMAGES, LABELS);
    expect_bad(&bad, "label");
    scratch_end(bad.folder);
}

/* QMNIST's labels: eight integers each, of which the first is the digit. */
Test(idx, integer_labels_of_several_columns) {
    struct bad bad;
    struct split split;
    struct error error = {0};
    uint8_t labels[12 + 3 * 8 * 4] = {0, 0, 0x0c, 2, 0, 0, 0, 3, 0, 0, 0, 8};
    for (int i = 0; i < 3 * 8; i++)
        labels[12 + 4 * i + 3] = (uint8_t)(i % 8 ? 99 : i / 8 + 4);
    begin(&bad);
    put(bad.images, bad.image_bytes, IMAGES);
    put_gzip(bad.labels, labels, sizeof labels);
    cr_assert_eq(idx_read(bad.images, bad.labels, &split, &error), 0, "%s", error.text);
    cr_expect_arr_eq(split.labels, ((uint8_t[]){4, 5, 6}), 3);
    split_free(&split);
    put(bad.labels, labels, sizeof labels - 1);
    expect_bad(&bad, "labels: is 107 bytes, but its header announces 108");
    labels[12 + 4 * 8 + 2] = 1; /* 256 + 5 */
    put(bad.labels, labels, sizeof labels);
    expect_bad(&bad, "label 255 of sample 1, 0-9 expected");
    labels[11] = 0;
    put(bad.labels, labels, sizeof labels);
    expect_bad(&bad, "labels of 0 columns, 1-64 expected");
    scratch_end(bad.folder);
}

Test(idx, other_labels_are_recognised) {
    struct split split = {.count = 3};
    struct error error = {0};
    split.labels = (const uint8_t[]){1, 14, 26};
    cr_expect_eq(split_check_labels(&split, "f", &error), -1);
    cr_expect_str_eq(error.text, "f: label 14 of sample 1, 0-9 expected; labels 1-26 are those of "
                                 "EMNIST letters: digits are in emnist-digits or emnist-mnist");
    split.labels = (const uint8_t[]){1, 5, 10};
    cr_expect_eq(split_check_labels(&split, "f", &error), -1);
    cr_expect(strstr(error.text, "10 for the digit 0"), "%s", error.text);
    split.labels = (const uint8_t[]){0, 77, 9};
    cr_expect_eq(split_check_labels(&split, "f", &error), -1);
    cr_expect_str_eq(error.text, "f: label 77 of sample 1, 0-9 expected");
    split.labels = (const uint8_t[]){0, 9, 1};
    cr_expect_eq(split_check_labels(&split, "f", &error), 0);
}

Test(idx, other_files_are_named) {
    struct bad bad;
    uint8_t packed[4096];
    begin(&bad);
    put(bad.labels, bad.label_bytes, LABELS);
    put(bad.images, "<!DOCTYPE html>\n", 16);
    expect_bad(&bad, "images: is a web page (HTML), not an IDX file: the download went wrong");
    put_gzip(bad.images, "<!DOCTYPE html>\n", 16);
    expect_bad(&bad, "images: is a web page (HTML), not an IDX file: the download went wrong");
    put_gzip(bad.images, bad.image_bytes, IMAGES);
    FILE *file = fopen(bad.images, "re");
    size_t size = fread(packed, 1, sizeof packed, file);
    fclose(file);
    put_gzip(bad.images, packed, size);
    expect_bad(&bad, "images: is compressed twice: gunzip it once");
    put(bad.images, "", 0);
    expect_bad(&bad, "images: is empty, not an IDX file");
    scratch_end(bad.folder);
}

Test(idx, damaged_gzip) {
    struct bad bad;
    uint8_t packed[4096];
    begin(&bad);
    put(bad.labels, bad.label_bytes, LABELS);
    put_gzip(bad.images, bad.image_bytes, IMAGES);
    FILE *file = fopen(bad.images, "re");
    size_t size = fread(packed, 1, sizeof packed, file);
    fclose(file);
    put(bad.images, packed, size - 9); /* cut short */
    expect_bad(&bad, "gzip");
    packed[size / 2] ^= 0x55; /* and flipped */
    put(bad.images, packed, size);
    expect_bad(&bad, "gzip");
    put_gzip(bad.images, bad.image_bytes, IMAGES + 1); /* a byte more than announced */
    expect_bad(&bad, "images");
    scratch_end(bad.folder);
}

/* Ten megabytes of zeros behind a header that announces three images: one byte too many is enough.
 */
Test(idx, gzip_bomb_is_not_inflated) {
    struct bad bad;
    static uint8_t zeros[10 << 20];
    begin(&bad);
    memcpy(zeros, bad.image_bytes, 16);
    put_gzip(bad.images, zeros, sizeof zeros);
    put(bad.labels, bad.label_bytes, LABELS);
    expect_bad(&bad, "images");
    scratch_end(bad.folder);
}

Test(idx, missing_files_are_named) {
    struct bad bad;
    struct idx_files files;
    struct error error;
    begin(&bad);
    cr_expect_eq(idx_locate(bad.folder, &files, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "train-images-idx3-ubyte"), "%s", error.text);
    scratch_end(bad.folder);
}

/* --- whole datasets
 * ------------------------------------------------------------------------------- */

static struct dataset *open_data(const char *data, uint32_t train, uint32_t test,
                                 struct error *error) {
    struct dataset_request request = {.data = data, .train_limit = train, .test_limit = test};
    return dataset_open(&request, error);
}

Test(dataset, mnist_is_known_by_its_digest) {
    struct error error;
    char folder[PATH_MAX];
    struct idx_files files;
    if (fetch_find(NULL, folder, &files, &error) != 1)
        cr_skip_test("MNIST is not on this machine");
    struct dataset *dataset = open_data("mnist", 0, 0, &error);
    cr_assert_not_null(dataset, "%s", error.text);
    cr_expect_str_eq(dataset->name, "MNIST");
    cr_expect_eq(dataset->train.count, 60000);
    cr_expect_eq(dataset->test.count, 10000);
    static const uint8_t first[] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4};
    cr_expect_arr_eq(dataset->train.labels, first, sizeof first);
    uint8_t whole[SHA256_SIZE];
    memcpy(whole, dataset->sha256, sizeof whole);
    dataset_close(&dataset);
    cr_expect_null(dataset);
    dataset = open_data("mnist", 2000, 500, &error);
    cr_assert_not_null(dataset, "%s", error.text);
    cr_expect_str_eq(dataset->name, "MNIST");
    cr_expect_eq(dataset->train.count, 2000);
    cr_expect_eq(dataset->test.count, 500);
    cr_expect(memcmp(whole, dataset->sha256, SHA256_SIZE) != 0);
    dataset_close(&dataset);
}

Test(dataset, unknown_words_are_refused) {
    struct error error;
    cr_expect_null(open_data("minst", 0, 0, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "data 'minst': auto, mnist, synthetic, a path, or idx:, png:, "
                                 "csv: or npz: and a path expected; did you mean 'mnist'?");
    cr_expect_null(open_data("pmg:/data", 0, 0, &error));
    cr_expect(strstr(error.text, "; did you mean 'png'?"), "%s", error.text);
    cr_expect_null(open_data("/no/where", 0, 0, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "/no/where: there is no such file or folder");
    cr_expect_null(open_data("mnst.npz", 0, 0, &error));
    cr_expect_str_eq(error.text, "mnst.npz: there is no such file or folder");
    cr_expect_null(open_data("idx:/nowhere", 0, 0, &error));
    cr_expect(strstr(error.text, "/nowhere"), "%s", error.text);
}

Test(dataset, synthetic_digits_are_the_same_everywhere) {
    struct error error;
    struct dataset *dataset = open_data("synthetic", 1000, 200, &error);
    cr_assert_not_null(dataset, "%s", error.text);
    cr_expect(dataset->synthetic);
    cr_expect_str_eq(dataset->name, "synthetic digits");
    char hex[SHA256_HEX];
    sha256_hex(dataset->sha256, hex);
    cr_expect_str_eq(hex, "fb79a314bdb809aa1ad459d24baf01430040f7410d0ae1034e54b78f29c0f77d");
    int seen[10] = {0}, ink = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_leq(dataset->train.labels[i], 9);
        seen[dataset->train.labels[i]]++;
    }
    for (int i = 0; i < 10; i++)
        cr_expect_gt(seen[i], 50, "digit %d came %d times", i, seen[i]);
    for (uint32_t i = 0; i < 1000 * IMAGE_PIXELS; i++)
        ink += dataset->train.images[i] > 127;
    cr_expect(ink > 50 * 1000 && ink < 200 * 1000, "%d dark pixels", ink);
    dataset_close(&dataset);
}
