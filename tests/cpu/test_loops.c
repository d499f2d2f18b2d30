/* The tables of hot loops agree to the bit, so that a run does not depend on the processor's
 * instruction sets more than oneDNN makes it. */
#include "cpu/loops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const struct loops loops_plain;
#if defined(__x86_64__)
extern const struct loops loops_avx2, loops_avx512;
#endif

#define ROWS 7
#define CHANNELS 83 /* 64 + 16 + 3: every path of a loop over channels */
#define COUNT ((size_t)4 * ROWS * CHANNELS)

struct arrays {
    float x[COUNT], dy[COUNT], y[COUNT], mean[CHANNELS], scale[CHANNELS];
    float out[4][COUNT];
    uint8_t quarter[COUNT];
    float sums[6 * CHANNELS];
};

static void fill(struct arrays *arrays, enum precision type) {
    uint32_t random = 77;
    float *all[] = {arrays->x, arrays->dy, arrays->y};
    for (int a = 0; a < 3; a++)
        for (size_t i = 0; i < COUNT; i++) {
            random = random * 1664525 + 1013904223;
            float value = (float)(int32_t)random * 1e-9f;
            value = random >> 29 == 3 ? 0.0f : random >> 22 == 9 ? NAN : value;
            value_set(all[a], i, type, value);
        }
    for (int c = 0; c < CHANNELS; c++) {
        arrays->mean[c] = (float)c * 0.01f - 0.3f;
        arrays->scale[c] = 1.0f - (float)c * 0.02f;
    }
}

static void run(const struct loops *loops, struct arrays *a, enum precision type, bool flag) {
    fill(a, type);
    loops->sum_rows(a->sums, a->x, 4 * ROWS, CHANNELS, type);
    loops->sum_squares(a->sums + CHANNELS, a->x, a->mean, 4 * ROWS, CHANNELS, type);
    loops->relu_mask(a->out[0], a->dy, a->y, COUNT, type);
    loops->pairs_max(a->out[1], a->quarter, a->x, ROWS, 2 * ROWS * CHANNELS, CHANNELS, type);
    loops->pairs_scatter(a->out[2], a->dy, a->y, a->quarter, ROWS, 2 * ROWS * CHANNELS, CHANNELS,
                         flag, type);
    loops->normalise(a->out[3], a->x, a->scale, a->mean, ROWS, CHANNELS, flag, type);
    loops->normalise_sums(a->sums + 2 * CHANNELS, a->dy, a->y, a->x, a->mean, ROWS, CHANNELS, flag,
                          type);
    loops->normalise_back(values_at((struct values){a->out[3], type}, ROWS * CHANNELS), a->dy, a->y,
                          a->x, a->scale, a->mean, a->scale, ROWS, CHANNELS, flag, type);
}

/* NaNs may differ in their payload: compare values, and NaN with NaN. */
static void compare(const float *a, const float *b, size_t count, enum precision type,
                    const char *what) {
    for (size_t i = 0; i < count; i++) {
        float x = value_get(a, i, type), y = value_get(b, i, type);
        cr_assert((isnan(x) && isnan(y)) || memcmp(&x, &y, sizeof x) == 0, "%s %zu: %g and %g",
                  what, i, (double)x, (double)y);
    }
}

static void agree(const struct loops *other) {
    struct arrays *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    for (int i = 0; i < 4; i++) {
        enum precision type = i & 1 ? PRECISION_BF16 : PRECISION_F32;
        run(&loops_plain, a, type, i & 2);
        run(other, b, type, i & 2);
        for (int o = 0; o < 4; o++)
            compare(a->out[o], b->out[o], COUNT, type, "output");
        compare(a->sums, b->sums, 4 * CHANNELS, PRECISION_F32, "sum");
        cr_assert_eq(memcmp(a->quarter, b->quarter, sizeof a->quarter), 0);
    }
    free(a);
    free(b);
}

Test(cpu_loops, avx2_agrees_with_plain) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        agree(&loops_avx2);
    else
#endif
        cr_skip_test("this processor has no AVX2");
}

Test(cpu_loops, avx512_agrees_with_plain) {
#if defined(__x86_64__)
    if (loops_choose() == &loops_avx512)
        agree(&loops_avx512);
    else
#endif
        cr_skip_test("this processor has no AVX512");
}

/* A window's first maximum wins; NaN wins over all. */
Test(cpu_loops, maxima_are_found_where_they_are) {
    float x[2][8] = {{1, 5, 2, 2, -1, -2, NAN, 0}, {5, 0, 2, 2, -3, -1, 9, 0}}, y[4];
    uint8_t quarter[4];
    loops_choose()->pairs_max(y, quarter, x, 4, 8, 1, PRECISION_F32);
    cr_assert_eq(y[0], 5);
    cr_assert_eq(y[1], 2);
    cr_assert_eq(y[2], -1);
    cr_assert(isnan(y[3]));
    const uint8_t wanted[4] = {1, 0, 0, 0};
    cr_assert_eq(memcmp(quarter, wanted, 4), 0);
}
