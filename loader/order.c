/* The order of an epoch: a Feistel network with cycle walking. */
#include "loader/order.h"
#include "common/philox.h"

#include <assert.h>

void order_init(struct order *order, uint64_t seed, uint32_t epoch, uint32_t count) {
    assert(count >= 1 && count <= UINT32_C(1) << 31);
    uint32_t bits = 2; /* at least one bit in each half */
    while (bits < 32 && (UINT32_C(1) << bits) < count)
        bits++;
    order->count = count;
    order->high_bits = bits / 2;
    order->low_bits = bits - order->high_bits;
    order->low_mask = (UINT32_C(1) << order->low_bits) - 1;
    for (uint32_t round = 0; round < ORDER_ROUNDS; round += 2) {
        uint32_t words[4];
        philox_draw(seed, PHILOX_ORDER, epoch, 0, round / 2, words);
        order->keys[round][0] = words[0];
        order->keys[round][1] = words[1] | 1;
        order->keys[round + 1][0] = words[2];
        order->keys[round + 1][1] = words[3] | 1;
    }
}

/* The keyed function of one round: every bit of the half and the keys reaches the high bits, which
 * are those that are used. */
static inline uint32_t mix(uint32_t half, const uint32_t key[2]) {
    uint32_t x = (half + key[0]) * key[1];
    x ^= x >> 15;
    return x * UINT32_C(0x2c1b3c6d) + key[0];
}

uint32_t order_sample(const struct order *order, uint32_t index) {
    assert(index < order->count);
    uint32_t low = index & order->low_mask, high = index >> order->low_bits;
    do {
        /* The halves take turns instead of places, so they need not be of one size. */
        for (int round = 0; round < ORDER_ROUNDS; round += 2) {
            high ^= mix(low, order->keys[round]) >> (32 - order->high_bits);
            low ^= mix(high, order->keys[round + 1]) >> (32 - order->low_bits);
        }
        index = high << order->low_bits | low;
    } while (index >= order->count);
    return index;
}
