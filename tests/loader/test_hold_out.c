/* Holding training samples out, alone and through the door to datasets. */
#include "loader/dataset.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Sample i has the pixels and the label of i. */
static void fill(struct split *split, uint32_t count) {
    struct error error;
    cr_assert_eq(split_allocate(split, count, "test", &error), 0);
    for (uint32_t i = 0; i < count; i++) {
        memset(split->memory + (size_t)i * IMAGE_PIXELS, (int)(i % 251), IMAGE_PIXELS);
        split->memory[(size_t)count * IMAGE_PIXELS + i] = (uint8_t)(i / (count / 10 + 1));
    }
}

/* Each sample of 0 … count-1 is in one of the two, once, in order, with its own label. */
static void check_partition(uint32_t count, uint32_t out) {
    struct split split, held = {0}, whole;
    struct error error = {0};
    fill(&split, count);
    fill(&whole, count);
    cr_assert_eq(split_hold_out(&split, out, &held, "test", &error), 0, "%s", error.text);
    cr_assert_eq(split.count, count - out);
    cr_assert_eq(held.count, out);
    uint32_t kept = 0, taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *pixels = whole.images + (size_t)i * IMAGE_PIXELS;
        bool in_held = taken < out && held.labels[taken] == whole.labels[i] &&
                       !memcmp(held.images + (size_t)taken * IMAGE_PIXELS, pixels, IMAGE_PIXELS);
        bool in_split = kept < split.count && split.labels[kept] == whole.labels[i] &&
                        !memcmp(split.images + (size_t)kept * IMAGE_PIXELS, pixels, IMAGE_PIXELS);
        cr_assert_neq(in_held, in_split, "sample %u of %u", i, count);
        *(in_held ? &taken : &kept) += 1;
    }
    split_free(&split);
    split_free(&held);
    split_free(&whole);
}

Test(hold_out, every_sample_is_on_one_side) {
    check_partition(120, 10);
    check_partition(101, 7);
    check_partition(200, 199);
    check_partition(2, 1);
}

Test(hold_out, is_spread_over_sorted_labels) {
    struct split split, held = {0};
    struct error error;
    uint32_t labels[10] = {0};
    fill(&split, 1000);
    cr_assert_eq(split_hold_out(&split, 100, &held, "test", &error), 0);
    for (uint32_t i = 0; i < held.count; i++)
        labels[held.labels[i]]++;
    for (int label = 0; label < 10; label++)
        cr_expect(labels[label] >= 9 && labels[label] <= 11, "label %d: %u", label, labels[label]);
    split_free(&split);
    split_free(&held);
}

/* Every other sample of MNIST is from a writer who is easier to read: taking each k-th would take
 * one kind alone. */
Test(hold_out, follows_no_period) {
    for (uint32_t period = 2; period <= 5; period++) {
        struct split split, held = {0};
        struct error error;
        uint32_t seen[5] = {0};
        fill(&split, 12000);
        for (uint32_t i = 0; i < split.count; i++)
            split.memory[(size_t)split.count * IMAGE_PIXELS + i] = (uint8_t)(i % period);
        cr_assert_eq(split_hold_out(&split, 1000, &held, "test", &error), 0);
        for (uint32_t i = 0; i < held.count; i++)
            seen[held.labels[i]]++;
        /* 1,000 / period on average; five standard deviations are at most 79. */
        for (uint32_t k = 0; k < period; k++)
            cr_expect(abs((int)seen[k] - 1000 / (int)period) < 80, "%u of 1,000 are %u mod %u",
                      seen[k], k, period);
        split_free(&split);
        split_free(&held);
    }
}

/* A run is resumed, and verified, with those that it began with. */
Test(hold_out, are_the_same_ever_after) {
    static const uint8_t expected[8] = {21, 28, 62, 94, 116, 139, 169, 186};
    struct split split, held = {0};
    struct error error;
    fill(&split, 200);
    cr_assert_eq(split_hold_out(&split, 8, &held, "test", &error), 0);
    for (uint32_t i = 0; i < held.count; i++)
        cr_expect_eq(held.images[(size_t)i * IMAGE_PIXELS], expected[i], "%u: %u", i,
                     held.images[(size_t)i * IMAGE_PIXELS]);
    split_free(&split);
    split_free(&held);
}

