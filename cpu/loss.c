/* Losses of both outputs, their gradients, and hits. Softmax cross-entropy with smoothed labels;
 * for regression the squared error. */
#include "cpu/engine_private.h"

#include <math.h>

/* Cross-entropy of one row; the gradient replaces the logits. Ties go to the lowest class. */
static float cross_entropy(float *row, int classes, int label, float smoothing, float weight,
                           uint8_t *hit) {
    float most = row[0], sum = 0, all = 0, own = row[label];
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (row[i] > most) {
            most = row[i];
            best = i;
        }
    *hit = best == label;
    for (int i = 0; i < classes; i++) {
        all += row[i] - most;
        sum += expf(row[i] - most);
    }
    float log_sum = logf(sum), share = smoothing / (float)classes;
    /* -Σ target (x - most - log_sum), where the targets add up to 1 */
    float loss = log_sum - (1.0f - smoothing) * (own - most) - share * all;
    for (int i = 0; i < classes; i++) {
        float target = share + (i == label ? 1.0f - smoothing : 0.0f);
        row[i] = weight * (expf(row[i] - most) / sum - target);
    }
    return loss;
}

static float squared_error(float *value, int wanted, float weight, uint8_t *hit) {
    float away = *value - (float)wanted;
    *hit = rintf(*value) == (float)wanted;
    *value = weight * 2.0f * away;
    return away * away;
}

/* One output, all samples. Returns the mean loss and counts the hits, in sample order. */
static float head(struct engine *engine, const struct cpu_node *node, const uint8_t *labels,
                  float weight, bool regression, float *losses, uint8_t *hits,
                  uint32_t *hit_count) {
    size_t classes = (size_t)shape_values(node->node->shape);
    float share = weight / (float)engine->batch;
#pragma omp parallel for schedule(static) num_threads(team(engine, (size_t)engine->batch *classes))
    for (int thread = 0; thread < engine->threads; thread++)
        for (int sample = thread; sample < engine->batch; sample += engine->threads) {
            float *row = thread_scratch(engine, thread);
            values_load(row, node->y, (size_t)sample * classes, classes);
            losses[sample] = regression ? squared_error(row, labels[sample], share, &hits[sample])
                                        : cross_entropy(row, (int)classes, labels[sample],
                                                        engine->config.optimizer.label_smoothing,
                                                        share, &hits[sample]);
            if (node->dy.data)
                values_store(node->dy, (size_t)sample * classes, row, classes);
        }
    double sum = 0;
    *hit_count = 0;
    for (int sample = 0; sample < engine->batch; sample++) {
        sum += losses[sample];
        *hit_count += hits[sample];
    }
    return (float)(sum / engine->batch);
}

void loss_compute(struct engine *engine, const struct batch *batch, struct step_result *result) {
    const struct optimizer *optimizer = &engine->config.optimizer;
    const struct net *net = engine->net;
    result->step = batch->step;
    result->count = batch->count;
    result->digit_loss =
        head(engine, &engine->nodes[net->digit_output], batch->labels, optimizer->digit_weight,
             false, engine->losses, engine->hits, &result->digit_hits);
    result->sum_loss =
        head(engine, &engine->nodes[net->sum_output], batch->sums, optimizer->sum_weight,
             net->regression, engine->losses, engine->hits, &result->sum_hits);
    result->loss =
        optimizer->digit_weight * result->digit_loss + optimizer->sum_weight * result->sum_loss;
}
