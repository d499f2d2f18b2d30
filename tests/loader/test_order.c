/* The order of an epoch is a bijection for every size, and a batch is what the order says. */
#include "loader/gather.h"
#include "loader/order.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void check_bijection(uint64_t seed, uint32_t epoch, uint32_t count) {
    struct order order;
    uint8_t *seen = calloc(count, 1);
    cr_assert_not_null(seen);
    order_init(&order, seed, epoch, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sample = order_sample(&order, i);
        cr_assert_lt(sample, count, "place %u of %u", i, count);
        cr_assert_eq(seen[sample]++, 0, "sample %u of %u twice", sample, count);
    }
    free(seen);
}

Test(order, bijection_of_every_size) {
    for (uint32_t count = 1; count <= 130; count++)
        check_bijection(1, 0, count);
    static const uint32_t sizes[] = {2000, 4095, 4096, 4097, 59999, 60000, 65536, 65537};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_bijection(UINT64_C(0x123456789abcdef0), (uint32_t)i, sizes[i]);
}

Test(order, seeds_and_epochs_differ) {
    struct order one, two, three;
    int same_epoch = 0, same_seed = 0, in_place = 0;
    order_init(&one, 1, 0, 60000);
    order_init(&two, 1, 1, 60000);
    order_init(&three, 2, 0, 60000);
    for (uint32_t i = 0; i < 60000; i++) {
        same_epoch += order_sample(&one, i) == order_sample(&two, i);
        same_seed += order_sample(&one, i) == order_sample(&three, i);
        in_place += order_sample(&one, i) == i;
    }
    /* Each is about 1 in a random permutation. */
    cr_expect_lt(same_epoch, 12);
    cr_expect_lt(same_seed, 12);
    cr_expect_lt(in_place, 12);
}

/* Where 20 classes of places end up in 20 classes of samples, as even as chance: chi-square with
 * 399 degrees of freedom stays below 520 but for one time in 20,000. */
Test(order, spreads_evenly) {
    enum { COUNT = 60000, CLASSES = 20 };
    static int cells[CLASSES * CLASSES];
    struct order order;
    order_init(&order, 7, 3, COUNT);
    memset(cells, 0, sizeof cells);
    for (uint32_t i = 0; i < COUNT; i++)
        cells[i / (COUNT / CLASSES) * CLASSES + order_sample(&order, i) / (COUNT / CLASSES)]++;
    double expected = (double)COUNT / (CLASSES * CLASSES), chi = 0;
    for (int i = 0; i < CLASSES * CLASSES; i++)
        chi += (cells[i] - expected) * (cells[i] - expected) / expected;
    cr_expect_lt(chi, 520, "chi-square %g", chi);
}

Test(gather, follows_the_order_across_epochs) {
    enum { COUNT = 50, BATCH = 16 };
    static uint8_t images[COUNT * IMAGE_PIXELS], labels[COUNT], out[BATCH * IMAGE_PIXELS];
    uint8_t out_labels[BATCH];
    uint32_t samples[BATCH], epochs[BATCH], used[3][COUNT] = {{0}};
    for (int i = 0; i < COUNT; i++) {
        memset(images + i * IMAGE_PIXELS, i, IMAGE_PIXELS);
        labels[i] = (uint8_t)(i % 10);
    }
    struct split split = {.count = COUNT, .images = images, .labels = labels};
    for (uint64_t step = 0; step < 9; step++) {
        gather_batch(&split, 5, step, BATCH, out, out_labels, samples, epochs);
        for (uint32_t i = 0; i < BATCH; i++) {
            struct batch_place place = batch_place_of(step, BATCH, i, COUNT);
            struct order order;
            order_init(&order, 5, place.epoch, COUNT);
            cr_assert_eq(epochs[i], place.epoch);
            cr_assert_eq(samples[i], order_sample(&order, place.index));
            cr_assert_eq(out[i * IMAGE_PIXELS + 783], samples[i]);
            cr_assert_eq(out_labels[i], samples[i] % 10);
            used[epochs[i]][samples[i]]++;
        }
    }
    for (int i = 0; i < COUNT; i++) { /* 144 of 150 places: two whole epochs */
        cr_expect_eq(used[0][i], 1);
        cr_expect_eq(used[1][i], 1);
    }
}
