/* See random.h. */
#include "tests/conformance/random.h"

#include "model/init.h"
#include "model/net.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a counter. */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double random_unit(uint64_t seed, uint64_t index) {
    return (double)(mix(mix(seed) + index * 0x9e3779b97f4a7c15) >> 11) / 9007199254740992.0;
}

struct random_batch random_batch_create(uint64_t seed, uint64_t step, uint32_t count) {
    size_t pixels = (size_t)count * IMAGE_PIXELS;
    uint8_t *memory = malloc(pixels + 3 * (size_t)count);
    cr_assert_not_null(memory);
    uint8_t *labels = memory + pixels, *digits = labels + count, *sums = digits + count;
    seed = mix(seed + 1) + step;
    for (size_t i = 0; i < pixels; i++)
        memory[i] = (uint8_t)(random_unit(seed, i) * 256);
    for (uint32_t i = 0; i < count; i++) {
        labels[i] = (uint8_t)(random_unit(seed, pixels + 2 * i) * 10);
        digits[i] = (uint8_t)(random_unit(seed, pixels + 2 * i + 1) * 10);
        sums[i] = (uint8_t)(labels[i] + digits[i]);
    }
    return (struct random_batch){{.step = step,
                                  .count = count,
                                  .images = memory,
                                  .labels = labels,
                                  .digits = digits,
                                  .sums = sums},
                                 memory};
}

void random_batch_destroy(struct random_batch *batch) {
    free(batch->memory);
    *batch = (struct random_batch){0};
}

void random_parameters(const struct net *net, uint64_t seed, float *flat) {
    init_parameters(net, seed, flat);
    for (int p = 0; p < net->parameter_count; p++) {
        const struct parameter *parameter = &net->parameters[p];
        for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
            float unit = (float)random_unit(seed, i);
            if (parameter->role == PARAMETER_GAIN || parameter->role == PARAMETER_VARIANCE)
                flat[i] = 0.5f + unit;
            else if (parameter->role == PARAMETER_SHIFT || parameter->role == PARAMETER_MEAN)
                flat[i] = unit - 0.5f;
        }
    }
}

struct net *random_net_parse(const char *nodes, const char *digit, const char *sum) {
    char text[8192];
    struct error error = {0};
    int size = snprintf(text, sizeof text, "name = test\n%s\noutput digit = %s\noutput sum = %s\n",
                        nodes, digit, sum);
    cr_assert(size > 0 && (size_t)size < sizeof text);
    struct net *net = net_parse(text, (size_t)size, "test", &error);
    cr_assert(net, "%s\n%s", error.text, text);
    return net;
}
