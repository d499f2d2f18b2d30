/* See nodes.h: the two inputs, the nodes that see only a row of values for each sample, and the
 * table of all kinds. */
#include "common/batch.h"
#include "common/philox.h"
#include "tests/reference/nodes.h"

#include <assert.h>
#include <math.h>

static int count_in(const struct pass *pass, int input) {
    return shape_values(pass->in[input]);
}
static int count_out(const struct pass *pass) {
    return shape_values(pass->node->shape);
}

/* --- inputs ------------------------------------------------------------------------------------
 */

static void image_forward(const struct pass *pass) {
    for (size_t i = 0; i < (size_t)pass->batch * IMAGE_PIXELS; i++)
        pass->y[i] = (pass->images[i] / 255.0 - 0.1307) / 0.3081;
}

static void digit_forward(const struct pass *pass) {
    for (int sample = 0; sample < pass->batch; sample++)
        pass->y[sample] = pass->digits[sample];
}

static void onehot_forward(const struct pass *pass) {
    int size = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < size; i++)
            pass->y[sample * size + i] = pass->x[0][sample] == i;
}

/* What is the same whatever the input a little to the side is: nothing flows back. */
static void no_backward(const struct pass *pass) {
    (void)pass;
}

/* --- dense: y = W x + b ------------------------------------------------------------------------
 */

static void dense_forward(const struct pass *pass) {
    int in = count_in(pass, 0), out = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int o = 0; o < out; o++) {
            double sum = pass->node->dense.bias ? pass->p[PARAMETER_BIAS][o] : 0;
            for (int i = 0; i < in; i++)
                sum += pass->p[PARAMETER_WEIGHT][(size_t)o * (size_t)in + (size_t)i] *
                       pass->x[0][(size_t)sample * (size_t)in + (size_t)i];
            pass->y[sample * out + o] = sum;
        }
}

static void dense_backward(const struct pass *pass) {
    int in = count_in(pass, 0), out = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int o = 0; o < out; o++) {
            double dy = pass->dy[sample * out + o];
            if (pass->dp[PARAMETER_BIAS])
                pass->dp[PARAMETER_BIAS][o] += dy;
            for (int i = 0; i < in; i++) {
                size_t weight = (size_t)o * (size_t)in + (size_t)i;
                size_t value = (size_t)sample * (size_t)in + (size_t)i;
                if (pass->dp[PARAMETER_WEIGHT])
                    pass->dp[PARAMETER_WEIGHT][weight] += dy * pass->x[0][value];
                if (pass->dx[0])
                    pass->dx[0][value] += dy * pass->p[PARAMETER_WEIGHT][weight];
            }
        }
}

/* --- value by value ----------------------------------------------------------------------------
 */

static void relu_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = pass->x[0][i] > 0 ? pass->x[0][i] : 0;
}

static void relu_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++)
        pass->dx[0][i] += pass->x[0][i] > 0 ? pass->dy[i] : 0;
}

static void tanh_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = tanh(pass->x[0][i]);
}

static void tanh_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++)
        pass->dx[0][i] += pass->dy[i] * (1 - pass->y[i] * pass->y[i]);
}

static void sigmoid_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = 1 / (1 + exp(-pass->x[0][i]));
}

static void sigmoid_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++)
        pass->dx[0][i] += pass->dy[i] * pass->y[i] * (1 - pass->y[i]);
}

/* x Φ(x), and Φ(x) + x φ(x) */
static double normal_share(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}

static void gelu_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = pass->x[0][i] * normal_share(pass->x[0][i]);
}

static void gelu_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++) {
        double x = pass->x[0][i], density = exp(-x * x / 2) / sqrt(2 * 3.14159265358979323846);
        pass->dx[0][i] += pass->dy[i] * (normal_share(x) + x * density);
    }
}

/* What a value is multiplied with: 0 or 1 / (1 − rate). The mask is a function of seed, step, node
 * and the value's number in the batch, or its map's if it is spatial. */
static double dropout_factor(const struct pass *pass, int i) {
    double rate = (double)pass->node->dropout.rate;
    uint32_t words[4];
    if (!pass->training)
        return 1;
    if (pass->node->dropout.spatial)
        i /= pass->node->shape.height * pass->node->shape.width;
    philox_draw(pass->seed, PHILOX_DROPOUT, (uint32_t)i / 4, (uint32_t)pass->index,
                (uint32_t)pass->step, words);
    return (double)philox_float(words[i % 4]) >= rate ? 1 / (1 - rate) : 0;
}

static void dropout_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = pass->x[0][i] * dropout_factor(pass, i);
}

static void dropout_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++)
        pass->dx[0][i] += pass->dy[i] * dropout_factor(pass, i);
}

static void flatten_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++)
        pass->y[i] = pass->x[0][i];
}

