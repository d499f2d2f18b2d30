/* Warps: exact where they can be known, within grey levels of a float64 reference where not, and
 * the same bits on every machine. */
#include "augment/stage.h"
#include "augment/warp.h"
#include "common/crc32c.h"
#include "common/pairs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A smooth pattern off the middle, so that nothing is symmetric. */
static void pattern(uint8_t *image) {
    for (int y = 0; y < 28; y++)
        for (int x = 0; x < 28; x++) {
            double a = (x - 10.3) / 5.0, b = (y - 16.1) / 4.0;
            image[y * 28 + x] = (uint8_t)(255 * exp(-a * a - b * b + 0.3 * a * b));
        }
}

/* The warp as its header says it, in float64. */
static double reference(const struct warp *warp, const uint8_t *image, int x, int y) {
    double dx = x - 13.5, dy = y - 13.5;
    double sx = (warp->offset[0] + warp->matrix[0][0] * dx + warp->matrix[0][1] * dy) / 65536;
    double sy = (warp->offset[1] + warp->matrix[1][0] * dx + warp->matrix[1][1] * dy) / 65536;
    double sum = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            int column = (int)floor(sx) + i, row = (int)floor(sy) + j;
            double wx = i ? sx - floor(sx) : 1 - (sx - floor(sx));
            double wy = j ? sy - floor(sy) : 1 - (sy - floor(sy));
            if (column >= 0 && column < 28 && row >= 0 && row < 28)
                sum += wx * wy * image[row * 28 + column];
        }
    return sum;
}

Test(warp, nothing_changes_nothing) {
    uint8_t image[784], out[784];
    struct warp warp;
    struct warps none = {0};
    cr_expect_not(warps_any(&none));
    pattern(image);
    warp_draw(&none, 1, 2, 3, &warp);
    warp_apply(&warp, image, out);
    cr_expect_arr_eq(image, out, 784);
}

Test(warp, whole_pixels_shift_exactly) {
    uint8_t image[784], out[784];
    pattern(image);
    /* One to the right and two up: what is fetched lies one to the left and two down. */
    struct warp warp = {.matrix = {{65536, 0}, {0, 65536}},
                        .offset = {(int32_t)(12.5 * 65536), (int32_t)(15.5 * 65536)}};
    warp_apply(&warp, image, out);
    for (int y = 0; y < 28; y++)
        for (int x = 0; x < 28; x++)
            cr_assert_eq(out[y * 28 + x], x >= 1 && y < 26 ? image[(y + 2) * 28 + x - 1] : 0,
                         "at %d, %d", x, y);
}

Test(warp, within_two_grey_levels_of_float64) {
    static const struct warps cases[] = {{.shift = 3},
                                         {.rotate = 45},
                                         {.scale = 0.5f},
                                         {.shear = 45},
                                         {.shift = 14, .rotate = 45, .scale = 0.5f, .shear = 45}};
    uint8_t image[784], out[784];
    pattern(image);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint32_t sample = 0; sample < 200; sample++) {
            struct warp warp;
            warp_draw(&cases[i], 9, 0, sample, &warp);
            warp_apply(&warp, image, out);
            for (int p = 0; p < 784; p++) {
                double expected = reference(&warp, image, p % 28, p / 28);
                cr_assert(fabs(out[p] - expected) <= 2, "case %zu, sample %u, pixel %d: %g, got %d",
                          i, sample, p, expected, out[p]);
            }
        }
}

/* By its definition: turned by a known angle, the matrix is the inverse rotation. */
Test(warp, parameters_stay_in_bounds) {
    const struct warps warps = {.shift = 2, .rotate = 10};
    double left = 0, right = 0, most = 0;
    for (uint32_t sample = 0; sample < 5000; sample++) {
        struct warp warp;
        warp_draw(&warps, 1, 0, sample, &warp);
        double c = warp.matrix[0][0] / 65536.0, s = warp.matrix[0][1] / 65536.0;
        double angle = atan2(s, c) * 180 / M_PI;
        cr_assert(fabs(angle) <= 10.01, "sample %u turns by %g degrees", sample, angle);
        cr_assert(fabs(c * c + s * s - 1) < 1e-4);
        left = fmin(left, angle);
        right = fmax(right, angle);
        double x = (13.5 - warp.offset[0] / 65536.0), y = (13.5 - warp.offset[1] / 65536.0);
        most = fmax(most, sqrt(x * x + y * y));
    }
    cr_expect(left < -9.9 && right > 9.9, "from %g to %g degrees", left, right);
    cr_expect(most > 2.6 && most < 2.83, "shifts up to %g", most); /* 2·√2 */
}

