/* The order of an epoch: which sample stands at which place. A keyed bijection of 0 … count-1 that
 * holds no state and no table: any loader can say at once what stands anywhere.
 *
 * Sources: Luby & Rackoff, "How to construct pseudorandom permutations from pseudorandom
 * functions", SIAM J. Comput. 17 (1988): a Feistel network of keyed functions permutes a domain of
 * 2^b; Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002: walking along its
 * cycles until a value below `count` comes up permutes any domain. This shuffles; it hides
 * nothing. */
#ifndef LOADER_ORDER_H
#define LOADER_ORDER_H

#include <stdint.h>

#define ORDER_ROUNDS 8

struct order {
    uint32_t count;
    uint32_t low_bits, low_mask;    /* the halves of the domain: low bits … */
    uint32_t high_bits;             /* … and high bits, as many or one fewer */
    uint32_t keys[ORDER_ROUNDS][2]; /* added, multiplied (odd): drawn from Philox */
};

/* The order of `epoch` under `seed` for `count` samples (1 … 2^31). */
void order_init(struct order *order, uint64_t seed, uint32_t epoch, uint32_t count);

/* The sample at place `index` (below count). Fewer than two walks through the network on average.
 * Thread-safe. */
uint32_t order_sample(const struct order *order, uint32_t index);

#endif
