/* Outer products and softmax. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

static void check_outer(int batch, int n, int m, enum element y_type, enum element a_type,
                        enum element b_type, bool add) {
    struct rig rig = rig_open();
    size_t rows = (size_t)n, columns = (size_t)m, samples = (size_t)batch;
    struct array a = rig_random(&rig, a_type, samples * rows, 1);
    struct array b = rig_random(&rig, b_type, samples * columns, 2);
    struct array da = rig_random(&rig, a_type, samples * rows, 3);
    struct array db = rig_random(&rig, b_type, samples * columns, 4);
    struct array dy = rig_random(&rig, y_type, samples * rows * columns, 5);
    struct array y = rig_empty(&rig, y_type, samples * rows * columns);
    double *wanted = rig_alloc(&rig, y.count * sizeof(double));
    double *left = rig_alloc(&rig, a.count * sizeof(double));
    double *right = rig_alloc(&rig, b.count * sizeof(double));
    for (size_t i = 0; i < a.count && add; i++)
        left[i] = da.host[i];
    for (size_t i = 0; i < b.count && add; i++)
        right[i] = db.host[i];
    for (size_t at = 0; at < y.count; at++) {
        size_t sample = at / (rows * columns), row = at % (rows * columns) / columns;
        size_t i = sample * rows + row, j = sample * columns + at % columns;
        wanted[at] = a.host[i] * b.host[j];
        left[i] += dy.host[at] * b.host[j];
        right[j] += dy.host[at] * a.host[i];
    }
    rig_done(&rig, kernel_outer(y.values, a.values, b.values, batch, n, m, rig.stream));
    rig_done(&rig,
             kernel_outer_back_left(da.values, dy.values, b.values, batch, n, m, add, rig.stream));
    rig_done(&rig,
             kernel_outer_back_right(db.values, dy.values, a.values, batch, n, m, add, rig.stream));
    rig_expect(&rig, &y, wanted, 1e-7, "outer");
    rig_expect(&rig, &da, left, 1e-5, "outer_back_left");
    rig_expect(&rig, &db, right, 1e-5, "outer_back_right");
    rig_close(&rig);
}

Test(cuda_vectors, outer_products_and_their_gradients) {
    const int shapes[][3] = {{1, 1, 1}, {3, 1, 7}, {128, 10, 10}, {5, 33, 9}, {2, 8, 70}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 16; k++)
            check_outer(shapes[s][0], shapes[s][1], shapes[s][2], types[k & 1], types[k >> 1 & 1],
                        types[k >> 2 & 1], k >> 3);
}

/* So many values that the batch is cut into slices. */
Test(cuda_vectors, outer_products_of_more_values_than_a_slice) {
    struct rig rig = rig_open();
    size_t batch = 1030, n = 64;
    struct array a = rig_random(&rig, ELEMENT_F32, batch * n, 1);
    struct array b = rig_random(&rig, ELEMENT_F32, batch * n, 2);
    struct array y = rig_empty(&rig, ELEMENT_F32, batch * n * n);
    for (size_t at = 0; at < y.count; at++)
        y.host[at] = a.host[at / n] * b.host[at / (n * n) * n + at % n];
    rig_done(&rig,
             kernel_outer(y.values, a.values, b.values, (int)batch, (int)n, (int)n, rig.stream));
    rig_expect(&rig, &y, y.host, 0, "outer");
    rig_close(&rig);
}

static void check_softmax(int batch, int n, enum element to, enum element from, bool add) {
    struct rig rig = rig_open();
    size_t count = (size_t)batch * (size_t)n;
    double *values = rig_alloc(&rig, count * sizeof(double));
    double *wanted = rig_alloc(&rig, count * sizeof(double));
    double *back = rig_alloc(&rig, count * sizeof(double));
    for (size_t i = 0; i < count; i++) /* far from 0 in some samples; the last has a NaN */
        values[i] = 8 * rig_value(1, i) + 100 * ((double)(i / (size_t)n % 3) - 1);
    if (batch > 1)
        values[count - 1] = NAN;
    struct array x = rig_array(&rig, from, values, count), y = rig_empty(&rig, to, count);
    struct array probabilities = rig_random(&rig, from, count, 2);
    struct array dy = rig_random(&rig, from, count, 3), dx = rig_random(&rig, to, count, 4);
    for (size_t first = 0; first < count; first += (size_t)n) {
        double most = -INFINITY, sum = 0, dot = 0;
        for (size_t i = first; i < first + (size_t)n; i++)
            most = fmax(most, x.host[i]);
        for (size_t i = first; i < first + (size_t)n; i++) {
            sum += exp(x.host[i] - most);
            dot += probabilities.host[i] * dy.host[i];
        }
        for (size_t i = first; i < first + (size_t)n; i++) {
            wanted[i] = exp(x.host[i] - most) / sum;
            back[i] = probabilities.host[i] * (dy.host[i] - dot) + (add ? dx.host[i] : 0);
        }
    }
    rig_done(&rig, kernel_softmax(y.values, x.values, batch, n, rig.stream));
    rig_done(&rig, kernel_softmax_back(dx.values, dy.values, probabilities.values, batch, n, add,
                                       rig.stream));
    rig_expect(&rig, &y, wanted, 1e-6, "softmax");
    rig_expect(&rig, &dx, back, 1e-4, "softmax_back");
    rig_close(&rig);
}

Test(cuda_vectors, softmax_and_its_gradient) {
    const int shapes[][2] = {{1, 1}, {3, 10}, {8, 31}, {9, 32}, {7, 33}, {128, 10}, {2, 257}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 8; k++)
            check_softmax(shapes[s][0], shapes[s][1], types[k & 1], types[k >> 1 & 1], k >> 2);
}
