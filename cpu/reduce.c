/* Sums over rows, the same bits whatever the number of threads. */
#include "cpu/engine_private.h"

/* Rows of one part: depends on nothing but the shape. */
size_t reduce_part_rows(size_t rows) {
    return rows <= 4096 ? 128 : 1024;
}

size_t reduce_partials(size_t rows, int channels) {
    return ((rows + reduce_part_rows(rows) - 1) / reduce_part_rows(rows)) * (size_t)channels;
}

INLINE void sum_rows(float *restrict sums, const void *restrict from, size_t rows, int channels,
                     enum precision type) {
    memset(sums, 0, sizeof *sums * (size_t)channels);
    for (size_t row = 0; row < rows; row++)
        for (int c = 0; c < channels; c++)
            sums[c] += value_get(from, row * (size_t)channels + (size_t)c, type);
}
CLONES static void sum_rows_f32(float *sums, const void *from, size_t rows, int channels) {
    sum_rows(sums, from, rows, channels, PRECISION_F32);
}
CLONES static void sum_rows_bf16(float *sums, const void *from, size_t rows, int channels) {
    sum_rows(sums, from, rows, channels, PRECISION_BF16);
}

void reduce_channels(struct engine *engine, struct values from, size_t rows, int channels,
                     float *sums) {
    size_t part = reduce_part_rows(rows), parts = (rows + part - 1) / part;
    float *partials = engine->partials;
#pragma omp parallel for schedule(static) num_threads(engine->threads) if (parts > 1)
    for (size_t i = 0; i < parts; i++) {
        size_t here = rows - i * part < part ? rows - i * part : part;
        (from.type == PRECISION_BF16 ? sum_rows_bf16 : sum_rows_f32)(
            partials + i * (size_t)channels, values_at(from, i * part * (size_t)channels), here,
            channels);
    }
    for (int c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < parts; i++)
            sum += partials[i * (size_t)channels + (size_t)c];
        sums[c] = (float)sum;
    }
}
