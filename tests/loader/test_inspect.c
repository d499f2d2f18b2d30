/* What is suspicious about a dataset: one sentence for each kind, and none for a good one. */
#include "loader/dataset.h"
#include "loader/inspect.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 600, TEST = 200, BORDER = 2 };

static struct dataset dataset;

/* Images that all differ, ink within a black border, labels in turn. */
static void draw(struct split *split, uint32_t count, uint32_t first) {
    struct error error;
    cr_assert_eq(split_allocate(split, count, "test", &error), 0, "%s", error.text);
    memset(split->memory, 0, (size_t)count * IMAGE_PIXELS);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *image = split->memory + (size_t)i * IMAGE_PIXELS;
        for (int bit = 0; bit < 16; bit++)
            image[(BORDER + bit) * IMAGE_COLUMNS + 10] = (first + i) >> bit & 1 ? 255 : 100;
        split->memory[(size_t)count * IMAGE_PIXELS + i] = (uint8_t)(i % 10);
    }
}

static uint8_t *image(struct split *split, uint32_t i) {
    return split->memory + (size_t)i * IMAGE_PIXELS;
}

static uint8_t *labels(struct split *split) {
    return split->memory + (size_t)split->count * IMAGE_PIXELS;
}

static void setup(void) {
    dataset = (struct dataset){.name = "idx:here"};
    draw(&dataset.train, TRAIN, 0);
    draw(&dataset.test, TEST, TRAIN);
}

static void teardown(void) {
    split_free(&dataset.train);
    split_free(&dataset.test);
}

TestSuite(inspect, .init = setup, .fini = teardown);

/* That exactly these sentences are given; NULL-ended. */
static void expect(const char *const *sentences) {
    inspect_dataset(&dataset);
    int count = 0;
    for (; sentences[count]; count++)
        if (count < dataset.notices.count)
            cr_expect_str_eq(dataset.notices.texts[count], sentences[count]);
    cr_expect_eq(dataset.notices.count, count, "%d sentences", dataset.notices.count);
}
#define EXPECT(...) expect((const char *const[]){__VA_ARGS__, NULL})

Test(inspect, nothing_to_say) {
    EXPECT(NULL);
}

Test(inspect, our_own_digits_and_mnist_are_fine) {
    static const char *const names[] = {"synthetic", "auto"};
    for (int i = 0; i < 2; i++) {
        struct error error;
        struct dataset_request request = {
            .data = names[i], .train_limit = 6000, .test_limit = 1000};
        struct dataset *good = dataset_open(&request, &error);
        cr_assert_not_null(good, "%s", error.text);
        cr_expect_eq(good->notices.count, 0, "%s: %s", names[i], good->notices.texts[0]);
        dataset_close(&good);
    }
}

Test(inspect, missing_and_rare_digits) {
    for (uint32_t i = 0; i < TRAIN; i++)
        if (i % 10 == 3 || i % 10 == 7)
            labels(&dataset.train)[i] = 0;
    for (uint32_t i = 0; i < TEST; i++)
        if (i % 10 == 9)
            labels(&dataset.test)[i] = 8;
    EXPECT("digits without a single image among the training images: 3, 7",
           "digits without a single image among the test images: 9");
}

Test(inspect, a_rare_digit) {
    for (uint32_t i = 60; i < TRAIN; i++)
        if (i % 10 == 5)
            labels(&dataset.train)[i] = 4;
    labels(&dataset.train)[5] = 4; /* 5 of 600 are left, where 6 is a tenth of its share */
    EXPECT("digits with less than a tenth of their share of the 600 training images: 5");
}

Test(inspect, labels_nearly_all_the_same) {
    memset(labels(&dataset.train), 4, TRAIN - 50);
    EXPECT("555 of 600 training labels are 4");
}

Test(inspect, ink_in_the_alpha_channel) {
    strcpy(dataset.name, "png:here");
    memset(image(&dataset.train, 0), 0, TRAIN * IMAGE_PIXELS);
    memset(image(&dataset.test, 1), 255, IMAGE_PIXELS);
    memset(image(&dataset.test, 3), 9, IMAGE_PIXELS);
    EXPECT("all 600 training images are of one value (0, black): the ink may be in the alpha "
           "channel, which is laid on black",
           "2 of 200 test images are of one value: there is nothing to see in them");
}

Test(inspect, black_in_a_file_without_an_alpha_channel) {
    memset(image(&dataset.train, 7), 0, IMAGE_PIXELS);
    EXPECT("1 of 600 training images is of one value (0, black): there is nothing to see in them");
}

Test(inspect, pixels_that_were_scaled_to_one) {
    for (size_t i = 0; i < (size_t)TRAIN * IMAGE_PIXELS; i++)
        dataset.train.memory[i] /= 100;
    EXPECT("no pixel of the training images is brighter than 2, and ink is 255: they may have been "
           "scaled before they were saved");
}

static void invert(struct split *split) {
    for (size_t i = 0; i < (size_t)split->count * IMAGE_PIXELS; i++)
        split->memory[i] = (uint8_t)(255 - split->memory[i]);
}

Test(inspect, white_ground) {
    invert(&dataset.train);
    invert(&dataset.test);
    EXPECT("the images seem to be dark on a white ground, and MNIST is white on black: invert "
           "them");
}

Test(inspect, white_ground_in_one_split) {
    invert(&dataset.test);
    EXPECT("the test images, but not the training images, seem to be dark on a white ground, and "
           "MNIST is white on black: invert them");
}

Test(inspect, test_images_that_are_trained_on) {
    memcpy(image(&dataset.test, 0), image(&dataset.train, 100), 2 * IMAGE_PIXELS);
    EXPECT(NULL); /* 1 % may be chance */
    memcpy(image(&dataset.test, 9), image(&dataset.train, 500), IMAGE_PIXELS);
    EXPECT("3 of 200 test images are also among the training images: accuracy on them says "
           "nothing about new images");
}

Test(inspect, copies_of_a_few_images) {
    for (uint32_t i = 5; i < TRAIN; i++)
        memcpy(image(&dataset.train, i), image(&dataset.train, i % 5), IMAGE_PIXELS);
    EXPECT("the 600 training images are copies of 5 different ones");
}

Test(inspect, a_single_image) {
    split_limit(&dataset.train, 1);
    split_limit(&dataset.test, 1);
    EXPECT("digits without a single image among the training images: 1, 2, 3, 4, 5, 6, 7, 8, 9",
           "digits without a single image among the test images: 1, 2, 3, 4, 5, 6, 7, 8, 9");
}