Test(hold_out, must_leave_something) {
    struct split split, held = {0};
    struct error error;
    fill(&split, 50);
    cr_expect_eq(split_hold_out(&split, 50, &held, "here", &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "here: 50 of 50 training images cannot be held out: at least one "
                                 "must be left");
    cr_expect_eq(split.count, 50);
    cr_expect_eq(split_hold_out(&split, 0, &held, "here", &error), 0);
    cr_expect_eq(held.count, 0);
    split_free(&split);
}

Test(hold_out, is_another_dataset_and_says_so) {
    struct error error = {0};
    struct dataset *sets[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct dataset_request request = {.data = "synthetic", .hold_out = 300 * i};
        if (i == 0)
            request.train_limit = 1000, request.test_limit = 100;
        else
            request.train_limit = 900, request.test_limit = 50 * i;
        sets[i] = dataset_open(&request, &error);
        cr_assert_not_null(sets[i], "%s", error.text);
        cr_expect(sets[i]->synthetic);
    }
    cr_expect_str_eq(sets[0]->name, "synthetic digits");
    cr_expect_str_eq(sets[1]->name, "synthetic digits, 300 training images held out");
    cr_expect_eq(sets[1]->train.count, 900);
    cr_expect_eq(sets[1]->test.count, 50, "the limits come after the holding out");
    cr_expect_eq(sets[2]->test.count, 100);
    for (int i = 0; i < 3; i++)
        cr_expect(memcmp(sets[i]->sha256, sets[(i + 1) % 3]->sha256, SHA256_SIZE));
    for (int i = 0; i < 3; i++)
        dataset_close(&sets[i]);
}

static void put(const char *folder, const char *name, const uint8_t head[], size_t head_size,
                size_t count) {
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fwrite(head, 1, head_size, file);
    for (size_t i = 0; i < count; i++)
        fputc((int)(i % 7), file);
    cr_assert_eq(fclose(file), 0);
}

/* Three samples in each split. */
static void put_dataset(const char *folder) {
    static const uint8_t images[16] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28};
    static const uint8_t labels[8] = {0, 0, 8, 1, 0, 0, 0, 3};
    put(folder, "train-images-idx3-ubyte", images, 16, (size_t)3 * IMAGE_PIXELS);
    put(folder, "t10k-images-idx3-ubyte", images, 16, (size_t)3 * IMAGE_PIXELS);
    put(folder, "train-labels-idx1-ubyte", labels, 8, 3);
    put(folder, "t10k-labels-idx1-ubyte", labels, 8, 3);
}

Test(hold_out, needs_no_test_split) {
    char folder[64], data[80], path[SCRATCH_PATH];
    scratch_begin(folder);
    put_dataset(folder);
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", folder);
    cr_assert_eq(remove(path), 0);
    for (int bare = 0; bare < 2; bare++) {
        struct error error = {0};
        snprintf(data, sizeof data, "%s%s", bare ? "" : "idx:", folder);
        struct dataset_request request = {.data = data};
        cr_expect_null(dataset_open(&request, &error));
        cr_expect_eq(error.code, ERROR_INVALID);
        cr_expect(strstr(error.text, "holds no t10k-labels-idx1-ubyte"), "%s", error.text);
        request.hold_out = 1;
        struct dataset *dataset = dataset_open(&request, &error);
        cr_assert_not_null(dataset, "%s", error.text);
        cr_expect_eq(dataset->train.count, 2);
        cr_expect_eq(dataset->test.count, 1);
        dataset_close(&dataset);
    }
    scratch_end(folder);
}

