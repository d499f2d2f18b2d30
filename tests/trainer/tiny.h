/* Small things that the tests of this folder train with: a network of a few hundred floats, a
 * checkpoint of it, a batch as it comes off the wire. */
#ifndef TESTS_TRAINER_TINY_H
#define TESTS_TRAINER_TINY_H

#include "common/wire.h"
#include "model/checkpoint.h"

/* Caller destroys. */
struct net *tiny_net(void);

/* AdamW's settings, with a moving average. */
extern const struct optimizer tiny_optimizer;

/* A checkpoint of `net` (borrowed) after `step` steps of `batch`, in epochs of `samples`; its
 * floats follow from the step. The settings are a literal: free the state alone. */
void tiny_checkpoint(struct checkpoint *checkpoint, struct net *net, uint64_t step, uint32_t batch,
                     uint32_t samples);

/* A PAIRS message of `count` rows, with a CRC that follows from the step. Caller releases. */
void tiny_message(struct wire_message *message, uint64_t step, uint32_t count);
uint32_t tiny_crc(uint64_t step);

/* Waits until the eventfd was written. */
void tiny_wait(int wake);

#endif
