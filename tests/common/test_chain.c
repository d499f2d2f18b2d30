/* The chain over consumed batches. */
#include "common/chain.h"
#include "common/crc32c.h"

#include <criterion/criterion.h>
#include <string.h>

/* SHA-256 of 32 zero bytes, step 1 as 8 bytes little endian, and 32 bytes 0x05:
 *   { printf '\0%.0s' {1..32}; printf '\1\0\0\0\0\0\0\0'; printf '\5%.0s' {1..32}; } | sha256sum */
Test(chain, one_link) {
    uint8_t head[SHA256_SIZE] = {0};
    char hex[SHA256_HEX];
    uint8_t digest[SHA256_SIZE];
    memset(digest, 5, sizeof digest);
    chain_add(head, 1, digest);
    sha256_hex(head, hex);
    cr_expect_str_eq(hex, "0839a4581f58c489bf8ee12b4f9baf3a3d419b0e140b1f3dc60704a8e540abe5");
    uint8_t other[SHA256_SIZE] = {0};
    chain_add(other, 2, digest);
    cr_expect(memcmp(head, other, SHA256_SIZE) != 0);
}

/* The rows of a batch, one after the other: the same bytes in one piece have the same digest. */
Test(chain, digest_covers_every_row_in_order) {
    enum { COUNT = 3, SIZE = COUNT * (IMAGE_PIXELS + 3) };
    uint8_t bytes[SIZE], digest[SHA256_SIZE], whole[SHA256_SIZE];
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7);
    struct batch batch = {.count = COUNT,
                          .images = bytes,
                          .labels = bytes + COUNT * IMAGE_PIXELS,
                          .digits = bytes + COUNT * (IMAGE_PIXELS + 1),
                          .sums = bytes + COUNT * (IMAGE_PIXELS + 2)};
    chain_digest(&batch, digest);
    sha256_bytes(bytes, SIZE, whole);
    cr_expect_arr_eq(digest, whole, SHA256_SIZE);
    bytes[SIZE - 1] ^= 1;
    chain_digest(&batch, digest);
    cr_expect(memcmp(digest, whole, SHA256_SIZE) != 0);
}

/* CRC-32C of the image with the 32 bits of `patch` flipped in its first four bytes. */
static uint32_t crc_with(const uint8_t *image, uint32_t patch) {
    uint8_t copy[IMAGE_PIXELS];
    memcpy(copy, image, sizeof copy);
    for (int i = 0; i < 4; i++)
        copy[i] ^= (uint8_t)(patch >> (8 * i));
    return crc32c(0, copy, sizeof copy);
}

/* The bits to flip in the first four bytes that bring the CRC to `wanted`: a CRC is linear in them,
 * so they are the solution of 32 equations over GF(2), by elimination. */
static uint32_t mend(const uint8_t *image, uint32_t wanted) {
    uint32_t rows[32], masks[32], rest = crc_with(image, 0) ^ wanted, patch = 0;
    for (int i = 0; i < 32; i++) {
        masks[i] = UINT32_C(1) << i;
        rows[i] = crc_with(image, masks[i]) ^ crc_with(image, 0);
    }
    for (int bit = 0, top = 0; bit < 32; bit++) {
        int pivot = top;
        while (pivot < 32 && !(rows[pivot] >> bit & 1))
            pivot++;
        if (pivot == 32)
            continue;
        uint32_t row = rows[pivot], mask = masks[pivot];
        rows[pivot] = rows[top], masks[pivot] = masks[top];
        rows[top] = row, masks[top] = mask;
        top++;
        for (int i = top; i < 32; i++)
            if (rows[i] >> bit & 1)
                rows[i] ^= row, masks[i] ^= mask;
        if (rest >> bit & 1)
            rest ^= row, patch ^= mask;
    }
    return patch;
}

/* A worker that blackens half of a picture and mends four bytes keeps its CRC-32C, but not the
 * digest. */
Test(chain, a_forged_batch_of_the_same_crc_has_another_digest) {
    uint8_t image[IMAGE_PIXELS], forged[IMAGE_PIXELS], rows[3] = {3, 4, 7};
    uint8_t honest_digest[SHA256_SIZE], forged_digest[SHA256_SIZE];
    for (int i = 0; i < IMAGE_PIXELS; i++)
        image[i] = (uint8_t)(i * 37 + i / 28);
    memcpy(forged, image, sizeof forged);
    memset(forged + IMAGE_PIXELS / 2, 0, IMAGE_PIXELS / 2);
    uint32_t patch = mend(forged, crc32c(0, image, sizeof image));
    for (int i = 0; i < 4; i++)
        forged[i] ^= (uint8_t)(patch >> (8 * i));
    cr_assert_eq(crc32c(0, forged, sizeof forged), crc32c(0, image, sizeof image));
    struct batch batch = {
        .count = 1, .images = image, .labels = rows, .digits = rows + 1, .sums = rows + 2};
    chain_digest(&batch, honest_digest);
    batch.images = forged;
    chain_digest(&batch, forged_digest);
    cr_expect(memcmp(honest_digest, forged_digest, SHA256_SIZE) != 0);
}
