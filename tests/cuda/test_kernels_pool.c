/* Pools, against loops over windows that scatter. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

static struct kernel_window window_of(int batch, int channels, int height, int width, int size,
                                      int stride) {
    return (struct kernel_window){.batch = batch,
                                  .channels = channels,
                                  .in_height = height,
                                  .in_width = width,
                                  .out_height = (height - size) / stride + 1,
                                  .out_width = (width - size) / stride + 1,
                                  .size = size,
                                  .stride = stride};
}

static size_t in_count(const struct kernel_window *w) {
    return (size_t)w->batch * (size_t)(w->in_height * w->in_width * w->channels);
}
static size_t out_count(const struct kernel_window *w) {
    return (size_t)w->batch * (size_t)(w->out_height * w->out_width * w->channels);
}

/* Index in the input of place k of the window of output `at`. */
static size_t under(const struct kernel_window *w, size_t at, int k) {
    size_t channels = (size_t)w->channels, width = (size_t)w->out_width;
    size_t channel = at % channels, column = at / channels % width;
    size_t row = at / channels / width % (size_t)w->out_height;
    size_t sample = at / channels / width / (size_t)w->out_height;
    size_t y = row * (size_t)w->stride + (size_t)(k / w->size);
    size_t x = column * (size_t)w->stride + (size_t)(k % w->size);
    return ((sample * (size_t)w->in_height + y) * (size_t)w->in_width + x) * channels + channel;
}

/* --- maximum --------------------------------------------------------------------------------- */

