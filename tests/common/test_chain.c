/* The chain over consumed batches. */
#include "common/chain.h"

#include <criterion/criterion.h>
#include <string.h>

/* SHA-256 of 32 zero bytes, step 1 as 8 bytes and CRC 0x01020304 as 4 bytes, little endian:
 *   printf '\0%.0s' {1..32}; printf '\1\0\0\0\0\0\0\0\4\3\2\1' — piped into sha256sum. */
Test(chain, one_link) {
    uint8_t head[SHA256_SIZE] = {0};
    char hex[SHA256_HEX];
    chain_add(head, 1, 0x01020304);
    sha256_hex(head, hex);
    cr_expect_str_eq(hex, "8657593aa286a93bbb5e215ed88b3f38ac5030c1f736d0f40fd1da782c03b027");
    uint8_t other[SHA256_SIZE] = {0};
    chain_add(other, 2, 0x01020304);
    cr_expect(memcmp(head, other, SHA256_SIZE) != 0);
}
