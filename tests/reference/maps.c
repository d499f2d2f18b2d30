/* See nodes.h: the nodes that care about rows and columns, and batchnorm. */
#include "tests/reference/nodes.h"

#include <assert.h>
#include <math.h>

/* Index of [sample][channel][row][column]. */
static size_t at(struct shape shape, int sample, int channel, int row, int column) {
    return (((size_t)sample * (size_t)shape.channels + (size_t)channel) * (size_t)shape.height +
            (size_t)row) *
               (size_t)shape.width +
           (size_t)column;
}

/* --- conv: y[o][i][j] = b[o] + Σ w[o][c][k][l] x[c][i·stride + k − padding][j·stride + l −
 * padding], zero outside of x
 * ------------------------------------------------------------------------------ */

/* The outputs [*first, *end) of a row for which kernel column l lies inside of x. */
static void columns_inside(const struct pass *pass, int l, int *first, int *end) {
    struct conv_attributes conv = pass->node->conv;
    *end = pass->node->shape.width;
    for (*first = 0; *first < *end && *first * conv.stride + l - conv.padding < 0;)
        ++*first;
    while (*end > *first && (*end - 1) * conv.stride + l - conv.padding >= pass->in[0].width)
        --*end;
}

/* Everything that one weight touches in one sample: forward adds w·x to y; backward adds dy·x to dw
 * and dy·w to dx. */
static void conv_tap(const struct pass *pass, int sample, int o, int c, int k, int l,
                     bool backward) {
    struct conv_attributes conv = pass->node->conv;
    struct shape in = pass->in[0], out = pass->node->shape;
    size_t weight =
        (((size_t)o * (size_t)in.channels + (size_t)c) * (size_t)conv.kernel + (size_t)k) *
            (size_t)conv.kernel +
        (size_t)l;
    double w = pass->p[PARAMETER_WEIGHT][weight], dw = 0;
    int first, end;
    columns_inside(pass, l, &first, &end);
    for (int i = 0; i < out.height; i++) {
        int row = i * conv.stride + k - conv.padding;
        if (row < 0 || row >= in.height || first == end)
            continue;
        size_t from = at(in, sample, c, row, first * conv.stride + l - conv.padding);
        size_t to = at(out, sample, o, i, first);
        for (int j = 0; j < end - first && !backward; j++)
            pass->y[to + (size_t)j] += w * pass->x[0][from + (size_t)(j * conv.stride)];
        for (int j = 0; j < end - first && backward; j++)
            dw += pass->dy[to + (size_t)j] * pass->x[0][from + (size_t)(j * conv.stride)];
        for (int j = 0; j < end - first && backward && pass->dx[0]; j++)
            pass->dx[0][from + (size_t)(j * conv.stride)] += pass->dy[to + (size_t)j] * w;
    }
    if (backward && pass->dp[PARAMETER_WEIGHT])
        pass->dp[PARAMETER_WEIGHT][weight] += dw;
}

static void conv_taps(const struct pass *pass, int sample, int o, bool backward) {
    int kernel = pass->node->conv.kernel;
    for (int c = 0; c < pass->in[0].channels; c++)
        for (int k = 0; k < kernel; k++)
            for (int l = 0; l < kernel; l++)
                conv_tap(pass, sample, o, c, k, l, backward);
}

void conv_forward(const struct pass *pass) {
    struct shape out = pass->node->shape;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int o = 0; o < out.channels; o++) {
            for (int i = 0; i < out.height; i++)
                for (int j = 0; j < out.width; j++)
                    pass->y[at(out, sample, o, i, j)] =
                        pass->node->conv.bias ? pass->p[PARAMETER_BIAS][o] : 0;
            conv_taps(pass, sample, o, false);
        }
}

void conv_backward(const struct pass *pass) {
    struct shape out = pass->node->shape;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int o = 0; o < out.channels; o++) {
            conv_taps(pass, sample, o, true);
            for (int i = 0; i < out.height && pass->dp[PARAMETER_BIAS]; i++)
                for (int j = 0; j < out.width; j++)
                    pass->dp[PARAMETER_BIAS][o] += pass->dy[at(out, sample, o, i, j)];
        }
}

/* --- pools -------------------------------------------------------------------------------------
 */

/* Where the largest value of a window lies: of equal ones the first in row order, as PyTorch. */
static size_t largest(const struct pass *pass, int sample, int c, int i, int j) {
    struct pool_attributes pool = pass->node->pool;
    size_t best = at(pass->in[0], sample, c, i * pool.stride, j * pool.stride);
    for (int k = 0; k < pool.size; k++)
        for (int l = 0; l < pool.size; l++) {
            size_t here = at(pass->in[0], sample, c, i * pool.stride + k, j * pool.stride + l);
            if (pass->x[0][here] > pass->x[0][best])
                best = here;
        }
    return best;
}

static void maxpool(const struct pass *pass, bool backward) {
    struct shape out = pass->node->shape;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int c = 0; c < out.channels; c++)
            for (int i = 0; i < out.height; i++)
                for (int j = 0; j < out.width; j++) {
                    size_t from = largest(pass, sample, c, i, j), to = at(out, sample, c, i, j);
                    if (!backward)
                        pass->y[to] = pass->x[0][from];
                    else if (pass->dx[0])
                        pass->dx[0][from] += pass->dy[to];
                }
}
void maxpool_forward(const struct pass *pass) {
    maxpool(pass, false);
}
void maxpool_backward(const struct pass *pass) {
    maxpool(pass, true);
}

