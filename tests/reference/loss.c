/* See reference.h: both losses, their gradients and the hits. */
#include "tests/reference/reference.h"

#include <math.h>

#define DIGITS 10
#define SUMS 19

/* Cross-entropy against (1 − ε) onehot + ε / n, and p − target for its gradient. */
static double cross_entropy(const double *logits, int n, int label, double smoothing, double *d) {
    double most = logits[0], sum = 0, loss = 0;
    for (int i = 1; i < n; i++)
        most = fmax(most, logits[i]);
    for (int i = 0; i < n; i++)
        sum += exp(logits[i] - most);
    for (int i = 0; i < n; i++) {
        double log_p = logits[i] - most - log(sum);
        double target = (1 - smoothing) * (i == label) + smoothing / n;
        loss -= target * log_p;
        d[i] = exp(log_p) - target;
    }
    return loss;
}

static double squared_error(double value, double target, double *d) {
    *d = 2 * (value - target);
    return (value - target) * (value - target);
}

/* Whether the largest value is at `label`; of equal ones the first counts. */
static bool hit(const double *logits, int n, int label) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best == label;
}

struct reference_result reference_losses(const struct optimizer *optimizer, bool regression,
                                         const struct batch *batch, const double *digit_logits,
                                         const double *sum_logits, double *ddigit, double *dsum) {
    struct reference_result result = {0};
    double smoothing = (double)optimizer->label_smoothing, count = batch->count;
    double digit_weight = (double)optimizer->digit_weight,
           sum_weight = (double)optimizer->sum_weight;
    int sums = regression ? 1 : SUMS;
    for (uint32_t s = 0; s < batch->count; s++) {
        const double *digit = digit_logits + s * DIGITS, *sum = sum_logits + s * (uint32_t)sums;
        double *dd = ddigit + s * DIGITS, *ds = dsum + s * (uint32_t)sums;
        result.digit_loss += cross_entropy(digit, DIGITS, batch->labels[s], smoothing, dd) / count;
        result.digit_hits += hit(digit, DIGITS, batch->labels[s]);
        if (regression) {
            result.sum_loss += squared_error(*sum, batch->sums[s], ds) / count;
            result.sum_hits += lrint(*sum) == batch->sums[s];
        } else {
            result.sum_loss += cross_entropy(sum, SUMS, batch->sums[s], smoothing, ds) / count;
            result.sum_hits += hit(sum, SUMS, batch->sums[s]);
        }
        for (int i = 0; i < DIGITS; i++)
            dd[i] *= digit_weight / count;
        for (int i = 0; i < sums; i++)
            ds[i] *= sum_weight / count;
    }
    result.loss = digit_weight * result.digit_loss + sum_weight * result.sum_loss;
    return result;
}
