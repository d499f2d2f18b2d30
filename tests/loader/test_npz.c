/* NumPy archives: each form that is read, and each way to be bad with its own sentence. */
#include "loader/dataset.h"
#include "loader/npz.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

enum { COUNT = 3, SPACE = 64 << 10 };

/* A member of an archive to be. */
struct member {
    const char *name;
    uint8_t bytes[SPACE];
    size_t size;
};

struct archive {
    char folder[64], path[SCRATCH_PATH];
    struct member members[4];
    int count;
    zip_int32_t method;
};

static struct archive archive;

static struct member *add(const char *name) {
    struct member *member = &archive.members[archive.count++];
    member->name = name;
    member->size = 0;
    return member;
}

/* The header of an array, of version 1 or 2. */
static void put_header(struct member *member, int version, const char *type, const char *order,
                       const char *shape) {
    char text[256];
    int size =
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }     \n",
                 type, order, shape);
    uint8_t head[12] = {0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0, (uint8_t)size, 0};
    size_t before = version == 1 ? 10 : 12;
    memcpy(member->bytes, head, before);
    memcpy(member->bytes + before, text, (size_t)size);
    member->size = before + (size_t)size;
}

static void put_byte(struct member *member, int byte) {
    cr_assert_lt(member->size, SPACE);
    member->bytes[member->size++] = (uint8_t)byte;
}

static int pixel(int sample, int at) {
    return (sample * 50 + at) % 251;
}

static struct member *add_images(const char *name, const char *shape) {
    struct member *member = add(name);
    put_header(member, 1, "|u1", "False", shape);
    for (int i = 0; i < COUNT * IMAGE_PIXELS; i++)
        put_byte(member, pixel(i / IMAGE_PIXELS, i % IMAGE_PIXELS));
    return member;
}

/* Labels 4, 5 and 6. */
static struct member *add_labels(const char *name, const char *type, const char *shape, int size) {
    struct member *member = add(name);
    put_header(member, 2, type, "False", shape);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < size; k++)
            put_byte(member, k == (type[0] == '>' ? size - 1 : 0) ? 4 + i : 0);
    return member;
}

static void begin(void) {
    archive.count = 0;
    archive.method = ZIP_CM_DEFLATE;
    scratch_begin(archive.folder);
    snprintf(archive.path, sizeof archive.path, "%s/mnist.npz", archive.folder);
}

static void begin_good(void) {
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    add_labels("y_train.npy", "|u1", "(3,)", 1);
}

static void write_archive(void) {
    int code;
    remove(archive.path);
    zip_t *zip = zip_open(archive.path, ZIP_CREATE, &code);
    cr_assert_not_null(zip);
    for (int i = 0; i < archive.count; i++) {
        struct member *member = &archive.members[i];
        zip_source_t *source = zip_source_buffer(zip, member->bytes, member->size, 0);
        zip_int64_t at = zip_file_add(zip, member->name, source, 0);
        cr_assert_geq(at, 0);
        cr_assert_eq(zip_set_file_compression(zip, (zip_uint64_t)at, archive.method, 0), 0);
    }
    cr_assert_eq(zip_close(zip), 0);
}

static void expect_good(const char *what) {
    struct split split;
    struct error error = {0};
    write_archive();
    cr_expect_eq(npz_read(archive.path, false, &split, &error), 0, "%s: %s", what, error.text);
    if (split.count == COUNT) {
        cr_expect_arr_eq(split.labels, ((uint8_t[]){4, 5, 6}), 3, "%s", what);
        for (int i = 0; i < COUNT * IMAGE_PIXELS; i++)
            cr_assert_eq(split.images[i], pixel(i / IMAGE_PIXELS, i % IMAGE_PIXELS), "%s: %d", what,
                         i);
    }
    cr_expect_eq(split.count, COUNT, "%s", what);
    split_free(&split);
    scratch_end(archive.folder);
}

