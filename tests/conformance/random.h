/* Random test data: a pure function of its seed, so that every run sees the same numbers. Has its
 * own generator: a mistake in Philox must not hide itself. */
#ifndef CONFORMANCE_RANDOM_H
#define CONFORMANCE_RANDOM_H

#include "common/batch.h"
#include "model/net.h"

/* Number `index` of the sequence `seed`, in [0, 1). */
double random_unit(uint64_t seed, uint64_t index);

/* A batch with memory of its own: every pixel, label and digit random. */
struct random_batch {
    struct batch batch;
    uint8_t *memory;
};
struct random_batch random_batch_create(uint64_t seed, uint64_t step, uint32_t count);
void random_batch_destroy(struct random_batch *batch);

/* Parameters as init_parameters makes them, but gains, shifts and running statistics random too, so
 * that none of them hides behind its starting value. */
void random_parameters(const struct net *net, uint64_t seed, float *flat);

/* Parses the lines of nodes and the names of the two outputs. Fails the test with the
 * parser's sentence where they are wrong. */
struct net *random_net_parse(const char *nodes, const char *digit, const char *sum);

#endif
