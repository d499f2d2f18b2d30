/* Kernels that work value by value, and the two inputs. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const size_t sizes[] = {1, 3, 4, 7, 8, 9, 15, 255, 256, 257, 1023, 2048, 2049, 5003};
#define SIZES (sizeof sizes / sizeof *sizes)
static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

/* Values with a NaN, infinities and both zeros among them. */
static struct array special(struct rig *rig, enum element type, size_t count, uint32_t salt) {
    double *values = rig_alloc(rig, count * sizeof *values);
    const double odd[] = {NAN, 0.0, -0.0, INFINITY, -INFINITY, 1e-30, -1e-30};
    for (size_t i = 0; i < count; i++)
        values[i] = rig_word(salt, i) % 5 ? rig_value(salt, i) : odd[rig_word(salt + 1, i) % 7];
    return rig_array(rig, type, values, count);
}

/* --- inputs ---------------------------------------------------------------------------------- */

Test(cuda_pointwise, every_level_of_a_pixel_has_the_bits_of_the_formula) {
    struct rig rig = rig_open();
    uint8_t levels[256];
    float wanted[256], got[256];
    for (int i = 0; i < 256; i++) {
        levels[i] = (uint8_t)i;
        wanted[i] = (float)((i / 255.0 - 0.1307) / 0.3081);
    }
    const uint8_t *x = rig_put(&rig, levels, sizeof levels);
    struct array y = rig_empty(&rig, ELEMENT_F32, 256);
    rig_done(&rig, kernel_normalise(y.values, x, 256, rig.stream));
    rig_get(&rig, got, y.values.data, sizeof got);
    for (int i = 0; i < 256; i++)
        cr_assert_eq(got[i], wanted[i], "level %d is %.9g, wanted %.9g", i, (double)got[i],
                     (double)wanted[i]);
    rig_close(&rig);
}

Test(cuda_pointwise, normalises_any_count) {
    for (size_t s = 0; s < 2 * SIZES; s++) {
        struct rig rig = rig_open();
        size_t count = sizes[s / 2];
        uint8_t *levels = rig_alloc(&rig, count);
        double *wanted = rig_alloc(&rig, count * sizeof *wanted);
        for (size_t i = 0; i < count; i++) {
            levels[i] = (uint8_t)rig_word(9, i);
            wanted[i] = (levels[i] / 255.0 - 0.1307) / 0.3081;
        }
        struct array y = rig_empty(&rig, types[s % 2], count);
        rig_done(&rig, kernel_normalise(y.values, rig_put(&rig, levels, count), count, rig.stream));
        rig_expect(&rig, &y, wanted, 1e-7, "normalise");
        rig_close(&rig);
    }
}

