/* Sixteen floats at a time, for loops that the compiler does not vectorise by itself. GCC's vector
 * extension: one 512-bit register, or two or four smaller ones, and the same bits from each. */
#ifndef CPU_LANES_H
#define CPU_LANES_H

#include "cpu/values.h"

/* These types never cross a real call: every function here is inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define LANES 16

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t lanes_int __attribute__((vector_size(64))); /* also masks: 0 or -1 */
typedef uint32_t lanes_word __attribute__((vector_size(64)));
typedef uint16_t lanes_half __attribute__((vector_size(32)));
typedef uint8_t lanes_byte __attribute__((vector_size(16)));

#define lanes_select(mask, yes, no)                                                                \
    ((lanes)(((mask) & (lanes_int)(yes)) | (~(mask) & (lanes_int)(no))))

/* LANES values from element `i` on. */
INLINE lanes lanes_get(const void *data, size_t i, enum precision type) {
    if (type == PRECISION_F32) {
        lanes value;
        memcpy(&value, (const float *)data + i, sizeof value);
        return value;
    }
    lanes_half half;
    memcpy(&half, (const uint16_t *)data + i, sizeof half);
    return (lanes)(__builtin_convertvector(half, lanes_word) << 16);
}

/* Stores one register: the macros below take its value, since passing one by value would be noted
 * by the compiler as a matter of calling conventions. The same rounding as float_to_bf16. */
INLINE void lanes_store(void *data, size_t i, enum precision type, const lanes *from) {
    lanes value = *from;
    if (type == PRECISION_F32) {
        memcpy((float *)data + i, &value, sizeof value);
        return;
    }
    lanes_word bits = (lanes_word)value;
    lanes_word rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    lanes_int nan = value != value;
    rounded = (~(lanes_word)nan & rounded) | ((lanes_word)nan & ((bits >> 16) | 0x40));
    lanes_half half = __builtin_convertvector(rounded, lanes_half);
    memcpy((uint16_t *)data + i, &half, sizeof half);
}

/* Stores the bits of values that are bf16 already (or f32): no rounding. */
INLINE void lanes_store_bits(void *data, size_t i, enum precision type, const lanes_int *from) {
    lanes_int bits = *from;
    if (type == PRECISION_F32) {
        memcpy((float *)data + i, &bits, sizeof bits);
        return;
    }
    lanes_half half = __builtin_convertvector((lanes_word)bits >> 16, lanes_half);
    memcpy((uint16_t *)data + i, &half, sizeof half);
}

INLINE lanes_int lanes_get_bytes(const uint8_t *data, size_t i) {
    lanes_byte bytes;
    memcpy(&bytes, data + i, sizeof bytes);
    return __builtin_convertvector(bytes, lanes_int);
}

INLINE void lanes_store_bytes(uint8_t *data, size_t i, const lanes_int *from) {
    lanes_byte bytes = __builtin_convertvector(*from, lanes_byte);
    memcpy(data + i, &bytes, sizeof bytes);
}

#define lanes_set(data, i, type, value)                                                            \
    do {                                                                                           \
        lanes lanes_set_ = (value);                                                                \
        lanes_store(data, i, type, &lanes_set_);                                                   \
    } while (0)
#define lanes_put(data, i, type, value)                                                            \
    do {                                                                                           \
        lanes_int lanes_put_ = (value);                                                            \
        lanes_store_bits(data, i, type, &lanes_put_);                                              \
    } while (0)
#define lanes_set_bytes(data, i, value)                                                            \
    do {                                                                                           \
        lanes_int lanes_set_bytes_ = (value);                                                      \
        lanes_store_bytes(data, i, &lanes_set_bytes_);                                             \
    } while (0)

#endif
