/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): the digest of every payload on the wire. */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `size` bytes. Uses the processor's instruction where there is
 * one; the result is the same on every machine. crc32c(crc32c(0, a), b) is that of a then b. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* The same by table alone: the fallback, and the oracle of the test. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t size);

#endif