static void average_window(const struct pass *pass, int sample, int c, int i, int j,
                           bool backward) {
    struct pool_attributes pool = pass->node->pool;
    size_t to = at(pass->node->shape, sample, c, i, j);
    double sum = 0, area = pool.size * pool.size;
    for (int k = 0; k < pool.size; k++)
        for (int l = 0; l < pool.size; l++) {
            size_t from = at(pass->in[0], sample, c, i * pool.stride + k, j * pool.stride + l);
            sum += pass->x[0][from];
            if (backward && pass->dx[0])
                pass->dx[0][from] += pass->dy[to] / area;
        }
    if (!backward)
        pass->y[to] = sum / area;
}

static void avgpool(const struct pass *pass, bool backward) {
    struct shape out = pass->node->shape;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int c = 0; c < out.channels; c++)
            for (int i = 0; i < out.height; i++)
                for (int j = 0; j < out.width; j++)
                    average_window(pass, sample, c, i, j, backward);
}
void avgpool_forward(const struct pass *pass) {
    avgpool(pass, false);
}
void avgpool_backward(const struct pass *pass) {
    avgpool(pass, true);
}

/* --- batchnorm: y = gain · (x − mean) / sqrt(variance + ε) + shift, per channel ------------------
 */

struct moments {
    double mean, variance; /* biased */
    double count;          /* values that they are of */
};

static struct moments batch_moments(const struct pass *pass, int c) {
    struct shape shape = pass->in[0];
    struct moments m = {.count = (double)pass->batch * shape.height * shape.width};
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < shape.height; i++)
            for (int j = 0; j < shape.width; j++)
                m.mean += pass->x[0][at(shape, sample, c, i, j)] / m.count;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < shape.height; i++)
            for (int j = 0; j < shape.width; j++) {
                double apart = pass->x[0][at(shape, sample, c, i, j)] - m.mean;
                m.variance += apart * apart / m.count;
            }
    return m;
}

/* What the node normalises by: the batch while training, else the running statistics. */
static struct moments moments_of(const struct pass *pass, int c) {
    if (pass->training)
        return batch_moments(pass, c);
    return (struct moments){pass->p[PARAMETER_MEAN][c], pass->p[PARAMETER_VARIANCE][c], 0};
}

void batchnorm_forward(const struct pass *pass) {
    struct shape shape = pass->in[0];
    for (int c = 0; c < shape.channels; c++) {
        struct moments m = moments_of(pass, c);
        double scale = 1 / sqrt(m.variance + (double)pass->node->batchnorm.epsilon);
        for (int sample = 0; sample < pass->batch; sample++)
            for (int i = 0; i < shape.height; i++)
                for (int j = 0; j < shape.width; j++) {
                    size_t n = at(shape, sample, c, i, j);
                    pass->y[n] = pass->p[PARAMETER_GAIN][c] * (pass->x[0][n] - m.mean) * scale +
                                 pass->p[PARAMETER_SHIFT][c];
                }
    }
}

/* With h = (x − mean) · scale: dgain = Σ dy h, dshift = Σ dy, and since mean and variance are of
 * the batch too, dx = gain · scale · (dy − dshift / n − h · dgain / n). */
static void batchnorm_channel_backward(const struct pass *pass, int c) {
    struct shape shape = pass->in[0];
    struct moments m = batch_moments(pass, c);
    double scale = 1 / sqrt(m.variance + (double)pass->node->batchnorm.epsilon);
    double dgain = 0, dshift = 0;
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < shape.height; i++)
            for (int j = 0; j < shape.width; j++) {
                size_t n = at(shape, sample, c, i, j);
                dgain += pass->dy[n] * (pass->x[0][n] - m.mean) * scale;
                dshift += pass->dy[n];
            }
    for (int sample = 0; sample < pass->batch && pass->dx[0]; sample++)
        for (int i = 0; i < shape.height; i++)
            for (int j = 0; j < shape.width; j++) {
                size_t n = at(shape, sample, c, i, j);
                double h = (pass->x[0][n] - m.mean) * scale;
                pass->dx[0][n] += pass->p[PARAMETER_GAIN][c] * scale *
                                  (pass->dy[n] - dshift / m.count - h * dgain / m.count);
            }
    if (pass->dp[PARAMETER_GAIN])
        pass->dp[PARAMETER_GAIN][c] += dgain;
    if (pass->dp[PARAMETER_SHIFT])
        pass->dp[PARAMETER_SHIFT][c] += dshift;
}

void batchnorm_backward(const struct pass *pass) {
    assert(pass->training);
    for (int c = 0; c < pass->in[0].channels; c++)
        batchnorm_channel_backward(pass, c);
}

void reference_batchnorm_track(const struct pass *pass) {
    double momentum = (double)pass->node->batchnorm.momentum;
    for (int c = 0; c < pass->in[0].channels; c++) {
        struct moments m = batch_moments(pass, c);
        double *mean = &pass->p[PARAMETER_MEAN][c], *variance = &pass->p[PARAMETER_VARIANCE][c];
        assert(m.count > 1);
        *mean = (1 - momentum) * *mean + momentum * m.mean;
        *variance = (1 - momentum) * *variance + momentum * m.variance * m.count / (m.count - 1);
    }
}
