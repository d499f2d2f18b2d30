/* Philox, CRC-32C, SHA-256 and the digits that follow from them, against published vectors. */
#include "common/crc32c.h"
#include "common/pairs.h"
#include "common/philox.h"
#include "common/sha256.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* --- Philox: known answers of Random123's kat_vectors for philox4x32 with 10 rounds -------------
 */

static void check_philox(const uint32_t counter[4], const uint32_t key[2],
                         const uint32_t expected[4]) {
    uint32_t out[4];
    philox_block(counter, key, out);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(out[i], expected[i], "word %d: expected %08x, got %08x", i, expected[i],
                     out[i]);
}

Test(philox, published_vectors) {
    check_philox((const uint32_t[4]){0}, (const uint32_t[2]){0},
                 (const uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_philox((const uint32_t[4]){0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                 (const uint32_t[2]){0xffffffff, 0xffffffff},
                 (const uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_philox((const uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 (const uint32_t[2]){0xa4093822, 0x299f31d0},
                 (const uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

Test(philox, draw_puts_seed_and_use_where_it_says) {
    uint32_t drawn[4], block[4];
    philox_draw(UINT64_C(0x1122334455667788), PHILOX_WARP, 5, 6, 7, drawn);
    philox_block((const uint32_t[4]){5, 6, 7, PHILOX_WARP},
                 (const uint32_t[2]){0x55667788, 0x11223344}, block);
    cr_expect_arr_eq(drawn, block, sizeof drawn);
}

Test(philox, may_write_over_its_counter) {
    uint32_t words[4] = {0}, key[2] = {0};
    philox_block(words, key, words);
    cr_expect_eq(words[0], 0x6627e8d5);
    cr_expect_eq(words[3], 0x9b00dbd8);
}

Test(philox, floats_and_bounds) {
    cr_expect_eq(philox_float(0), 0.0f);
    cr_expect_lt(philox_float(0xffffffff), 1.0f);
    cr_expect_eq(philox_below(0xffffffff, 10), 9);
    cr_expect_eq(philox_below(0, 10), 0);
}

/* --- CRC-32C ------------------------------------------------------------------------------------
 */

Test(crc32c, published_vectors) {
    uint8_t bytes[32];
    cr_expect_eq(crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32); /* the rest: RFC 3720, appendix B.4 */
    cr_expect_eq(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    cr_expect_eq(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    cr_expect_eq(crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    cr_expect_eq(crc32c(0, bytes, 32), 0x113fdb5c);
}

Test(crc32c, fast_equals_portable_everywhere) {
    enum { SIZE = 100352 + 64 };
    uint8_t *bytes = malloc(SIZE);
    cr_assert_not_null(bytes);
    uint32_t words[4];
    for (uint32_t i = 0; i < SIZE; i += 16) {
        philox_draw(1, PHILOX_DRAW, i, 0, 0, words);
        memcpy(bytes + i, words, 16);
    }
    for (size_t from = 0; from < 17; from++)
        for (size_t size = 0; size < 260; size++)
            cr_assert_eq(crc32c(7, bytes + from, size), crc32c_portable(7, bytes + from, size),
                         "at %zu, %zu bytes", from, size);
    static const size_t sizes[] = {1000, 3071, 3072, 3073, 6144, 24576, 24577, 50000, 100352};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        cr_expect_eq(crc32c(0, bytes + 3, sizes[i]), crc32c_portable(0, bytes + 3, sizes[i]),
                     "%zu bytes", sizes[i]);
    cr_expect_eq(crc32c(crc32c(0, bytes, 12345), bytes + 12345, 80000), crc32c(0, bytes, 92345));
    free(bytes);
}

/* --- SHA-256: FIPS 180-4's examples --------------------------------------------------------------
 */

Test(sha256, published_vectors) {
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    sha256_bytes("abc", 3, digest);
    sha256_hex(digest, hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_bytes("", 0, digest);
    sha256_hex(digest, hex);
    cr_expect_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
    sha256_hex(digest, hex);
    cr_expect_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(sha256, a_million_letters) {
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX], letters[1000];
    struct sha256 *sha = sha256_create();
    cr_assert_not_null(sha);
    memset(letters, 'a', sizeof letters);
    for (int i = 0; i < 1000; i++)
        sha256_update(sha, letters, sizeof letters);
    sha256_digest(sha, digest);
    sha256_destroy(&sha);
    sha256_hex(digest, hex);
    cr_expect_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(sha256, in_parts_and_going_on_after_a_digest) {
    uint8_t digest[SHA256_SIZE], whole[SHA256_SIZE];
    struct sha256 *sha = sha256_create();
    cr_assert_not_null(sha);
    sha256_update(sha, "a", 1);
    sha256_digest(sha, digest);
    sha256_bytes("a", 1, whole);
    cr_expect_arr_eq(digest, whole, SHA256_SIZE);
    sha256_update(sha, "bc", 2);
    sha256_digest(sha, digest);
    sha256_bytes("abc", 3, whole);
    cr_expect_arr_eq(digest, whole, SHA256_SIZE);
    sha256_destroy(&sha);
    cr_expect_null(sha);
    sha256_destroy(&sha);
}

/* --- pairs ---------------------------------------------------------------------------------------
 */

Test(pairs, digits_are_uniform_and_differ_by_seed_epoch_and_sample) {
    enum { COUNT = 100000 };
    int seen[10] = {0}, same_epoch = 0, same_seed = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t digit = pairs_digit(1, 0, i);
        cr_assert_leq(digit, 9);
        seen[digit]++;
        same_epoch += digit == pairs_digit(1, 1, i);
        same_seed += digit == pairs_digit(2, 0, i);
    }
    /* Binomial(100,000, 0.1): five standard deviations are 474. */
    for (int i = 0; i < 10; i++)
        cr_expect(abs(seen[i] - COUNT / 10) < 474, "digit %d came %d times", i, seen[i]);
    cr_expect(abs(same_epoch - COUNT / 10) < 474);
    cr_expect(abs(same_seed - COUNT / 10) < 474);
}

/* Every worker of every version must draw these: they are part of what a seed means. */
Test(pairs, golden_values) {
    char train[21], test[21];
    for (uint32_t i = 0; i < 20; i++) {
        train[i] = (char)('0' + pairs_digit(1, 3, i));
        test[i] = (char)('0' + pairs_test_digit(1, i));
    }
    train[20] = test[20] = '\0';
    cr_expect_str_eq(train, "47814379623893403829");
    cr_expect_str_eq(test, "31571763519279680378");
}
