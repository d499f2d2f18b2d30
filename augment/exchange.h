/* The augmenter at work: joins a run, pulls samples from its loaders, pushes pairs to its trainer,
 * one batch in hand at a time. What becomes of a batch is stage.h's. */
#ifndef AUGMENT_EXCHANGE_H
#define AUGMENT_EXCHANGE_H

#include "common/error.h"
#include "common/log.h"

#include <stdint.h>

struct exchange_settings {
    const char *join, *name;   /* the trainer's address; who we are */
    int64_t threads, patience; /* that warp images; seconds of the trainer's silence */
};

struct exchange;

/* Opens its sockets and asks to join, without waiting. The texts of `settings`, and `log`, are
 * borrowed. NULL with the reason. */
struct exchange *exchange_create(const struct exchange_settings *settings, const struct log *log,
                                 struct error *error);

/* Until the run is over: 0. -1: ERROR_INTERRUPTED (a signal), or as peer_receive. */
int exchange_loop(struct exchange *self, struct error *error);

/* Batches of pairs sent so far. */
uint64_t exchange_batches(const struct exchange *self);

/* NULL-safe, sets *self to NULL. */
void exchange_destroy(struct exchange **self);

#endif
