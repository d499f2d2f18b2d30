/* PNG trees: what is an image of 28×28 is read, everything else is refused by name and reason. */
#include "loader/png.h"
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

static void refused(const char *folder, const char *words) {
    struct split split;
    struct error error = {0};
    cr_expect_eq(png_read_split(folder, "train", &split, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect(strstr(error.text, folder), "no file is named: %s", error.text);
}

Test(png, tree_in_order_and_converted) {
    char folder[64];
    struct split split;
    struct error error;
    scratch_begin(folder);
    write_png(folder, 7, "b.png", 28, 28, PNG_FORMAT_GRAY, 20);
    write_png(folder, 7, "a.png", 28, 28, PNG_FORMAT_GRAY, 10);
    write_png(folder, 3, "z.png", 28, 28, PNG_FORMAT_RGB, 200);
    cr_assert_eq(png_read_split(folder, "train", &split, &error), 0, "%s", error.text);
    cr_assert_eq(split.count, 3);
    cr_expect_arr_eq(split.labels, ((uint8_t[]){3, 7, 7}), 3);
    cr_expect_eq(split.images[0], 200);
    cr_expect_eq(split.images[IMAGE_PIXELS], 10);
    cr_expect_eq(split.images[3 * IMAGE_PIXELS - 1], 20);
    split_free(&split);
    scratch_end(folder);
}

Test(png, other_size) {
    char folder[64];
    scratch_begin(folder);
    write_png(folder, 1, "wide.png", 29, 28, PNG_FORMAT_GRAY, 1);
    refused(folder, "29");
    scratch_end(folder);
}

Test(png, text_file_and_damage) {
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
Test(png, bomb) {
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

Test(png, nothing_there) {
    char folder[64];
    struct split split;
    struct error error;
    scratch_begin(folder);
    cr_expect_eq(png_read_split(folder, "train", &split, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    char path[SCRATCH_PATH];
    path_of(folder, 1, "x", path, sizeof path);
    refused(folder, "sample");
    scratch_end(folder);
}
