/* See pairs.h. */
#include "common/pairs.h"

#include "common/philox.h"

uint8_t pairs_digit(uint64_t seed, uint32_t epoch, uint32_t sample) {
    uint32_t words[4];
    philox_draw(seed, PHILOX_DIGIT, sample, epoch, 0, words);
    return (uint8_t)philox_below(words[0], PAIRS_DIGITS);
}

uint8_t pairs_test_digit(uint64_t seed, uint32_t sample) {
    uint32_t words[4];
    philox_draw(seed, PHILOX_TEST, sample, 0, 0, words);
    return (uint8_t)philox_below(words[0], PAIRS_DIGITS);
}
