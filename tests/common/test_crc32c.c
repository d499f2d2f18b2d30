/* CRC-32C, both implementations against the definition bit by bit, at every size around the blocks
 * of the fast one. Published vectors are in test_numbers.c. */
#include "common/crc32c.h"
#include "common/philox.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 3 * 2048 * 2 + 3 * 128 * 2 + 64 };

/* The definition: one bit at a time. */
static uint32_t by_bits(uint32_t crc, const uint8_t *bytes, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* `size` bytes that are anything, in a block of just that size, so that a sanitizer sees a byte too
 * many. The caller frees. */
static uint8_t *noise(size_t size, uint32_t salt) {
    uint8_t *bytes = malloc(size ? size : 1);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++) {
        uint32_t words[4];
        philox_draw(salt, PHILOX_DRAW, (uint32_t)i, 0, 0, words);
        bytes[i] = (uint8_t)words[0];
    }
    return bytes;
}

Test(crc32c, of_nothing_leaves_the_crc_as_it_is) {
    cr_assert_eq(crc32c(0, "", 0), 0);
    cr_assert_eq(crc32c(0x12345678, "", 0), 0x12345678);
    cr_assert_eq(crc32c_portable(0x12345678, "", 0), 0x12345678);
}

Test(crc32c, is_the_definition_at_every_small_size) {
    for (size_t size = 0; size < 900; size++) {
        uint8_t *bytes = noise(size, 1);
        uint32_t expected = by_bits(0x9e3779b9, bytes, size);
        cr_assert_eq(crc32c(0x9e3779b9, bytes, size), expected, "%zu bytes", size);
        cr_assert_eq(crc32c_portable(0x9e3779b9, bytes, size), expected, "%zu bytes", size);
        free(bytes);
    }
}

Test(crc32c, is_the_definition_around_its_long_blocks_and_at_any_alignment) {
    uint8_t *bytes = noise(MOST + 8, 2);
    for (size_t blocks = 1; blocks <= 2; blocks++)
        for (size_t size = blocks * 6144 - 9; size < blocks * 6144 + 400; size += 3) {
            const uint8_t *begin = bytes + size % 8;
            uint32_t expected = by_bits(0, begin, size);
            cr_assert_eq(crc32c(0, begin, size), expected, "%zu bytes", size);
            cr_assert_eq(crc32c_portable(0, begin, size), expected, "%zu bytes", size);
        }
    free(bytes);
}

Test(crc32c, goes_on_where_it_was_left) {
    uint8_t *bytes = noise(MOST, 3);
    uint32_t whole = by_bits(0, bytes, MOST);
    for (size_t cut = 0; cut <= MOST; cut += 101) {
        cr_assert_eq(crc32c(crc32c(0, bytes, cut), bytes + cut, MOST - cut), whole, "at %zu", cut);
        cr_assert_eq(crc32c(crc32c_portable(0, bytes, cut), bytes + cut, MOST - cut), whole);
        cr_assert_eq(crc32c_portable(crc32c(0, bytes, cut), bytes + cut, MOST - cut), whole);
    }
    free(bytes);
}

Test(crc32c, sees_every_flipped_bit) {
    enum { SIZE = 7000 };
    uint8_t *bytes = noise(SIZE, 4);
    uint32_t whole = crc32c(0, bytes, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] ^= (uint8_t)(1u << i % 8);
        cr_assert_neq(crc32c(0, bytes, SIZE), whole, "byte %zu", i);
        bytes[i] ^= (uint8_t)(1u << i % 8);
    }
    free(bytes);
}
