/* Batch normalisation, each kernel against the formulas in double. What one kernel leaves for the
 * next is compared and then replaced by what it should have been, so that errors do not add up. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

#define MOMENTUM 0.25
#define EPSILON 1e-3

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

struct norm {
    struct rig rig;
    size_t rows, channels, count;
    enum element type;
    bool relu;
    struct array gain, shift, running_mean, running_variance, mean, inverse, scale, offset, slope,
        base, gain_gradient, shift_gradient;
    float *partials;
    struct kernel_batchnorm about;
};

static struct array in_channels(struct norm *norm, uint32_t salt) {
    return rig_random(&norm->rig, ELEMENT_F32, norm->channels, salt);
}

/* (Re)places the pointers of `about`. */
static void bind(struct norm *norm) {
    norm->about = (struct kernel_batchnorm){
        .rows = norm->rows,
        .channels = (int)norm->channels,
        .momentum = (float)MOMENTUM,
        .epsilon = (float)EPSILON,
        .gain = norm->gain.values.data,
        .shift = norm->shift.values.data,
        .running_mean = norm->running_mean.values.data,
        .running_variance = norm->running_variance.values.data,
        .mean = norm->mean.values.data,
        .inverse = norm->inverse.values.data,
        .scale = norm->scale.values.data,
        .offset = norm->offset.values.data,
        .slope = norm->slope.values.data,
        .base = norm->base.values.data,
        .gain_gradient = norm->gain_gradient.values.data,
        .shift_gradient = norm->shift_gradient.values.data,
        .partials = norm->partials,
        .relu = norm->relu,
    };
}

static struct norm norm_open(enum element type, size_t rows, size_t channels, bool relu) {
    struct norm norm = {.rig = rig_open(),
                        .rows = rows,
                        .channels = channels,
                        .count = rows * channels,
                        .type = type,
                        .relu = relu};
    struct array *results[] = {&norm.mean,          &norm.inverse,       &norm.scale,
                               &norm.offset,        &norm.slope,         &norm.base,
                               &norm.gain_gradient, &norm.shift_gradient};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        *results[i] = rig_empty(&norm.rig, ELEMENT_F32, channels);
    norm.gain = in_channels(&norm, 101);
    norm.shift = in_channels(&norm, 102);
    norm.running_mean = in_channels(&norm, 103);
    norm.running_variance = in_channels(&norm, 104);
    norm.partials = rig_put(&norm.rig, NULL, kernel_partials(rows, (int)channels) * sizeof(float));
    bind(&norm);
    return norm;
}

static void set(struct norm *norm, struct array *array, const double *values) {
    *array = rig_array(&norm->rig, ELEMENT_F32, values, norm->channels);
    bind(norm);
}

/* Statistics of x in double: mean, squared deviations. */
static void statistics(const struct norm *norm, const double *x, double *mean, double *squares) {
    for (size_t i = 0; i < norm->count; i++)
        mean[i % norm->channels] += x[i] / (double)norm->rows;
    for (size_t i = 0; i < norm->count; i++) {
        double away = x[i] - mean[i % norm->channels];
        squares[i % norm->channels] += away * away;
    }
}

/* Runs the statistics on x and compares all they set. */
static void check_statistics(struct norm *norm, const struct array *x, double tolerance) {
    size_t channels = norm->channels;
    double rows = (double)norm->rows;
    double *space = rig_alloc(&norm->rig, 7 * channels * sizeof *space);
    double *mean = space, *squares = mean + channels, *inverse = squares + channels;
    double *scale = inverse + channels, *offset = scale + channels;
    double *running_mean = offset + channels, *running_variance = running_mean + channels;
    statistics(norm, x->host, mean, squares);
    for (size_t c = 0; c < channels; c++) {
        inverse[c] = 1 / sqrt(squares[c] / rows + EPSILON);
        scale[c] = norm->gain.host[c] * inverse[c];
        offset[c] = norm->shift.host[c] - mean[c] * scale[c];
        running_mean[c] = (1 - MOMENTUM) * norm->running_mean.host[c] + MOMENTUM * mean[c];
        running_variance[c] =
            (1 - MOMENTUM) * norm->running_variance.host[c] + MOMENTUM * squares[c] / (rows - 1);
    }
    rig_done(&norm->rig, kernel_batchnorm_statistics(&norm->about, x->values, norm->rig.stream));
    rig_expect(&norm->rig, &norm->mean, mean, tolerance, "mean");
    rig_expect(&norm->rig, &norm->inverse, inverse, tolerance, "inverse");
    rig_expect(&norm->rig, &norm->scale, scale, tolerance, "scale");
    rig_expect(&norm->rig, &norm->offset, offset, tolerance, "offset");
    rig_expect(&norm->rig, &norm->running_mean, running_mean, tolerance, "running mean");
    rig_expect(&norm->rig, &norm->running_variance, running_variance, tolerance,
               "running variance");
}

