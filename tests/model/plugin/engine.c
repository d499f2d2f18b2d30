/* A shared object that takes the CUDA engine's place where the choice of an engine is tested. It
 * can be probed and nothing else: device 0 is there, any other is not. Built twice, once with the
 * number of another version of the door. */
#include "model/engine_plugin.h"

#include <stdio.h>

#ifndef PLUGIN_DOOR
#define PLUGIN_DOOR ENGINE_DOOR
#endif

static int probe(const struct engine_config *config, struct engine_traits *traits,
                 struct error *error) {
    if (config->device != 0) {
        error->code = ERROR_UNSUPPORTED;
        snprintf(error->text, sizeof error->text, "no CUDA device (none found)");
        return -1;
    }
    snprintf(traits->description, sizeof traits->description, "stand-in, 139 GiB");
    return 0;
}

static const struct engine_ops ops = {.name = "cuda", .probe = probe};

const struct engine_plugin digitsum_engine = {.door = PLUGIN_DOOR, .ops = &ops};
