/* How fast one core makes pairs: the augmenter's stage alone, on random images, for the usual
 * warps.
 *
 *     build/bench/augment
 *
 * Prints images per second, best and median of the repeats, a line for each set of warps. */
#include "augment/stage.h"
#include "common/clock.h"
#include "common/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 1280, REPEATS = 60 };

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(const char *name, const struct warps *warps) {
    static uint8_t images[IMAGES * IMAGE_PIXELS], out[IMAGES * IMAGE_PIXELS], pairs[3 * IMAGES];
    static uint8_t labels[IMAGES];
    static uint32_t samples[IMAGES], epochs[IMAGES];
    double seconds[REPEATS];
    struct error error = {0};
    struct stage *stage = stage_create(1, warps, 1, &error);
    if (!stage) {
        fprintf(stderr, "augment: %s\n", error.text);
        return 1;
    }
    for (uint32_t i = 0; i < IMAGES * IMAGE_PIXELS; i += 16) {
        uint32_t words[4];
        philox_draw(1, PHILOX_DRAW, i, 0, 0, words);
        memcpy(images + i, words, 16);
    }
    for (uint32_t i = 0; i < IMAGES; i++)
        samples[i] = i;
    for (int i = 0; i < REPEATS; i++) {
        double begin = clock_seconds();
        stage_run(stage, IMAGES, images, labels, samples, epochs, out, pairs);
        seconds[i] = clock_seconds() - begin;
    }
    qsort(seconds, REPEATS, sizeof *seconds, ascending);
    printf("%-24s %10.0f images/s best, %10.0f median\n", name, IMAGES / seconds[0],
           IMAGES / seconds[REPEATS / 2]);
    stage_destroy(&stage);
    return 0;
}

int main(void) {
    return measure("none", &(struct warps){0}) | measure("shift", &(struct warps){.shift = 2}) |
           measure("shift+rotate+scale", &(struct warps){.shift = 2, .rotate = 10, .scale = 0.1f}) |
           measure("all with elastic", &(struct warps){2, 10, 0.1f, 5, 1});
}
