/* A case is a row: a small net, given as the nodes of a network file, and a batch size. Every kind
 * of node has a table of rows, and each row runs at both precisions. */
#ifndef CONFORMANCE_ROWS_H
#define CONFORMANCE_ROWS_H

#include "model/engine.h"

struct row {
    const char *name;
    int batch;
    const char *nodes;       /* made of the macros below */
    const char *digit, *sum; /* outputs; NULL: two dense heads are put on the node "x" */
};

/* Nodes of a network file, so that a row stays readable. */
#define NODE(name, kind, input, attributes) name " " kind " " input " " attributes "\n"
#define JOIN2(name, kind, a, b) name " " kind " " a " " b "\n"
#define JOIN3(name, kind, a, b, c) name " " kind " " a " " b " " c "\n"
#define CONV(name, input, attributes) NODE(name, "conv", input, attributes)
#define DENSE(name, input, units) NODE(name, "dense", input, "units=" #units)
#define RELU(name, input) NODE(name, "relu", input, "")

/* One step of the row on the engine and on the reference: predict before it, losses, hits, the
 * gradient of every parameter, running statistics, all within trial_tolerance. */
void row_run(const struct row *row, enum precision precision, int threads);

/* Every row of a table, with one and two threads in turn. A row that deviates does not stop those
 * behind it. */
void rows_run(const struct row *rows, size_t count, enum precision precision);

/* The two tests of a table. */
#define ROWS_TESTS(kind, rows)                                                                     \
    Test(kind, f32) {                                                                              \
        rows_run(rows, sizeof(rows) / sizeof *(rows), PRECISION_F32);                              \
    }                                                                                              \
    Test(kind, bf16) {                                                                             \
        rows_run(rows, sizeof(rows) / sizeof *(rows), PRECISION_BF16);                             \
    }

#endif
