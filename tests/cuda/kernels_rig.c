/* See kernels_rig.h. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>
#include <string.h>

struct rig_block {
    struct rig_block *next;
    void *data;
    bool device;
};

static void remember(struct rig *rig, void *data, bool device) {
    struct rig_block *block = malloc(sizeof *block);
    cr_assert_not_null(block);
    *block = (struct rig_block){rig->blocks, data, device};
    rig->blocks = block;
}

struct rig rig_open(void) {
    struct rig rig = {0};
    cr_assert_eq(cudaStreamCreateWithFlags(&rig.stream, cudaStreamNonBlocking), cudaSuccess);
    return rig;
}

void rig_close(struct rig *rig) {
    rig_done(rig, cudaSuccess);
    while (rig->blocks) {
        struct rig_block *block = rig->blocks;
        rig->blocks = block->next;
        if (block->device)
            cudaFree(block->data);
        else
            free(block->data);
        free(block);
    }
    cudaStreamDestroy(rig->stream);
}

void rig_done(struct rig *rig, cudaError_t status) {
    cr_assert_eq(status, cudaSuccess, "the launch answered %d", (int)status);
    status = cudaStreamSynchronize(rig->stream);
    cr_assert_eq(status, cudaSuccess, "the stream ended with %d", (int)status);
}

void *rig_put(struct rig *rig, const void *from, size_t size) {
    void *device = NULL, *bytes = rig_alloc(rig, size);
    cr_assert_eq(cudaMalloc(&device, size), cudaSuccess);
    remember(rig, device, true);
    if (from)
        memcpy(bytes, from, size);
    else
        memset(bytes, 0xff, size);
    rig_done(rig, cudaMemcpyAsync(device, bytes, size, cudaMemcpyHostToDevice, rig->stream));
    return device;
}

void rig_get(struct rig *rig, void *to, const void *device, size_t size) {
    rig_done(rig, cudaMemcpyAsync(to, device, size, cudaMemcpyDeviceToHost, rig->stream));
}

void *rig_alloc(struct rig *rig, size_t size) {
    void *data = calloc(1, size);
    cr_assert_not_null(data);
    remember(rig, data, false);
    return data;
}

/* --- arrays ---------------------------------------------------------------------------------- */

/* Bits of the bf16 next to a float, to even where there are two. */
static uint16_t narrow(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float widen(uint16_t narrow) {
    uint32_t bits = (uint32_t)narrow << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double rig_rounded(enum element type, double value) {
    return type == ELEMENT_BF16 ? widen(narrow((float)value)) : (float)value;
}

struct array rig_array(struct rig *rig, enum element type, const double *values, size_t count) {
    struct array array = {{NULL, type}, count, rig_alloc(rig, count * sizeof(double))};
    char *bytes = rig_alloc(rig, count * element_size(type));
    for (size_t i = 0; i < count; i++) {
        float wide = (float)values[i];
        uint16_t half = narrow(wide);
        memcpy(bytes + i * element_size(type), type == ELEMENT_BF16 ? (void *)&half : &wide,
               element_size(type));
        array.host[i] = rig_rounded(type, values[i]);
    }
    array.values.data = rig_put(rig, bytes, count * element_size(type));
    return array;
}

struct array rig_random(struct rig *rig, enum element type, size_t count, uint32_t salt) {
    double *values = rig_alloc(rig, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = rig_value(salt, i);
    return rig_array(rig, type, values, count);
}

struct array rig_empty(struct rig *rig, enum element type, size_t count) {
    struct array array = {{NULL, type}, count, rig_alloc(rig, count * sizeof(double))};
    array.values.data = rig_put(rig, NULL, count * element_size(type));
    return array;
}

struct array rig_copy(struct rig *rig, const struct array *array) {
    return rig_array(rig, array->values.type, array->host, array->count);
}

uint32_t rig_word(uint32_t salt, size_t i) {
    uint64_t x = (uint64_t)i * 0x9E3779B97F4A7C15u + (uint64_t)salt * 0xD1B54A32D192ED03u + 1;
    x = (x ^ x >> 31) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 29) * 0x94D049BB133111EBu;
    return (uint32_t)(x >> 32);
}

double rig_value(uint32_t salt, size_t i) {
    return ((double)(rig_word(salt, i) % 257) - 128.0) / 128.0;
}

/* --- comparing ------------------------------------------------------------------------------- */

void rig_expect(struct rig *rig, const struct array *got, const double *wanted, double tolerance,
                const char *what) {
    bool half = got->values.type == ELEMENT_BF16;
    size_t size = element_size(got->values.type);
    char *bytes = malloc(got->count * size);
    cr_assert_not_null(bytes);
    rig_get(rig, bytes, got->values.data, got->count * size);
    for (size_t i = 0; i < got->count; i++) {
        uint16_t bits = 0;
        float value = 0;
        memcpy(half ? (void *)&bits : &value, bytes + i * size, size);
        double have = half ? widen(bits) : value;
        double room =
            tolerance * (1.0 + fabs(wanted[i])) + fabs(wanted[i]) * (half ? 1.0 / 256 : 0);
        bool equal = isnan(wanted[i])   ? isnan(have)
                     : isinf(wanted[i]) ? have == wanted[i]
                                        : fabs(have - wanted[i]) <= room;
        cr_assert(equal, "%s: number %zu of %zu (%s) is %.9g, wanted %.9g", what, i, got->count,
                  rig_name(got->values.type), have, wanted[i]);
    }
    free(bytes);
}

void rig_expect_same(struct rig *rig, const void *a, const void *b, size_t size, const char *what) {
    char *left = malloc(size), *right = malloc(size);
    cr_assert(left && right);
    rig_get(rig, left, a, size);
    rig_get(rig, right, b, size);
    cr_assert_eq(memcmp(left, right, size), 0, "%s: not the same bits twice", what);
    free(left);
    free(right);
}

/* Of the emulator; not there when the tests are linked with NVIDIA's libraries. */
extern void emulator_set_reverse(bool reverse) __attribute__((weak));

void rig_reverse(bool reverse) {
    if (emulator_set_reverse)
        emulator_set_reverse(reverse);
}
