/* Sums over rows, with and without the mask of a relu. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

static void check_sum(enum element type, size_t rows, size_t channels, bool masked) {
    struct rig rig = rig_open();
    size_t count = rows * channels;
    struct array dy = rig_random(&rig, type, count, 1), y = rig_random(&rig, type, count, 2);
    struct array again = rig_copy(&rig, &dy);
    struct array sums = rig_empty(&rig, ELEMENT_F32, channels);
    struct array twice = rig_empty(&rig, ELEMENT_F32, channels);
    float *partials = rig_put(&rig, NULL, kernel_partials(rows, (int)channels) * sizeof(float));
    double *wanted = rig_alloc(&rig, channels * sizeof(double));
    struct values mask = masked ? y.values : (struct values){NULL, type};
    for (size_t i = 0; i < count; i++) {
        if (masked && !(y.host[i] > 0))
            dy.host[i] = 0;
        wanted[i % channels] += dy.host[i];
    }
    rig_done(&rig, kernel_sum_rows(sums.values.data, dy.values, mask, rows, (int)channels, partials,
                                   rig.stream));
    rig_expect(&rig, &sums, wanted, 1e-5, "sum_rows");
    rig_expect(&rig, &dy, dy.host, 0, "dy");
    rig_reverse(true);
    rig_done(&rig, kernel_sum_rows(twice.values.data, again.values, mask, rows, (int)channels,
                                   partials, rig.stream));
    rig_expect_same(&rig, sums.values.data, twice.values.data, channels * sizeof(float),
                    "sum_rows");
    rig_close(&rig);
}

/* One part or several; rows folded or not; channels that fill no vector, or several blocks. */
Test(cuda_reduce, sums_rows_of_any_shape) {
    const size_t shapes[][2] = {{1, 1},      {7, 1},      {9, 1},     {40000, 1}, {40001, 1},
                                {1, 10},     {128, 10},   {127, 10},  {5000, 10}, {5001, 3},
                                {128, 128},  {2000, 128}, {300, 19},  {2500, 20}, {64, 2049},
                                {100, 2056}, {3, 5000},   {17, 2001}, {9000, 6},  {1155, 64}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++)
            check_sum(types[k & 1], shapes[s][0], shapes[s][1], k >> 1);
}

Test(cuda_reduce, a_nan_stays_in_its_channel) {
    struct rig rig = rig_open();
    size_t rows = 6000, channels = 10;
    double *values = rig_alloc(&rig, rows * channels * sizeof(double));
    double wanted[10] = {0};
    values[4321 * channels + 7] = NAN;
    wanted[7] = NAN;
    struct array dy = rig_array(&rig, ELEMENT_BF16, values, rows * channels);
    struct array sums = rig_empty(&rig, ELEMENT_F32, channels);
    float *partials = rig_put(&rig, NULL, kernel_partials(rows, (int)channels) * sizeof(float));
    rig_done(&rig, kernel_sum_rows(sums.values.data, dy.values, (struct values){0}, rows,
                                   (int)channels, partials, rig.stream));
    rig_expect(&rig, &sums, wanted, 0, "sum_rows");
    rig_close(&rig);
}

/* More parts than the finishing kernel has threads for each channel. */
Test(cuda_reduce, sums_many_parts) {
    check_sum(ELEMENT_BF16, 70000, 16, false);
}
