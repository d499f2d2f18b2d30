/* SHA-256 on OpenSSL's libcrypto, in the four shapes that we use. */
#ifndef COMMON_SHA256_H
#define COMMON_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
#define SHA256_HEX 65 /* 64 digits and NUL */

struct sha256; /* a digest under way */

/* NULL when memory is short. */
struct sha256 *sha256_create(void);
void sha256_update(struct sha256 *self, const void *bytes, size_t size);
/* The digest so far; more may be added afterwards. */
void sha256_digest(const struct sha256 *self, uint8_t digest[static SHA256_SIZE]);
void sha256_destroy(struct sha256 **self);

/* In one go. */
void sha256_bytes(const void *bytes, size_t size, uint8_t digest[static SHA256_SIZE]);

/* In one go over several pieces, as if they lay one after the other. */
struct sha256_part {
    const void *bytes;
    size_t size;
};
void sha256_parts(const struct sha256_part *parts, int count, uint8_t digest[static SHA256_SIZE]);

void sha256_hex(const uint8_t digest[static SHA256_SIZE], char hex[static SHA256_HEX]);
/* The reverse; false, and the digest undefined, unless `hex` is 64 lower-case digits. */
bool sha256_parse(const char *hex, uint8_t digest[static SHA256_SIZE]);

#endif