static void check_running(struct norm *norm) {
    double *scale = rig_alloc(&norm->rig, norm->channels * sizeof(double));
    double *offset = rig_alloc(&norm->rig, norm->channels * sizeof(double));
    double *variance = rig_alloc(&norm->rig, norm->channels * sizeof(double));
    for (size_t c = 0; c < norm->channels; c++)
        variance[c] = rig_value(105, c) + 1.5;
    set(norm, &norm->running_variance, variance);
    norm->running_mean = in_channels(norm, 103);
    bind(norm);
    for (size_t c = 0; c < norm->channels; c++) {
        scale[c] = norm->gain.host[c] / sqrt(variance[c] + EPSILON);
        offset[c] = norm->shift.host[c] - norm->running_mean.host[c] * scale[c];
    }
    rig_done(&norm->rig, kernel_batchnorm_running(&norm->about, norm->rig.stream));
    rig_expect(&norm->rig, &norm->scale, scale, 1e-6, "scale of the running statistics");
    rig_expect(&norm->rig, &norm->offset, offset, 1e-6, "offset of the running statistics");
    set(norm, &norm->scale, scale);
    set(norm, &norm->offset, offset);
}

/* Scale and offset that are exact in every product, so that which side of 0 a value of y is on does
 * not depend on how it was computed; some values of y are 0. */
static void set_exact(struct norm *norm) {
    double *scale = rig_alloc(&norm->rig, norm->channels * sizeof(double));
    double *offset = rig_alloc(&norm->rig, norm->channels * sizeof(double));
    for (size_t c = 0; c < norm->channels; c++) {
        scale[c] = c % 3 ? 0.5 : -2.0;
        offset[c] = ((double)(rig_word(7, c) % 5) - 2) * scale[c] / 4;
    }
    set(norm, &norm->scale, scale);
    set(norm, &norm->offset, offset);
}

static void check_apply(struct norm *norm, const struct array *x) {
    struct array y = rig_empty(&norm->rig, norm->type, norm->count);
    for (size_t i = 0; i < norm->count; i++) {
        size_t c = i % norm->channels;
        y.host[i] = x->host[i] * norm->scale.host[c] + norm->offset.host[c];
        if (norm->relu && y.host[i] < 0)
            y.host[i] = 0;
    }
    rig_done(&norm->rig,
             kernel_batchnorm_apply(&norm->about, y.values, x->values, norm->rig.stream));
    rig_expect(&norm->rig, &y, y.host, 1e-6, "apply");
}

/* Sums, then what comes of them for dx. */
static void check_back(struct norm *norm, const struct array *x, bool add) {
    size_t channels = norm->channels;
    double rows = (double)norm->rows;
    double *space = rig_alloc(&norm->rig, 4 * channels * sizeof *space);
    double *shift = space, *gain = shift + channels, *slope = gain + channels;
    double *base = slope + channels;
    struct array dy = rig_random(&norm->rig, norm->type, norm->count, 8);
    struct array dx = rig_random(&norm->rig, norm->type, norm->count, 9);
    struct array y = rig_empty(&norm->rig, norm->type, norm->count);
    norm->mean = in_channels(norm, 106);
    norm->inverse = in_channels(norm, 107);
    bind(norm);
    rig_done(&norm->rig,
             kernel_batchnorm_apply(&norm->about, y.values, x->values, norm->rig.stream));
    for (size_t i = 0; i < norm->count; i++) {
        size_t c = i % channels;
        if (norm->relu && !(x->host[i] * norm->scale.host[c] + norm->offset.host[c] > 0))
            dy.host[i] = 0;
        shift[c] += dy.host[i];
        gain[c] += dy.host[i] * (x->host[i] - norm->mean.host[c]) * norm->inverse.host[c];
    }
    for (size_t c = 0; c < channels; c++) {
        slope[c] = -norm->scale.host[c] * (gain[c] / rows) * norm->inverse.host[c];
        base[c] = -norm->scale.host[c] * shift[c] / rows - slope[c] * norm->mean.host[c];
    }
    rig_done(&norm->rig,
             kernel_batchnorm_sums(&norm->about, dy.values, y.values, x->values, norm->rig.stream));
    rig_expect(&norm->rig, &norm->shift_gradient, shift, 1e-5, "gradient of the shift");
    rig_expect(&norm->rig, &norm->gain_gradient, gain, 1e-5, "gradient of the gain");
    rig_expect(&norm->rig, &norm->slope, slope, 1e-5, "slope");
    rig_expect(&norm->rig, &norm->base, base, 1e-5, "base");
    for (size_t i = 0; i < norm->count; i++) {
        size_t c = i % channels;
        dx.host[i] = (add ? dx.host[i] : 0) + dy.host[i] * norm->scale.host[c] +
                     x->host[i] * slope[c] + base[c];
    }
    rig_done(&norm->rig, kernel_batchnorm_back(&norm->about, dx.values, dy.values, y.values,
                                               x->values, add, norm->rig.stream));
    rig_expect(&norm->rig, &dx, dx.host, 1e-5, "back");
}