static void flatten_backward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[0]; i++)
        pass->dx[0][i] += pass->dy[i];
}

static void add_forward(const struct pass *pass) {
    for (int i = 0; i < pass->batch * count_out(pass); i++) {
        pass->y[i] = 0;
        for (int k = 0; k < pass->node->input_count; k++)
            pass->y[i] += pass->x[k][i];
    }
}

static void add_backward(const struct pass *pass) {
    for (int k = 0; k < pass->node->input_count; k++)
        for (int i = 0; i < pass->batch * count_out(pass) && pass->dx[k]; i++)
            pass->dx[k][i] += pass->dy[i];
}

/* --- several values into one or one into several ------------------------------------------------
 */

/* In channel-height-width order a join of channels and a join of flattened maps are one thing. */
static void concat_forward(const struct pass *pass) {
    int out = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int k = 0, first = 0; k < pass->node->input_count; first += count_in(pass, k++))
            for (int i = 0; i < count_in(pass, k); i++)
                pass->y[sample * out + first + i] = pass->x[k][sample * count_in(pass, k) + i];
}

static void concat_backward(const struct pass *pass) {
    int out = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int k = 0, first = 0; k < pass->node->input_count; first += count_in(pass, k++))
            for (int i = 0; i < count_in(pass, k) && pass->dx[k]; i++)
                pass->dx[k][sample * count_in(pass, k) + i] += pass->dy[sample * out + first + i];
}

/* y[i][j] = a[i] b[j] */
static void outer_forward(const struct pass *pass) {
    int n = count_in(pass, 0), m = count_in(pass, 1);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++)
                pass->y[(sample * n + i) * m + j] =
                    pass->x[0][sample * n + i] * pass->x[1][sample * m + j];
}

static void outer_backward(const struct pass *pass) {
    int n = count_in(pass, 0), m = count_in(pass, 1);
    for (int sample = 0; sample < pass->batch; sample++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++) {
                double dy = pass->dy[(sample * n + i) * m + j];
                if (pass->dx[0])
                    pass->dx[0][sample * n + i] += dy * pass->x[1][sample * m + j];
                if (pass->dx[1])
                    pass->dx[1][sample * m + j] += dy * pass->x[0][sample * n + i];
            }
}

static void softmax_forward(const struct pass *pass) {
    int n = count_out(pass);
    for (int sample = 0; sample < pass->batch; sample++) {
        const double *x = pass->x[0] + sample * n;
        double *y = pass->y + sample * n, most = x[0], sum = 0;
        for (int i = 1; i < n; i++)
            most = fmax(most, x[i]);
        for (int i = 0; i < n; i++)
            sum += exp(x[i] - most);
        for (int i = 0; i < n; i++)
            y[i] = exp(x[i] - most) / sum;
    }
}

/* dy[j]/dx[i] = y[j] (δij − y[i]) */
static void softmax_backward(const struct pass *pass) {
    int n = count_out(pass);
    for (int sample = 0; sample < pass->batch && pass->dx[0]; sample++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                pass->dx[0][sample * n + i] += pass->dy[sample * n + j] * pass->y[sample * n + j] *
                                               ((i == j) - pass->y[sample * n + i]);
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const struct reference_node rows[] = {
    [NODE_IMAGE] = {image_forward, NULL},
    [NODE_DIGIT] = {digit_forward, NULL},
    [NODE_CONV] = {conv_forward, conv_backward},
    [NODE_DENSE] = {dense_forward, dense_backward},
    [NODE_BATCHNORM] = {batchnorm_forward, batchnorm_backward},
    [NODE_RELU] = {relu_forward, relu_backward},
    [NODE_TANH] = {tanh_forward, tanh_backward},
    [NODE_SIGMOID] = {sigmoid_forward, sigmoid_backward},
    [NODE_GELU] = {gelu_forward, gelu_backward},
    [NODE_MAXPOOL] = {maxpool_forward, maxpool_backward},
    [NODE_AVGPOOL] = {avgpool_forward, avgpool_backward},
    [NODE_DROPOUT] = {dropout_forward, dropout_backward},
    [NODE_ONEHOT] = {onehot_forward, no_backward},
    [NODE_CONCAT] = {concat_forward, concat_backward},
    [NODE_ADD] = {add_forward, add_backward},
    [NODE_OUTER] = {outer_forward, outer_backward},
    [NODE_SOFTMAX] = {softmax_forward, softmax_backward},
    [NODE_FLATTEN] = {flatten_forward, flatten_backward},
};
_Static_assert(sizeof rows / sizeof *rows == NODE_KINDS, "every kind of node has its row");

const struct reference_node *reference_node(enum node_kind kind) {
    assert((int)kind >= 0 && kind < NODE_KINDS);
    return &rows[kind];
}
