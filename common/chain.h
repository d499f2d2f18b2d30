/* The chain over all batches that a run consumed:
 *
 *   head(t+1) = SHA-256(head(t) ‖ step t as 8 bytes LE ‖ CRC-32C of batch t as 4 bytes LE),
 *   head(0) = zeros.
 *
 * The trainer keeps it and writes its head into every checkpoint; verify computes it again from the
 * dataset. Equal heads are equal batches in an equal order. */
#ifndef COMMON_CHAIN_H
#define COMMON_CHAIN_H

#include "common/sha256.h"

/* From head(step) to head(step + 1). */
void chain_add(uint8_t head[static SHA256_SIZE], uint64_t step, uint32_t crc);

#endif
