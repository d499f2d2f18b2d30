/* See chain.h. */
#include "common/chain.h"

#include <string.h>

void chain_add(uint8_t head[static SHA256_SIZE], uint64_t step, uint32_t crc) {
    uint8_t link[SHA256_SIZE + 12];
    memcpy(link, head, SHA256_SIZE);
    for (int i = 0; i < 8; i++)
        link[SHA256_SIZE + i] = (uint8_t)(step >> (8 * i));
    for (int i = 0; i < 4; i++)
        link[SHA256_SIZE + 8 + i] = (uint8_t)(crc >> (8 * i));
    sha256_bytes(link, sizeof link, head);
}