Test(warp, extreme_elastic_stays_inside) {
    const struct warps warps = {14, 45, 0.5f, 45, 8};
    uint8_t image[784], out[784], in_place[784];
    memset(image, 255, sizeof image);
    for (uint32_t sample = 0; sample < 500; sample++) {
        struct warp warp;
        warp_draw(&warps, 3, 1, sample, &warp);
        warp_apply(&warp, image, out);
        memcpy(in_place, image, sizeof image);
        warp_apply(&warp, in_place, in_place);
        cr_assert_arr_eq(out, in_place, 784);
    }
}

/* Golden digests: whatever machine, compiler or instruction set, these are the bits. */
Test(warp, golden_bits) {
    static const struct {
        struct warps warps;
        uint64_t seed;
        uint32_t epoch, crc;
    } cases[] = {{{2, 0, 0, 0, 0}, 1, 0, 0x35bcba5b},
                 {{1.5f, 8, 0.08f, 0, 0}, 1, 5, 0x1265d4b7},
                 {{2, 10, 0.1f, 10, 0}, 77, 1, 0x0d01e1ec},
                 {{2, 10, 0.1f, 5, 1}, 5, 2, 0x3362045d}};
    uint8_t image[784], out[784];
    for (int p = 0; p < 784; p++)
        image[p] = (uint8_t)((p * 2654435761u) >> 24);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t crc = 0;
        for (uint32_t sample = 0; sample < 100; sample++) {
            struct warp warp;
            warp_draw(&cases[i].warps, cases[i].seed, cases[i].epoch, sample, &warp);
            warp_apply(&warp, image, out);
            crc = crc32c(crc, out, sizeof out);
        }
        cr_expect_eq(crc, cases[i].crc, "case %zu: 0x%08x", i, crc);
    }
}

/* --- the stage
 * ------------------------------------------------------------------------------------ */

enum { COUNT = 37 };

static void run_stage(int threads, const struct warps *warps, uint8_t *out, uint8_t *pairs) {
    static uint8_t images[COUNT * 784], labels[COUNT];
    uint32_t samples[COUNT], epochs[COUNT];
    struct error error;
    for (int i = 0; i < COUNT; i++) {
        pattern(images + i * 784);
        labels[i] = (uint8_t)(i % 10);
        samples[i] = (uint32_t)(1000 - i);
        epochs[i] = (uint32_t)(i / 20);
    }
    struct stage *stage = stage_create(11, warps, threads, &error);
    cr_assert_not_null(stage);
    for (int round = 0; round < 50; round++)
        stage_run(stage, COUNT, images, labels, samples, epochs, out, pairs);
    stage_destroy(&stage);
    cr_expect_null(stage);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(pairs[i], labels[i]);
        cr_assert_eq(pairs[COUNT + i], pairs_digit(11, epochs[i], samples[i]));
        cr_assert_eq(pairs[2 * COUNT + i], pairs[i] + pairs[COUNT + i]);
    }
}

Test(stage, threads_change_nothing) {
    static uint8_t one[COUNT * 784], more[COUNT * 784];
    uint8_t pairs[3 * COUNT];
    const struct warps warps = {2, 10, 0.1f, 5, 1};
    run_stage(1, &warps, one, pairs);
    static const int threads[] = {2, 3, 8, 40};
    for (int i = 0; i < 4; i++) {
        memset(more, 0, sizeof more);
        run_stage(threads[i], &warps, more, pairs);
        cr_expect_arr_eq(one, more, sizeof one, "%d threads", threads[i]);
    }
}

Test(stage, without_warps_images_pass) {
    static uint8_t out[COUNT * 784];
    uint8_t pairs[3 * COUNT], image[784];
    run_stage(2, &(struct warps){0}, out, pairs);
    pattern(image);
    cr_expect_arr_eq(out + 20 * 784, image, 784);
}

/* They come from the trainer by way of a message, and the arithmetic would overflow. */
Test(stage, warps_beyond_their_bounds_are_refused) {
    static const struct {
        struct warps warps;
        const char *words;
    } rows[] = {{{.shift = 1e30f}, "shift of 1e+30: expected 0 to 14"},
                {{.rotate = -1}, "rotate of -1: expected 0 to 45"},
                {{.scale = 1}, "scale of 1: expected 0 to 0.5"},
                {{.shear = NAN}, "shear of nan: expected 0 to 45"},
                {{.elastic = INFINITY}, "elastic of inf: expected 0 to 8"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error error = {0};
        cr_expect_null(stage_create(11, &rows[i].warps, 1, &error));
        cr_expect_eq(error.code, ERROR_CORRUPT);
        cr_expect(strstr(error.text, rows[i].words), "%s", error.text);
    }
}
