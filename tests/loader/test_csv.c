/* Tables of pixels as they are found: read, or refused at a line and a column. */
#include "loader/csv.h"
#include "loader/dataset.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SPACE = 1 << 20 };

static char text[SPACE];
static size_t used;

static void begin(void) {
    used = 0;
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    used += (size_t)vsnprintf(text + used, SPACE - used, format, arguments);
    va_end(arguments);
    cr_assert_lt(used, SPACE);
}

/* `count` pixels, of which the first is `first` and each next one more, parted by `delimiter`. */
static void add_pixels(int count, int first, char delimiter) {
    for (int i = 0; i < count; i++)
        add("%s%d", i ? (char[]){delimiter, 0} : "", (first + i) % 256);
}

static void add_row(int label, int first, const char *end) {
    add("%d,", label);
    add_pixels(IMAGE_PIXELS, first, ',');
    add("%s", end);
}

static int read_text(const char *name, struct split *split, struct error *error) {
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile zipped = strstr(name, ".gz") ? gzopen(path, "wb") : gzopen(path, "wbT");
    cr_assert_eq(gzwrite(zipped, text, (unsigned)used), (int)used);
    cr_assert_eq(gzclose(zipped), Z_OK);
    int status = csv_read(path, split, error);
    scratch_end(folder);
    return status;
}

/* Expects two images: label 7 with pixels from 3, label 0 with pixels from 250. */
static void expect_two(const char *what) {
    for (int gzip = 0; gzip < 2; gzip++) {
        struct split split;
        struct error error = {0};
        cr_expect_eq(read_text(gzip ? "t.csv.gz" : "t.csv", &split, &error), 0, "%s: %s", what,
                     error.text);
        cr_expect_eq(split.count, 2, "%s", what);
        for (int i = 0; split.count == 2 && i < IMAGE_PIXELS; i++) {
            cr_assert_eq(split.images[i], (3 + i) % 256, "%s: pixel %d", what, i);
            cr_assert_eq(split.images[IMAGE_PIXELS + i], (250 + i) % 256, "%s: pixel %d", what, i);
        }
        if (split.count == 2)
            cr_expect_arr_eq(split.labels, ((uint8_t[]){7, 0}), 2, "%s", what);
        split_free(&split);
    }
}

