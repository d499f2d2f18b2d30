/* The random digit that goes with an image: a pure function, so that augmenters, evaluators and
 * the verifier agree without a word between them. */
#ifndef COMMON_PAIRS_H
#define COMMON_PAIRS_H

#include <stdint.h>

#define PAIRS_DIGITS 10 /* digits 0-9 */
#define PAIRS_SUMS 19   /* sums 0-18 */

/* The digit of training sample `sample` in `epoch` (both from 0). */
uint8_t pairs_digit(uint64_t seed, uint32_t epoch, uint32_t sample);

/* The digit of test image `sample`: the same in every epoch. */
uint8_t pairs_test_digit(uint64_t seed, uint32_t sample);

#endif
