/* See init.h. No state: every value is drawn by its own number. */
#include "model/init.h"

#include "common/philox.h"

#include <math.h>

/* Element i of parameter p is word i % 4 of block i / 4. */
static void fill_uniform(const struct parameter *parameter, uint32_t index, uint64_t seed,
                         float *values) {
    float bound = 1.0f / sqrtf((float)parameter->fan_in);
    uint32_t words[4];
    for (size_t i = 0; i < parameter->count; i++) {
        if (i % 4 == 0)
            philox_draw(seed, PHILOX_INIT, index, 0, (uint32_t)(i / 4), words);
        values[i] = (2.0f * philox_float(words[i % 4]) - 1.0f) * bound;
    }
}

void init_parameters(const struct net *net, uint64_t seed, float *flat) {
    for (int p = 0; p < net->parameter_count; p++) {
        const struct parameter *parameter = &net->parameters[p];
        float *values = flat + parameter->offset;
        switch (parameter->role) {
        case PARAMETER_WEIGHT:
        case PARAMETER_BIAS:
            fill_uniform(parameter, (uint32_t)p, seed, values);
            break;
        case PARAMETER_GAIN:
        case PARAMETER_VARIANCE:
            for (size_t i = 0; i < parameter->count; i++)
                values[i] = 1.0f;
            break;
        case PARAMETER_SHIFT:
        case PARAMETER_MEAN:
            for (size_t i = 0; i < parameter->count; i++)
                values[i] = 0.0f;
            break;
        }
    }
}
