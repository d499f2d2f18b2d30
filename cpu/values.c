/* Bulk conversion between stored values and floats. */
#include "cpu/values.h"

CLONES static void widen(float *restrict to, const uint16_t *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = bf16_to_float(from[i]);
}

CLONES static void narrow(uint16_t *restrict to, const float *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = float_to_bf16(from[i]);
}

void values_load(float *to, struct values from, size_t first, size_t count) {
    if (from.type == PRECISION_BF16)
        widen(to, (const uint16_t *)from.data + first, count);
    else
        memcpy(to, (const float *)from.data + first, count * sizeof(float));
}

void values_store(struct values to, size_t first, const float *from, size_t count) {
    if (to.type == PRECISION_BF16)
        narrow((uint16_t *)to.data + first, from, count);
    else
        memcpy((float *)to.data + first, from, count * sizeof(float));
}