/* The hash follows the turned images; twice turned they are as before. */
Test(transpose, is_another_dataset_and_says_so) {
    struct error error = {0};
    struct dataset *sets[3];
    for (int i = 0; i < 3; i++) {
        struct dataset_request request = {
            .data = "synthetic", .train_limit = 50, .test_limit = 5, .transpose = i > 0};
        request.hold_out = i == 2 ? 9 : 0;
        sets[i] = dataset_open(&request, &error);
        cr_assert_not_null(sets[i], "%s", error.text);
    }
    cr_expect_str_eq(sets[0]->name, "synthetic digits");
    cr_expect_str_eq(sets[1]->name, "synthetic digits, transposed");
    cr_expect_str_eq(sets[2]->name, "synthetic digits, transposed, 9 training images held out");
    cr_expect(memcmp(sets[0]->sha256, sets[1]->sha256, SHA256_SIZE));
    for (int i = 0; i < IMAGE_PIXELS; i++)
        cr_assert_eq(sets[0]->train.images[49 * IMAGE_PIXELS + i],
                     sets[1]->train.images[49 * IMAGE_PIXELS + i % 28 * 28 + i / 28], "pixel %d",
                     i);
    split_transpose(&sets[1]->train);
    split_transpose(&sets[1]->test);
    cr_expect_eq(memcmp(sets[0]->train.images, sets[1]->train.images, 50 * IMAGE_PIXELS), 0);
    cr_expect_eq(memcmp(sets[0]->test.images, sets[1]->test.images, 5 * IMAGE_PIXELS), 0);
    for (int i = 0; i < 3; i++)
        dataset_close(&sets[i]);
}

/* Files of EMNIST's names ask for it, unless it is asked for. */
Test(transpose, is_suggested_for_emnist) {
    static const char *const from[] = {"train-images-idx3-ubyte", "t10k-images-idx3-ubyte",
                                       "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"};
    static const char *const to[] = {"train-images-idx3-ubyte", "test-images-idx3-ubyte",
                                     "train-labels-idx1-ubyte", "test-labels-idx1-ubyte"};
    char folder[64], data[80], one[SCRATCH_PATH], other[SCRATCH_PATH];
    scratch_begin(folder);
    put_dataset(folder);
    for (int i = 0; i < 4; i++) {
        snprintf(one, sizeof one, "%s/%s", folder, from[i]);
        snprintf(other, sizeof other, "%s/emnist-digits-%s", folder, to[i]);
        cr_assert_eq(rename(one, other), 0);
    }
    snprintf(data, sizeof data, "idx:%s", folder);
    for (int transposed = 0; transposed < 2; transposed++) {
        struct dataset_request request = {.data = data, .transpose = transposed};
        struct error error = {0};
        struct dataset *dataset = dataset_open(&request, &error);
        cr_assert_not_null(dataset, "%s", error.text);
        bool suggested = false;
        for (int i = 0; i < dataset->notices.count; i++)
            suggested |= strstr(dataset->notices.texts[i], "TRANSPOSE=1") != NULL;
        cr_expect_eq(suggested, !transposed);
        dataset_close(&dataset);
    }
    scratch_end(folder);
}

/* Reports and plots cut the end of a long name. */
static void check_long_name(const char *odd) {
    static const char what[] = "..., 2 training images held out";
    char scratch[64], folder[300], data[310];
    struct error error = {0};
    scratch_begin(scratch);
    int length = snprintf(folder, sizeof folder, "%s/%s", scratch, odd);
    for (int i = 0; i < 60; i++)
        length += snprintf(folder + length, sizeof folder - (size_t)length, "é");
    cr_assert_eq(mkdir(folder, 0700), 0);
    put_dataset(folder);
    snprintf(data, sizeof data, "idx:%s", folder);
    struct dataset_request request = {.data = data, .hold_out = 2};
    struct dataset *dataset = dataset_open(&request, &error);
    cr_assert_not_null(dataset, "%s", error.text);
    size_t size = strlen(dataset->name), kept = size - strlen(what);
    cr_expect(size > 116 && size <= 120, "%zu bytes", size);
    cr_expect_str_eq(dataset->name + kept, what);
    cr_expect_eq(memcmp(dataset->name, data, kept), 0);
    cr_expect_eq(memcmp(dataset->name + kept - 2, "é", 2), 0, "no half of a character");
    dataset_close(&dataset);
    request.hold_out = 3;
    cr_expect_null(dataset_open(&request, &error));
    cr_expect(strstr(error.text, ": 3 of 3 training images cannot be held out"), "%s", error.text);
    scratch_end(scratch);
}

Test(hold_out, is_named_within_what_reports_show) {
    check_long_name("");
    check_long_name("x");
}
