/* What an engine in a shared object of its own exports: one constant, named digitsum_engine. The
 * version is that of model/engine.h, net.h and batch.h: a program refuses an object that was built
 * from others. */
#ifndef MODEL_ENGINE_PLUGIN_H
#define MODEL_ENGINE_PLUGIN_H

#include "model/engine.h"

/* Grows with every change of the structs that pass the door. Their sizes are part of it, so that a
 * change that was forgotten here is noticed all the same. */
#define ENGINE_PLUGIN_VERSION                                                                      \
    (1u << 24 ^ (unsigned)(sizeof(struct engine_config) << 16) ^                                   \
     (unsigned)(sizeof(struct net) << 8) ^ (unsigned)sizeof(struct node) ^                         \
     (unsigned)sizeof(struct engine_ops))

struct engine_plugin {
    unsigned version;
    const struct engine_ops *ops;
};

extern const struct engine_plugin digitsum_engine;

#endif