/* Small whole numbers, so that windows have ties, and some NaN. */
static struct array with_ties(struct rig *rig, enum element type, size_t count) {
    double *values = rig_alloc(rig, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = rig_word(1, i) % 19 ? (double)(rig_word(2, i) % 4) - 2 : NAN;
    return rig_array(rig, type, values, count);
}

/* Sets y and places, and what backward should give where `wanted` begins as it is. */
static void pool_here(const struct kernel_window *w, const struct array *x, const double *dy,
                      bool masked, double *y, uint16_t *places, double *dx) {
    for (size_t at = 0; at < out_count(w); at++) {
        double best = 0;
        int place = -1;
        for (int k = 0; k < w->size * w->size; k++) {
            double value = x->host[under(w, at, k)];
            if (place < 0 || value > best || isnan(value)) {
                best = value;
                place = k;
            }
        }
        y[at] = best;
        places[at] = (uint16_t)place;
        if (!masked || best > 0)
            dx[under(w, at, place)] += dy[at];
    }
}

static void check_maxpool(struct kernel_window w, enum element inner, enum element outer,
                          bool masked, bool add) {
    struct rig rig = rig_open();
    size_t ins = in_count(&w), outs = out_count(&w);
    struct array x = with_ties(&rig, inner, ins), y = rig_empty(&rig, outer, outs);
    struct array dy = rig_random(&rig, outer, outs, 3), dx = rig_random(&rig, inner, ins, 4);
    uint16_t *places = rig_alloc(&rig, outs * 2), *got = rig_alloc(&rig, outs * 2);
    uint16_t *place = rig_put(&rig, NULL, outs * 2);
    double *wanted = rig_alloc(&rig, outs * sizeof(double));
    double *back = rig_alloc(&rig, ins * sizeof(double));
    for (size_t i = 0; i < ins && add; i++)
        back[i] = dx.host[i];
    pool_here(&w, &x, dy.host, masked, wanted, places, back);
    rig_done(&rig, kernel_maxpool(y.values, place, x.values, &w, rig.stream));
    rig_expect(&rig, &y, wanted, 0, "maxpool");
    rig_get(&rig, got, place, outs * 2);
    for (size_t i = 0; i < outs; i++)
        cr_assert_eq(got[i], places[i], "place %zu of %zu is %d, wanted %d", i, outs, got[i],
                     places[i]);
    struct values mask = masked ? y.values : (struct values){NULL, outer};
    rig_done(&rig, kernel_maxpool_back(dx.values, dy.values, place, mask, &w, add, rig.stream));
    rig_expect(&rig, &dx, back, 1e-6, "maxpool_back");
    rig_close(&rig);
}

static void check_maxpool_types(struct kernel_window w) {
    for (int k = 0; k < 16; k++)
        check_maxpool(w, types[k & 1], types[k >> 1 & 1], k >> 2 & 1, k >> 3);
}

Test(cuda_pool, maxpool_of_pairs) {
    check_maxpool_types(window_of(2, 16, 8, 8, 2, 2));
    check_maxpool_types(window_of(1, 8, 9, 8, 2, 2)); /* odd edges: below, right, both */
    check_maxpool_types(window_of(1, 8, 8, 9, 2, 2));
    check_maxpool_types(window_of(2, 8, 5, 7, 2, 2));
    check_maxpool_types(window_of(3, 8, 2, 2, 2, 2));
    check_maxpool_types(window_of(2, 4, 6, 6, 2, 2));
    check_maxpool_types(window_of(2, 3, 7, 7, 2, 2));
    check_maxpool_types(window_of(1, 1, 28, 28, 2, 2));
}

Test(cuda_pool, maxpool_of_windows_that_overlap) {
    check_maxpool_types(window_of(2, 8, 7, 7, 3, 2));
    check_maxpool_types(window_of(1, 5, 9, 6, 3, 1));
    check_maxpool_types(window_of(1, 16, 5, 5, 2, 1));
}

Test(cuda_pool, maxpool_of_windows_that_leave_gaps_and_edges) {
    check_maxpool_types(window_of(2, 8, 10, 11, 2, 3));
    check_maxpool_types(window_of(2, 6, 9, 9, 1, 4));
    check_maxpool_types(window_of(1, 8, 11, 10, 3, 3));
    check_maxpool_types(window_of(4, 8, 5, 5, 5, 5));
    check_maxpool_types(window_of(1, 2, 28, 28, 28, 28)); /* places up to 783 */
}

/* --- mean ------------------------------------------------------------------------------------ */

static void check_avgpool(struct kernel_window w, enum element inner, enum element outer,
                          bool add) {
    struct rig rig = rig_open();
    size_t ins = in_count(&w), outs = out_count(&w);
    int places = w.size * w.size;
    struct array x = rig_random(&rig, inner, ins, 1), y = rig_empty(&rig, outer, outs);
    struct array dy = rig_random(&rig, outer, outs, 3), dx = rig_random(&rig, inner, ins, 4);
    double *wanted = rig_alloc(&rig, outs * sizeof(double));
    double *back = rig_alloc(&rig, ins * sizeof(double));
    for (size_t i = 0; i < ins && add; i++)
        back[i] = dx.host[i];
    for (size_t at = 0; at < outs; at++)
        for (int k = 0; k < places; k++) {
            wanted[at] += x.host[under(&w, at, k)] / places;
            back[under(&w, at, k)] += dy.host[at] / places;
        }
    rig_done(&rig, kernel_avgpool(y.values, x.values, &w, rig.stream));
    rig_done(&rig, kernel_avgpool_back(dx.values, dy.values, &w, add, rig.stream));
    rig_expect(&rig, &y, wanted, 1e-5, "avgpool");
    rig_expect(&rig, &dx, back, 1e-6, "avgpool_back");
    rig_close(&rig);
}

Test(cuda_pool, avgpool_of_any_windows) {
    const struct kernel_window windows[] = {
        window_of(2, 16, 8, 8, 2, 2),   window_of(1, 8, 9, 7, 2, 2),   window_of(2, 3, 7, 7, 3, 2),
        window_of(2, 8, 7, 7, 3, 1),    window_of(2, 8, 10, 11, 2, 3), window_of(3, 12, 7, 7, 7, 7),
        window_of(2, 1, 28, 28, 28, 28)};
    for (size_t s = 0; s < sizeof windows / sizeof *windows; s++)
        for (int k = 0; k < 8; k++)
            check_avgpool(windows[s], types[k & 1], types[k >> 1 & 1], k >> 2);
}
