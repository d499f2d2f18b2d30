/* Numbers in memory: f32 or bf16, and the conversions. Nothing here knows of nodes. */
#ifndef CPU_VALUES_H
#define CPU_VALUES_H

#include "common/clones.h"
#include "model/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* An array whose element type is known only when the engine runs. */
struct values {
    void *data;
    enum precision type;
};

INLINE size_t precision_size(enum precision type) {
    return type == PRECISION_BF16 ? 2 : 4;
}

INLINE float bf16_to_float(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Rounds to nearest even; NaN stays NaN. */
INLINE uint16_t float_to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* Element access for loops that are specialised on a constant `type`. */
INLINE float value_get(const void *data, size_t i, enum precision type) {
    return type == PRECISION_BF16 ? bf16_to_float(((const uint16_t *)data)[i])
                                  : ((const float *)data)[i];
}
INLINE void value_set(void *data, size_t i, enum precision type, float value) {
    if (type == PRECISION_BF16)
        ((uint16_t *)data)[i] = float_to_bf16(value);
    else
        ((float *)data)[i] = value;
}

INLINE void *values_at(struct values values, size_t i) {
    return (char *)values.data + i * precision_size(values.type);
}

/* `count` elements from `first` on, as floats; and back. */
void values_load(float *to, struct values from, size_t first, size_t count);
void values_store(struct values to, size_t first, const float *from, size_t count);

#endif
