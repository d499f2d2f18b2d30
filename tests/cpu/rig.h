/* What the CPU engine's tests share: a net from text, one random batch, an engine with settings. */
#ifndef TESTS_CPU_RIG_H
#define TESTS_CPU_RIG_H

#include "model/engine.h"

extern const struct engine_ops cpu_engine;

struct rig {
    struct net *net;
    struct engine *engine;
    struct engine_config config;
    struct error error;
    uint8_t *images, *labels, *digits, *sums; /* of one batch */
};

/* A small net with every trainable kind: conv, pool, batchnorm, relu, dense, softmax, outer. */
extern const char *const rig_small;
/* conv → flatten → dropout → dense; its first dense node's units all have dropout in front. */
extern const char *const rig_dropout;

/* Nesterov with momentum 0.9, weights 1 and 1, training, 2 threads, f32. */
struct engine_config rig_config(int batch);

/* Parses, creates, imports the initial parameters and draws a batch; fails the test otherwise.
 * Tests call rig_close. */
struct rig rig_open(const char *text, struct engine_config config);
void rig_close(struct rig *rig);

/* One step on the rig's batch; fails the test where the engine does. */
struct step_result rig_step(struct rig *rig, uint64_t step, float rate);

/* The whole state in fresh arrays; `free` the four arrays. */
struct engine_state rig_export(struct rig *rig);
void rig_state_free(struct engine_state *state);

#endif
