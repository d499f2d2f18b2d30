/* See rows.h. */
#include "tests/conformance/rows.h"

#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HEADS DENSE("digit_head", "x", 10) DENSE("sum_head", "x", 19)

static struct net *row_net(const struct row *row) {
    char nodes[8192];
    int size = snprintf(nodes, sizeof nodes, "%s%s", row->nodes, row->digit ? "" : HEADS);
    cr_assert(size > 0 && (size_t)size < sizeof nodes, "%s: the row is too long", row->name);
    return random_net_parse(nodes, row->digit ? row->digit : "digit_head",
                            row->sum ? row->sum : "sum_head");
}

void row_run(const struct row *row, enum precision precision, int threads) {
    const struct tolerance *allowed = trial_tolerance(precision);
    struct engine_config config = trial_config(precision, row->batch);
    struct net *net = row_net(row);
    struct trial trial;
    config.threads = threads;
    if (trial_open(&trial, row->name, &net, &config))
        return;
    trial_predict(&trial, 1, (uint32_t)row->batch, allowed->logits);
    trial_step(&trial, 1, 1, allowed->loss);
    trial_compare_gradients(&trial, trial_gradient_tolerance(&trial));
    trial_compare_statistics(&trial, allowed->statistics);
    trial_close(&trial);
}

void rows_run(const struct row *rows, size_t count, enum precision precision) {
    struct engine_config config = trial_config(precision, 1);
    trial_engine(&config); /* skips before anything is allocated */
    for (size_t i = 0; i < count; i++)
        row_run(&rows[i], precision, 1 + (int)(i % 2));
}
