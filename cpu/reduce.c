/* Sums over rows, the same bits whatever the number of threads. */
#include "cpu/engine_private.h"

/* Rows of one part: depends on nothing but the shape. */
size_t reduce_part_rows(size_t rows) {
    return rows <= 4096 ? 128 : 1024;
}

size_t reduce_partials(size_t rows, int channels) {
    return ((rows + reduce_part_rows(rows) - 1) / reduce_part_rows(rows)) * (size_t)channels;
}

void reduce_channels(struct engine *engine, struct values from, size_t rows, int channels,
                     float *sums) {
    size_t part = reduce_part_rows(rows), parts = (rows + part - 1) / part;
    float *partials = engine->partials;
#pragma omp parallel for schedule(static) num_threads(team(engine, rows *(size_t)channels))
    for (size_t i = 0; i < parts; i++) {
        size_t here = rows - i * part < part ? rows - i * part : part;
        engine->loops->sum_rows(partials + i * (size_t)channels,
                                values_at(from, i * part * (size_t)channels), here,
                                (size_t)channels, from.type);
    }
    for (int c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < parts; i++)
            sum += partials[i * (size_t)channels + (size_t)c];
        sums[c] = (float)sum;
    }
}
