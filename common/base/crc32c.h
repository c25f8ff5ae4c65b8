/* CRC-32C (Castagnoli), with the processor's instruction where there is one.
 *
 * Source: RFC 3720 appendix B.4, whose vectors are the test. Pure. */
#ifndef COMMON_BASE_CRC32C_H
#define COMMON_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Extend `crc` (0 to begin with) by `size` bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
