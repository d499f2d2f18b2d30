/* The chain over all batches that a run consumed:
 *
 *   digest(t) = SHA-256(images ‖ labels ‖ digits ‖ sums of batch t),
 *   head(t+1) = SHA-256(head(t) ‖ step t as 8 bytes LE ‖ digest(t)),
 *   head(0)   = zeros.
 *
 * The trainer computes both from the bytes that it trains on, never from what a message claims, and
 * writes the head into every checkpoint; verify computes it again from the dataset. Equal heads are
 * equal batches in an equal order, also against a worker that forges: a CRC can be mended by four
 * bytes, SHA-256 cannot. */
#ifndef COMMON_CHAIN_H
#define COMMON_CHAIN_H

#include "common/batch.h"
#include "common/sha256.h"

/* The digest of a batch's rows; its step and CRC are no part of it. Thread-safe. */
void chain_digest(const struct batch *batch, uint8_t digest[static SHA256_SIZE]);

/* From head(step) to head(step + 1). */
void chain_add(uint8_t head[static SHA256_SIZE], uint64_t step,
               const uint8_t digest[static SHA256_SIZE]);

#endif
