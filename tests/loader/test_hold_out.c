/* Holding training samples out, alone and through the door to datasets. */
#include "loader/dataset.h"

#include <criterion/criterion.h>
#include <string.h>

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
