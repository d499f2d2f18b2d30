/* What an engine in a shared object of its own exports: one constant, named digitsum_engine. */
#ifndef MODEL_ENGINE_PLUGIN_H
#define MODEL_ENGINE_PLUGIN_H

#include "model/engine.h"

/* The build gives it: a checksum of the headers whose structs pass the door. A program refuses an
 * object that was built from other ones. */
#ifndef ENGINE_DOOR
#error "ENGINE_DOOR is not defined: see the Makefile"
#endif

struct engine_plugin {
    unsigned door; /* ENGINE_DOOR */
    const struct engine_ops *ops;
};

extern const struct engine_plugin digitsum_engine;

#endif
