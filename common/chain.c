/* See chain.h. */
#include "common/chain.h"

#include <string.h>

void chain_digest(const struct batch *batch, uint8_t digest[static SHA256_SIZE]) {
    const struct sha256_part parts[] = {{batch->images, (size_t)batch->count * IMAGE_PIXELS},
                                        {batch->labels, batch->count},
                                        {batch->digits, batch->count},
                                        {batch->sums, batch->count}};
    sha256_parts(parts, sizeof parts / sizeof *parts, digest);
}

void chain_add(uint8_t head[static SHA256_SIZE], uint64_t step,
               const uint8_t digest[static SHA256_SIZE]) {
    uint8_t link[2 * SHA256_SIZE + 8];
    memcpy(link, head, SHA256_SIZE);
    for (int i = 0; i < 8; i++)
        link[SHA256_SIZE + i] = (uint8_t)(step >> (8 * i));
    memcpy(link + SHA256_SIZE + 8, digest, SHA256_SIZE);
    sha256_bytes(link, sizeof link, head);
}