static void add_header(const char *first, const char *format) {
    add("%s", first);
    for (int i = 0; i < IMAGE_PIXELS; i++) {
        add("%s", i || first[0] ? "," : "");
        if (strchr(format, 'x'))
            add(format, i / 28 + 1, i % 28 + 1);
        else
            add(format, i);
    }
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

Test(csv, without_a_header) {
    static const char *const ends[] = {"\n", "\r\n", "\r", "  \n"};
    for (int i = 0; i < 4; i++) {
        begin();
        add_row(7, 3, ends[i]);
        add_row(0, 250, ends[i]);
        expect_two("rows");
        add("%s%s", ends[i], ends[i]);
        expect_two("blank lines at the end");
    }
    begin();
    add_row(7, 3, "\n");
    add_row(0, 250, "");
    expect_two("no end of the last line");
}

Test(csv, headers_of_kaggle_and_others) {
    begin();
    add_header("\xef\xbb\xbflabel", "pixel%d");
    add("\r\n");
    add_row(7, 3, "\r\n");
    add_row(0, 250, "\r\n");
    expect_two("Kaggle, with a byte order mark");
    begin();
    add_header("label", "%dx%d");
    add("\n");
    add_row(7, 3, "\n");
    add_row(0, 250, "\n");
    expect_two("1x1, 1x2");
    begin();
    add_header("", "pixel%d");
    add(",class\n");
    add_pixels(IMAGE_PIXELS, 3, ',');
    add(",7\n");
    add_pixels(IMAGE_PIXELS, 250, ',');
    add(",0\n");
    expect_two("the label last");
    begin();
    add_header(",Label", "p%d");
    add("\n0,");
    add_row(7, 3, "\n1,");
    add_row(0, 250, "\n");
    expect_two("numbers of the rows");
}

Test(csv, delimiters_and_quotes) {
    for (int i = 0; i < 2; i++) {
        char delimiter = ";\t"[i];
        begin();
        add("7%c", delimiter);
        add_pixels(IMAGE_PIXELS, 3, delimiter);
        add("\n0%c", delimiter);
        add_pixels(IMAGE_PIXELS, 250, delimiter);
        expect_two("another delimiter");
    }
    begin();
    for (int row = 0; row < 2; row++) {
        add("\"%d\"", row ? 0 : 7);
        for (int i = 0; i < IMAGE_PIXELS; i++)
            add(i % 3 ? ", \"%d\"" : i % 2 ? ",%d.0 " : ",%d", ((row ? 250 : 3) + i) % 256);
        add("\n");
    }
    expect_two("quotes, blanks and .0");
    begin();
    for (int row = 0; row < 2; row++) {
        add("%.18e", row ? 0.0 : 7.0);
        for (int i = 0; i < IMAGE_PIXELS; i++)
            add(",%.18e", (double)(((row ? 250 : 3) + i) % 256));
        add("\n");
    }
    expect_two("as numpy.savetxt writes them");
}

/* As Excel and numpy.savetxt write them. */
Test(csv, first_lines_and_blanks) {
    static const char *const first[] = {"sep=,\n", "sep=,\r\n"};
    for (int i = 0; i < 2; i++) {
        begin();
        add("%s", first[i]);
        add_row(7, 3, "\n");
        add_row(0, 250, "\n");
        expect_two("sep=,");
    }
    begin();
    add("7 ");
    add_pixels(IMAGE_PIXELS, 3, ' ');
    add("\n0 ");
    add_pixels(IMAGE_PIXELS, 250, ' ');
    expect_two("a blank as delimiter");
}

/* Rows of `first`, 783 pixels, and `last`, for two images. */
static void add_between(int first, int last) {
    add("%d,", first);
    add_pixels(IMAGE_PIXELS - 1, 3, ',');
    add(",%d\n", last);
}

Test(csv, labels_at_the_end_without_a_header) {
    struct split split;
    struct error error = {0};
    begin();
    add_between(5, 7);
    add_between(5, 0);
    cr_assert_eq(read_text("t.csv", &split, &error), 0, "%s", error.text);
    cr_assert_eq(split.count, 2);
    cr_expect_arr_eq(split.labels, ((uint8_t[]){7, 0}), 2);
    for (int image = 0; image < 2; image++)
        for (int i = 0; i < IMAGE_PIXELS; i++)
            cr_assert_eq(split.images[image * IMAGE_PIXELS + i], i ? (2 + i) % 256 : 5);
    split_free(&split);
    /* Ten or more is no label, and so is a column of one value. */
    for (int last = 7; last <= 10; last += 3) {
        begin();
        add_between(5, 7);
        add_between(5, last);
        cr_assert_eq(read_text("t.csv", &split, &error), 0, "%s", error.text);
        cr_expect_arr_eq(split.labels, ((uint8_t[]){5, 5}), 2);
        split_free(&split);
    }
}

static void refused_as(enum error_code code, const char *words) {
    struct split split;
    struct error error = {0};
    cr_expect_eq(read_text("t.csv", &split, &error), -1, "expected '%s'", words);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect_null(split.memory);
}

static void refused(const char *words) {
    refused_as(ERROR_CORRUPT, words);
}

Test(csv, what_is_wrong_is_said_with_its_place) {
    begin();
    add_row(7, 3, "\n");
    add("3,");
    add_pixels(9, 3, ',');
    add(",x12,");
    add_pixels(IMAGE_PIXELS - 10, 0, ',');
    refused("/t.csv:2:11: 'x12', a whole number 0-255 expected");
    begin();
    add_row(7, 3, "\n");
    add("3,256,");
    add_pixels(IMAGE_PIXELS - 1, 0, ',');
    refused("/t.csv:2:2: '256', a whole number 0-255 expected");
    begin();
    add("7,0.5,");
    add_pixels(IMAGE_PIXELS - 1, 0, ',');
    refused("/t.csv:1:2: '0.5', a whole number 0-255 expected; pixels scaled to 0-1 must be "
            "multiplied by 255");
    static const char *const odd[] = {"0x7", "1e999", "nan", "-1", "2.5e0", "1 2", "\"7", "7\""};
    for (int i = 0; i < 8; i++) {
        begin();
        add_row(7, 3, "\n");
        add("3,%s,", odd[i]);
        add_pixels(IMAGE_PIXELS - 1, 0, ',');
        refused("/t.csv:2:2: '");
    }
    begin();
    add("7,,");
    add_pixels(IMAGE_PIXELS - 1, 0, ',');
    refused("/t.csv:1:2: '', a whole number 0-255 expected");
    begin();
    add("7,nan,");
    add_pixels(IMAGE_PIXELS - 1, 0, ',');
    refused("/t.csv:1:2: 'nan', a whole number 0-255 expected");
    begin();
    add_row(7, 3, ",1\n");
    refused("/t.csv:1: 786 columns, 785 expected: a label and 784 pixels");
    begin();
    add_row(7, 3, "\n");
    add_row(7, 3, ",1,2\n");
    refused("/t.csv:2: 787 columns, 785 expected");
    begin();
    add_row(7, 3, "\n");
    add("3,1,2\n");
    refused("/t.csv:2: 3 columns, 785 expected");
    begin();
    add_header("other", "pixel%d");
    add("\n");
    add_row(7, 3, "\n");
    refused("/t.csv:1: no column is called label, class, digit, target or y");
    begin();
    add_row(1, 3, "\n");
    add_row(26, 3, "\n");
    refused("/t.csv:2:1: label 26, 0-9 expected; labels 1-26 are those of EMNIST letters");
}

Test(csv, tables_without_labels) {
    begin();
    add_header("", "pixel%d");
    add("\n");
    add_pixels(IMAGE_PIXELS, 3, ',');
    refused_as(ERROR_INVALID, "/t.csv: has 784 columns and none of labels, as Kaggle's test.csv");
    begin();
    add_pixels(IMAGE_PIXELS, 3, ',');
    refused_as(ERROR_INVALID, "/t.csv: has 784 columns and none of labels");
}

Test(csv, what_is_no_table) {
    begin();
    refused("/t.csv: is empty, not a CSV file");
    add("<!DOCTYPE html>");
    refused("/t.csv: is a web page (HTML), not a CSV file: the download went wrong");
    begin();
    add("\xff\xfel");
    refused("/t.csv: is text in UTF-16, not a CSV file: save it as UTF-8");
    begin();
    add("a\1b");
    refused("/t.csv: is not text, a CSV file expected");
    begin();
    add_header("label", "pixel%d");
    refused("/t.csv: holds no samples");
}

/* Nothing that is large by itself is kept: a line, blank lines. */
Test(csv, is_bounded) {
    begin();
    memset(text, '1', SPACE);
    used = SPACE;
    refused("/t.csv:1: a line longer than 65536 bytes");
    memset(text, ' ', SPACE);
    text[0] = '1';
    refused("/t.csv:1: a line longer than 65536 bytes");
    memset(text, ' ', SPACE);
    refused("/t.csv:1: a line longer than 65536 bytes");
    memset(text, '\n', SPACE);
    refused("/t.csv:1002: more than 1000 blank lines");
    memset(text, ',', SPACE);
    refused("/t.csv:1: a line longer than 65536 bytes");
}

/* --- as a dataset ----------------------------------------------------------------------------- */

static void put(const char *folder, const char *name, int rows) {
    char path[SCRATCH_PATH];
    begin();
    for (int i = 0; i < rows; i++)
        add_row(i % 10, i, "\n");
    scratch_write(folder, name, text, path);
}

static struct dataset *open_in(const char *word, const char *folder, const char *name,
                               uint32_t hold_out, struct error *error) {
    char data[SCRATCH_PATH];
    snprintf(data, sizeof data, "%s%s/%s", word, folder, name);
    struct dataset_request request = {.data = data, .hold_out = hold_out};
    memset(error, 0, sizeof *error);
    return dataset_open(&request, error);
}

static void expect_opened(const char *word, const char *folder, const char *name, uint32_t hold_out,
                          uint32_t train, uint32_t test) {
    struct error error;
    struct dataset *dataset = open_in(word, folder, name, hold_out, &error);
    cr_expect_not_null(dataset, "%s%s: %s", word, name, error.text);
    cr_expect_eq(error.code, ERROR_NONE, "%s%s: %s", word, name, error.text);
    if (dataset) {
        cr_expect_eq(dataset->train.count, train, "%s%s: %u", word, name, dataset->train.count);
        cr_expect_eq(dataset->test.count, test, "%s%s: %u", word, name, dataset->test.count);
    }
    dataset_close(&dataset);
}

static void expect_refused(const char *word, const char *folder, const char *name,
                           const char *words) {
    struct error error;
    struct dataset *dataset = open_in(word, folder, name, 0, &error);
    cr_expect_null(dataset, "%s%s", word, name);
    cr_expect_eq(error.code, ERROR_INVALID, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    dataset_close(&dataset);
}

Test(csv, is_a_dataset_by_its_names) {
    char folder[64];
    scratch_begin(folder);
    put(folder, "digits.csv", 30);
    expect_refused("csv:", folder, "",
                   ": holds no train.csv or mnist_train.csv, plain or .gz; it "
                   "holds digits.csv");
    expect_refused("", folder, "digits.csv", "/digits.csv: its name says of no split");
    expect_opened("", folder, "digits.csv", 10, 20, 10);
    put(folder, "Mnist_Train.CSV", 20);
    expect_refused("csv:", folder, "",
                   ": holds no test.csv beside Mnist_Train.CSV; it holds "
                   "Mnist_Train.CSV, digits.csv; HOLD_OUT=N");
    expect_opened("", folder, "", 5, 15, 5);
    put(folder, "mnist_test.csv", 10);
    put(folder, "sample_submission.csv", 1);
    expect_opened("csv:", folder, "", 0, 20, 10);
    expect_opened("", folder, "", 0, 20, 10);
    expect_opened("", folder, "mnist_test.csv", 0, 20, 10);
    expect_refused("png:", folder, "", "; did you mean csv:");
    expect_refused("idx:", folder, "", "; did you mean csv:");
    put(folder, "emnist-digits-train.csv", 40);
    put(folder, "emnist-digits-test.csv", 4);
    expect_opened("", folder, "", 0, 20, 10);
    expect_opened("", folder, "emnist-digits-train.csv", 0, 40, 4);
    scratch_end(folder);
}