Test(cuda_pointwise, onehot_has_a_one_at_the_digit) {
    const int shapes[][2] = {{1, 10}, {3, 10}, {128, 10}, {257, 19}, {5, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct rig rig = rig_open();
        size_t batch = (size_t)shapes[s][0], size = (size_t)shapes[s][1];
        uint8_t *digits = rig_alloc(&rig, batch);
        double *wanted = rig_alloc(&rig, batch * size * sizeof *wanted);
        for (size_t i = 0; i < batch; i++) {
            digits[i] = (uint8_t)(rig_word(3, i) % size);
            wanted[i * size + digits[i]] = 1;
        }
        struct array y = rig_empty(&rig, ELEMENT_F32, batch * size);
        rig_done(&rig, kernel_onehot(y.values.data, rig_put(&rig, digits, batch), (int)batch,
                                     (int)size, rig.stream));
        rig_expect(&rig, &y, wanted, 0, "onehot");
        rig_close(&rig);
    }
}

/* --- relu ------------------------------------------------------------------------------------ */

Test(cuda_pointwise, relu_leaves_nan_and_what_is_positive) {
    for (size_t s = 0; s < 2 * SIZES; s++)
        for (int in_place = 0; in_place < 2; in_place++) {
            struct rig rig = rig_open();
            size_t count = sizes[s / 2];
            double *wanted = rig_alloc(&rig, count * sizeof *wanted);
            struct array x = special(&rig, types[s % 2], count, 1);
            struct array y = in_place ? x : rig_empty(&rig, types[s % 2], count);
            for (size_t i = 0; i < count; i++)
                wanted[i] = x.host[i] < 0 ? 0 : x.host[i];
            rig_done(&rig, kernel_relu(y.values, x.values, count, rig.stream));
            rig_expect(&rig, &y, wanted, 0, "relu");
            rig_close(&rig);
        }
}

/* More than one grid holds at once: threads walk. */
Test(cuda_pointwise, relu_walks_over_large_arrays) {
    struct rig rig = rig_open();
    size_t count = (size_t)4 * 256 * 4300 + 3;
    struct array x = rig_random(&rig, ELEMENT_F32, count, 1);
    struct array y = rig_empty(&rig, ELEMENT_F32, count);
    rig_done(&rig, kernel_relu(y.values, x.values, count, rig.stream));
    for (size_t i = 0; i < count; i++)
        x.host[i] = x.host[i] < 0 ? 0 : x.host[i];
    rig_expect(&rig, &y, x.host, 0, "relu");
    rig_close(&rig);
}

static void check_relu_back(enum element type, size_t count, bool add, bool in_place) {
    struct rig rig = rig_open();
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    struct array dy = rig_random(&rig, type, count, 1), y = special(&rig, type, count, 2);
    struct array dx = in_place ? dy : rig_random(&rig, type, count, 3);
    for (size_t i = 0; i < count; i++)
        wanted[i] = (add ? dx.host[i] : 0) + (y.host[i] > 0 ? dy.host[i] : 0);
    rig_done(&rig, kernel_relu_back(dx.values, dy.values, y.values, count, add, rig.stream));
    rig_expect(&rig, &dx, wanted, 1e-7, "relu_back");
    rig_close(&rig);
}

Test(cuda_pointwise, relu_back_masks_where_y_is_not_positive) {
    for (size_t s = 0; s < 2 * SIZES; s++) {
        check_relu_back(types[s % 2], sizes[s / 2], false, false);
        check_relu_back(types[s % 2], sizes[s / 2], false, true);
        check_relu_back(types[s % 2], sizes[s / 2], true, false);
    }
}

/* --- tanh, sigmoid, gelu --------------------------------------------------------------------- */

static double activated(enum kernel_function function, double x, double *slope) {
    double y = function == KERNEL_TANH ? tanh(x) : 1 / (1 + exp(-x));
    *slope = function == KERNEL_TANH ? 1 - y * y : y * (1 - y);
    if (function != KERNEL_GELU)
        return y;
    double share = 0.5 * erfc(-x / sqrt(2)), density = exp(-x * x / 2) / sqrt(2 * acos(-1));
    *slope = isinf(x) ? share : share + x * density;
    return share == 0 ? 0 : x * share;
}

static void check_activate(enum kernel_function function, enum element type, size_t count,
                           bool add) {
    struct rig rig = rig_open();
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    double *slopes = rig_alloc(&rig, count * sizeof *slopes);
    struct array x = special(&rig, type, count, 1), y = rig_empty(&rig, type, count);
    struct array dy = rig_random(&rig, type, count, 2), dx = rig_random(&rig, type, count, 3);
    for (size_t i = 0; i < count; i++)
        wanted[i] = activated(function, x.host[i], &slopes[i]);
    rig_done(&rig, kernel_activate(y.values, x.values, function, count, rig.stream));
    rig_expect(&rig, &y, wanted, 1e-6, "activate");
    for (size_t i = 0; i < count; i++)
        wanted[i] = (add ? dx.host[i] : 0) + dy.host[i] * slopes[i];
    rig_done(&rig, kernel_activate_back(dx.values, dy.values, x.values, function, count, add,
                                        rig.stream));
    rig_expect(&rig, &dx, wanted, 1e-6, "activate_back");
    rig_close(&rig);
}

Test(cuda_pointwise, activations_and_their_slopes) {
    for (int function = KERNEL_TANH; function <= KERNEL_GELU; function++)
        for (size_t s = 0; s < 4 * SIZES; s++)
            check_activate((enum kernel_function)function, types[s % 2], sizes[s / 4], s / 2 % 2);
}

/* --- bias ------------------------------------------------------------------------------------ */

static void check_bias(enum element type, size_t rows, size_t channels, bool bias, bool relu) {
    struct rig rig = rig_open();
    size_t count = rows * channels;
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    struct array y = special(&rig, type, count, 1);
    struct array added = rig_random(&rig, ELEMENT_F32, channels, 2);
    for (size_t i = 0; i < count; i++) {
        wanted[i] = y.host[i] + (bias ? added.host[i % channels] : 0);
        if (relu && wanted[i] < 0)
            wanted[i] = 0;
    }
    rig_done(&rig, kernel_bias(y.values, bias ? added.values.data : NULL, rows, (int)channels, relu,
                               rig.stream));
    rig_expect(&rig, &y, wanted, 1e-7, "bias");
    rig_close(&rig);
}

Test(cuda_pointwise, bias_belongs_to_its_channel) {
    const size_t shapes[][2] = {{1, 1},    {7, 1},    {8, 1},   {64, 1},   {24, 3},
                                {25, 3},   {16, 10},  {9, 10},  {100, 16}, {33, 20},
                                {3, 2056}, {2, 2049}, {5, 300}, {40, 301}, {3000, 8}};
    for (size_t s = 0; s < 2 * sizeof shapes / sizeof *shapes; s++) {
        check_bias(types[s % 2], shapes[s / 2][0], shapes[s / 2][1], true, false);
        check_bias(types[s % 2], shapes[s / 2][0], shapes[s / 2][1], true, true);
        check_bias(types[s % 2], shapes[s / 2][0], shapes[s / 2][1], false, true);
    }
}

/* --- sums and copies ------------------------------------------------------------------------- */

/* Bit i of `halves`: input i is bf16; the bit above them is y's. */
static void check_add(size_t count, int inputs, unsigned halves) {
    struct rig rig = rig_open();
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    struct values list[KERNEL_INPUTS];
    for (int k = 0; k < inputs; k++) {
        struct array x = special(&rig, types[halves >> k & 1], count, (uint32_t)(10 + k));
        for (size_t i = 0; i < count; i++)
            wanted[i] += x.host[i];
        list[k] = x.values;
    }
    struct array y = rig_empty(&rig, types[halves >> inputs & 1], count);
    rig_done(&rig, kernel_add(y.values, list, inputs, count, rig.stream));
    rig_expect(&rig, &y, wanted, 1e-6, "add");
    rig_close(&rig);
}

Test(cuda_pointwise, adds_up_to_eight_inputs_of_either_type) {
    for (size_t s = 0; s < SIZES; s++)
        for (unsigned halves = 0; halves < 8; halves++)
            check_add(sizes[s], 2, halves);
    for (int inputs = 1; inputs <= KERNEL_INPUTS; inputs++)
        for (unsigned halves = 0; halves < 4; halves++)
            check_add(1000 + (size_t)inputs, inputs,
                      (unsigned[]){0, (1u << inputs) - 1, 0x1ffu, 0x155u}[halves]);
}

static void check_copy(enum element to, enum element from, size_t count, bool add) {
    struct rig rig = rig_open();
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    double *finer = rig_alloc(&rig, count * sizeof *finer);
    for (size_t i = 0; i < count; i++) /* so that there is something to round */
        finer[i] = i % 11 ? (double)rig_word(4, i) / 4e9 : NAN;
    struct array x = rig_array(&rig, from, finer, count);
    struct array y = rig_random(&rig, to, count, 5);
    for (size_t i = 0; i < count; i++)
        wanted[i] = rig_rounded(to, (float)(x.host[i] + (add ? y.host[i] : 0)));
    rig_done(&rig, kernel_copy(y.values, x.values, count, add, rig.stream));
    struct array same = rig_array(&rig, to, wanted, count);
    rig_expect_same(&rig, y.values.data, same.values.data, count * element_size(to), "copy");
    rig_close(&rig);
}

Test(cuda_pointwise, copies_and_rounds_to_nearest_even) {
    for (size_t s = 0; s < SIZES; s++)
        for (int k = 0; k < 8; k++)
            check_copy(types[k & 1], types[k >> 1 & 1], sizes[s], k >> 2);
}