static void expect_bad(enum error_code code, const char *words) {
    struct split split;
    struct error error = {0};
    write_archive();
    cr_expect_eq(npz_read(archive.path, false, &split, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect(strstr(error.text, archive.path), "no file is named: %s", error.text);
    cr_expect_null(split.memory);
    scratch_end(archive.folder);
}

Test(npz, stored_and_deflated) {
    begin_good();
    expect_good("deflated");
    begin_good();
    archive.method = ZIP_CM_STORE;
    expect_good("stored");
}

Test(npz, shapes_types_and_names) {
    static const char *const shapes[] = {"(3, 784)", "(3, 28, 28, 1)", "(3, 1, 28, 28)",
                                         "(3L, 28L, 28L)"};
    static const struct {
        const char *type, *shape;
        int size;
    } labels[] = {{"<i8", "(3,)", 8}, {">i4", "(3,)", 4}, {"<u2", "(3, 1)", 2}, {"|i1", "(3,)", 1}};
    for (int i = 0; i < 4; i++) {
        begin();
        add_images("X_Train.npy", shapes[i]);
        add_labels("train_labels.npy", labels[i].type, labels[i].shape, labels[i].size);
        expect_good(shapes[i]);
    }
}

/* Pixels as arrays hold them after arithmetic: whole numbers in other types. */
static struct member *add_wide(const char *type, int size) {
    struct member *member = add("x_train.npy");
    put_header(member, 1, type, "False", "(3, 28, 28)");
    for (int i = 0; i < COUNT * IMAGE_PIXELS; i++) {
        int value = pixel(i / IMAGE_PIXELS, i % IMAGE_PIXELS);
        uint64_t bits = (uint64_t)value;
        float single = (float)value;
        double real = value;
        uint32_t low;
        memcpy(&low, &single, sizeof low);
        if (type[1] == 'f' && size == 4)
            bits = low;
        else if (type[1] == 'f')
            memcpy(&bits, &real, sizeof bits);
        for (int k = 0; k < size; k++)
            put_byte(member, (int)(bits >> 8 * (type[0] == '>' ? size - 1 - k : k) & 255));
    }
    return member;
}

Test(npz, pixels_of_other_types) {
    static const char *const types[] = {"<f4", ">f4", "<f8", ">f8", "<i8", ">i2", "<u4", "|i1"};
    for (int i = 0; i < 7; i++) {
        begin();
        add_wide(types[i], types[i][2] - '0');
        add_labels("y_train.npy", "|u1", "(3,)", 1);
        expect_good(types[i]);
    }
    begin();
    add_wide("|i1", 1);
    add_labels("y_train.npy", "|u1", "(3,)", 1);
    expect_bad(ERROR_CORRUPT, "x_train.npy: element 128 is -128, whole numbers 0-255 expected");
    static const struct {
        const char *bytes, *words;
    } odd[] = {
        {"\0\0\0\x3f", "element 0 is 0.5, whole numbers 0-255 expected; pixels scaled to 0-1 must "
                       "be multiplied by 255"},
        {"\0\0\xc0\x7f", "element 0 is nan, whole numbers 0-255 expected"},
        {"\0\0\x80\x7f", "element 0 is inf, whole"},
        {"\0\0\x80\x43", "element 0 is 256, whole"},
        {"\0\0\x80\xbf", "element 0 is -1, whole"},
    };
    for (int i = 0; i < 5; i++) {
        begin();
        struct member *member = add_wide("<f4", 4);
        memcpy(member->bytes + member->size - (size_t)4 * COUNT * IMAGE_PIXELS, odd[i].bytes, 4);
        add_labels("y_train.npy", "|u1", "(3,)", 1);
        expect_bad(ERROR_CORRUPT, odd[i].words);
    }
}

/* The first index moves fastest. */
Test(npz, fortran_order) {
    for (int flat = 0; flat < 2; flat++) {
        begin();
        struct member *images = add("x_train.npy");
        put_header(images, 1, "|u1", "True", flat ? "(3, 784)" : "(3, 28, 28)");
        for (int i = 0; i < IMAGE_PIXELS; i++)
            for (int sample = 0; sample < COUNT; sample++)
                put_byte(images, pixel(sample, flat ? i : i % 28 * 28 + i / 28));
        add_labels("y_train.npy", "|u1", "(3,)", 1);
        expect_good(flat ? "flat" : "square");
    }
}

Test(npz, what_is_missing_is_named_with_what_is_there) {
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    add_images("other.npy", "(3, 28, 28)");
    expect_bad(ERROR_INVALID, ": holds no array y_train; it holds x_train.npy, other.npy");
    begin_good();
    write_archive();
    struct split split;
    struct error error = {0};
    cr_expect_eq(npz_read(archive.path, true, &split, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, ": holds no array x_test; it holds x_train.npy, y_train.npy; "
                                 "HOLD_OUT=N (--hold-out) scores N training images"),
              "%s", error.text);
    scratch_end(archive.folder);
}

Test(npz, types_and_shapes_that_cannot_be) {
    begin();
    put_header(add("x_train.npy"), 1, "<c8", "False", "(3, 28, 28)");
    expect_bad(ERROR_CORRUPT, "x_train.npy: holds elements of type <c8, unsigned bytes 0-255");
    begin();
    put_header(add("x_train.npy"), 1, "|u1", "False", "(3, 32, 32)");
    expect_bad(ERROR_CORRUPT,
               "x_train.npy: its shape is (3, 32, 32), that of images: (n, 28, 28), (n, 784)");
    begin();
    put_header(add("x_train.npy"), 1, "|u1", "False", "(3, 14, 56)");
    expect_bad(ERROR_CORRUPT, "x_train.npy: its shape is (3, 14, 56), that of images");
    begin();
    put_header(add("x_train.npy"), 1, "|u1", "False", "(1, 2, 3, 4, 5)");
    expect_bad(ERROR_CORRUPT,
               "x_train.npy: its shape is (1, 2, 3, 4, 5), that of images or labels expected");
    begin();
    put_header(add("x_train.npy"), 1, "|u1", "False", "(99999999999, 28, 28)");
    expect_bad(ERROR_CORRUPT, "x_train.npy: its shape is (99999999999, 28, 28), that of");
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    add_labels("y_train.npy", "<f8", "(3,)", 8);
    expect_bad(ERROR_CORRUPT,
               "y_train.npy: whole numbers of shape (n) expected, it holds type <f8");
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    add_labels("y_train.npy", "|u1", "(3, 10)", 10);
    expect_bad(ERROR_CORRUPT, "y_train.npy: whole numbers of shape (n) expected");
    begin();
    add_images("x_train.npy", "(3, 28, 28)")->bytes[0] = 'x';
    expect_bad(ERROR_CORRUPT, "x_train.npy: is no NumPy array of version 1 to 3");
    begin();
    add_images("x_train.npy", "(3, 28, 28)")->bytes[9] = 255;
    expect_bad(ERROR_CORRUPT, "x_train.npy: its header is longer than it may be");
}

Test(npz, sizes_that_lie) {
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    add_labels("y_train.npy", "|u1", "(2,)", 1);
    expect_bad(ERROR_CORRUPT, ": 2 labels in y_train.npy, but 3 images in x_train.npy");
    begin();
    add_images("x_train.npy", "(9999999, 28, 28)");
    add_labels("y_train.npy", "|u1", "(9999999,)", 1);
    expect_bad(ERROR_CORRUPT, "x_train.npy: 2352 bytes of elements, but its shape announces "
                              "7839999216");
    begin_good();
    put_byte(&archive.members[0], 0);
    expect_bad(ERROR_CORRUPT, "x_train.npy: 2353 bytes of elements, but its shape announces 2352");
    begin();
    put_header(add("x_train.npy"), 1, "|u1", "False", "(0, 28, 28)");
    put_header(add("y_train.npy"), 1, "|u1", "False", "(0,)");
    expect_bad(ERROR_CORRUPT, "holds no samples");
    begin_good();
    archive.members[1].bytes[archive.members[1].size - 1] = 10;
    expect_bad(ERROR_CORRUPT, "y_train.npy: label 10 of sample 2, 0-9 expected");
    begin();
    add_images("x_train.npy", "(3, 28, 28)");
    struct member *labels = add_labels("y_train.npy", "<i2", "(3,)", 2);
    memset(labels->bytes + labels->size - 2, 255, 2);
    expect_bad(ERROR_CORRUPT, "y_train.npy: label -1 of sample 2, 0-9 expected");
}

static void damage(size_t at, const char *words) {
    struct split split;
    struct error error = {0};
    uint8_t bytes[SPACE];
    begin_good();
    archive.method = ZIP_CM_STORE;
    write_archive();
    FILE *file = fopen(archive.path, "r+e");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    cr_assert_gt(size, at);
    rewind(file);
    bytes[at] ^= 1;
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    cr_expect_eq(npz_read(archive.path, false, &split, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, ERROR_CORRUPT, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    scratch_end(archive.folder);
}

Test(npz, damage_is_found) {
    damage(1000, "x_train.npy: CRC error");
}

Test(npz, other_files_are_named) {
    struct split split;
    struct error error = {0};
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    scratch_write(folder, "a.npz", "<html>", path);
    cr_expect_eq(npz_read(path, false, &split, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "/a.npz: is a web page (HTML), not a NumPy archive (.npz): the "
                                 "download went wrong"),
              "%s", error.text);
    scratch_write(folder, "b.npz", "PK\3\4 cut short", path);
    cr_expect_eq(npz_read(path, false, &split, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "/b.npz: is a NumPy archive (.npz) that is cut short: "), "%s",
              error.text);
    scratch_end(folder);
    cr_expect_eq(npz_read(path, false, &split, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "/b.npz: there is no such file"), "%s", error.text);
}

/* Keras's cache is looked at for MNIST, and passed over where it holds something else. */
Test(npz, keras_cache_is_found) {
    char path[PATH_MAX], name[SCRATCH_PATH];
    begin_good();
    setenv("KERAS_HOME", archive.folder, 1);
    cr_expect_not(fetch_find_keras(path));
    write_archive();
    snprintf(name, sizeof name, "%s/datasets", archive.folder);
    cr_assert_eq(mkdir(name, 0700), 0);
    snprintf(name, sizeof name, "%s/datasets/mnist.npz", archive.folder);
    cr_assert_eq(rename(archive.path, name), 0);
    cr_expect(fetch_find_keras(path));
    cr_expect_str_eq(path, name);
    setenv("MNIST_DIR", "/nowhere", 1);
    setenv("XDG_CACHE_HOME", archive.folder, 1);
    setenv("DIGITSUM_MIRRORS", "http://127.0.0.1:1/", 1);
    cr_assert_eq(chdir(archive.folder), 0);
    struct dataset_request request = {.data = "mnist"};
    struct error error = {0};
    cr_expect_null(dataset_open(&request, &error));
    cr_expect(strstr(error.text, "127.0.0.1"), "the download is tried: %s", error.text);
    scratch_end(archive.folder);
}

Test(npz, is_a_dataset_by_its_path) {
    static const char *const words[] = {"npz:", ""};
    begin_good();
    write_archive();
    for (int i = 0; i < 4; i++) {
        char data[SCRATCH_PATH + 8];
        struct error error = {0};
        snprintf(data, sizeof data, "%s%s", words[i / 2], i % 2 ? archive.folder : archive.path);
        struct dataset_request request = {.data = data};
        cr_expect_null(dataset_open(&request, &error));
        cr_expect(strstr(error.text, "holds no array x_test"), "%s", error.text);
        request.hold_out = 1;
        struct dataset *dataset = dataset_open(&request, &error);
        cr_expect_not_null(dataset, "%s: %s", data, error.text);
        cr_expect(dataset && dataset->train.count == 2 && dataset->test.count == 1);
        dataset_close(&dataset);
    }
    scratch_end(archive.folder);
}