static void check_shape(enum element type, size_t rows, size_t channels, bool relu, bool add) {
    struct norm norm = norm_open(type, rows, channels, relu);
    struct array x = rig_random(&norm.rig, type, norm.count, 1);
    check_statistics(&norm, &x, 1e-5);
    check_running(&norm);
    check_apply(&norm, &x);
    set_exact(&norm);
    check_apply(&norm, &x);
    check_back(&norm, &x, add);
    rig_close(&norm.rig);
}

/* One part or several; rows folded or not; channels that fill no vector, or several blocks. */
Test(cuda_batchnorm, agrees_with_the_formulas_on_any_shape) {
    const size_t shapes[][2] = {{2, 1},    {9, 1},     {40000, 1}, {40001, 1}, {2, 10},
                                {128, 10}, {127, 10},  {5001, 3},  {128, 128}, {2000, 24},
                                {300, 19}, {40, 2049}, {20, 2056}, {1800, 20}, {3001, 16}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++)
            check_shape(types[k & 1], shapes[s][0], shapes[s][1], k >> 1, (k >> 1) ^ (k & 1));
}

/* A mean 10,000 times the deviation: a sum of squares in f32 would keep no digit of the variance.
 */
Test(cuda_batchnorm, a_large_mean_costs_the_variance_no_digits) {
    const size_t shapes[][2] = {{40000, 4}, {1000, 10}, {5, 8}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct norm norm = norm_open(ELEMENT_F32, shapes[s][0], shapes[s][1], false);
        double *values = rig_alloc(&norm.rig, norm.count * sizeof *values);
        double *mean = rig_alloc(&norm.rig, norm.channels * sizeof *mean);
        double *squares = rig_alloc(&norm.rig, norm.channels * sizeof *squares);
        double *inverse = rig_alloc(&norm.rig, norm.channels * sizeof *inverse);
        for (size_t i = 0; i < norm.count; i++)
            values[i] = 10000 + rig_value(5, i);
        struct array x = rig_array(&norm.rig, ELEMENT_F32, values, norm.count);
        statistics(&norm, x.host, mean, squares);
        for (size_t c = 0; c < norm.channels; c++)
            inverse[c] = 1 / sqrt(squares[c] / (double)norm.rows + EPSILON);
        rig_done(&norm.rig, kernel_batchnorm_statistics(&norm.about, x.values, norm.rig.stream));
        rig_expect(&norm.rig, &norm.mean, mean, 1e-7, "mean");
        rig_expect(&norm.rig, &norm.inverse, inverse, 1e-4, "inverse");
        rig_close(&norm.rig);
    }
}

Test(cuda_batchnorm, a_nan_stays_in_its_channel) {
    struct norm norm = norm_open(ELEMENT_BF16, 4000, 10, true);
    double *values = rig_alloc(&norm.rig, norm.count * sizeof *values);
    for (size_t i = 0; i < norm.count; i++)
        values[i] = i == 12347 ? NAN : rig_value(1, i);
    struct array x = rig_array(&norm.rig, ELEMENT_BF16, values, norm.count);
    check_statistics(&norm, &x, 1e-5);
    rig_close(&norm.rig);
}

static void same_twice(enum element type, size_t rows, size_t channels) {
    struct norm norm = norm_open(type, rows, channels, true);
    struct array x = rig_random(&norm.rig, type, norm.count, 1);
    struct array dy = rig_random(&norm.rig, type, norm.count, 2);
    struct array first[8];
    size_t size = channels * sizeof(float);
    for (int turn = 0; turn < 2; turn++) {
        struct array *results[] = {&norm.mean,          &norm.inverse,       &norm.scale,
                                   &norm.offset,        &norm.slope,         &norm.base,
                                   &norm.gain_gradient, &norm.shift_gradient};
        rig_reverse(turn == 1);
        for (size_t i = 0; i < 8; i++)
            *results[i] = rig_empty(&norm.rig, ELEMENT_F32, channels);
        bind(&norm);
        rig_done(&norm.rig, kernel_batchnorm_statistics(&norm.about, x.values, norm.rig.stream));
        rig_done(&norm.rig, kernel_batchnorm_sums(&norm.about, dy.values, x.values, x.values,
                                                  norm.rig.stream));
        for (size_t i = 0; i < 8; i++) {
            if (turn == 0)
                first[i] = *results[i];
            else
                rig_expect_same(&norm.rig, first[i].values.data, results[i]->values.data, size,
                                "batchnorm");
        }
    }
    rig_close(&norm.rig);
}

Test(cuda_batchnorm, has_the_same_bits_in_any_order) {
    same_twice(ELEMENT_BF16, 5000, 24);
    same_twice(ELEMENT_F32, 4001, 10);
}
