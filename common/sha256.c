/* See sha256.h. */
#include "common/sha256.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct sha256 {
    EVP_MD_CTX *context;
};

struct sha256 *sha256_create(void) {
    struct sha256 *self = malloc(sizeof *self);
    if (!self)
        return NULL;
    self->context = EVP_MD_CTX_new();
    if (!self->context || EVP_DigestInit_ex(self->context, EVP_sha256(), NULL) != 1)
        sha256_destroy(&self);
    return self;
}

void sha256_update(struct sha256 *self, const void *bytes, size_t size) {
    int done = EVP_DigestUpdate(self->context, bytes, size);
    assert(done == 1);
    (void)done;
}

void sha256_digest(const struct sha256 *self, uint8_t digest[static SHA256_SIZE]) {
    /* Finishing ends a context: finish a copy, so that more may be added. */
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int done = copy && EVP_MD_CTX_copy_ex(copy, self->context) == 1 &&
               EVP_DigestFinal_ex(copy, digest, NULL) == 1;
    EVP_MD_CTX_free(copy);
    if (!done)
        abort(); /* out of memory for a few bytes: nothing sensible is left to do */
}

void sha256_destroy(struct sha256 **pointer) {
    if (*pointer)
        EVP_MD_CTX_free((*pointer)->context);
    free(*pointer);
    *pointer = NULL;
}

void sha256_bytes(const void *bytes, size_t size, uint8_t digest[static SHA256_SIZE]) {
    if (EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void sha256_parts(const struct sha256_part *parts, int count, uint8_t digest[static SHA256_SIZE]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (int i = 0; done && i < count; i++)
        done = EVP_DigestUpdate(context, parts[i].bytes, parts[i].size) == 1;
    done = done && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!done)
        abort(); /* as above */
}

void sha256_hex(const uint8_t digest[static SHA256_SIZE], char hex[static SHA256_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * SHA256_SIZE] = '\0';
}

bool sha256_parse(const char *hex, uint8_t digest[static SHA256_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    if (strlen(hex) != 2 * SHA256_SIZE)
        return false;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        const char *high = strchr(digits, hex[2 * i]), *low = strchr(digits, hex[2 * i + 1]);
        if (!high || !low)
            return false;
        digest[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}
