/* The one file that names the engines. */
#include "model/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

extern const struct engine_ops cpu_engine;

static const struct engine_ops *choose_cpu(const struct engine_config *config, const char *why,
                                           char *reason, size_t size, struct error *error) {
    char description[256] = "";
    if (cpu_engine.probe(config, description, sizeof description, error)) {
        error_prefix(error, "the CPU engine cannot run here");
        return NULL;
    }
    snprintf(reason, size, "%s: %s (%s)", cpu_engine.name, description, why);
    return &cpu_engine;
}

const struct engine_ops *engine_choose(const char *device, const struct engine_config *config,
                                       char *reason, size_t size, struct error *error) {
    assert(device && config && reason && size > 0);
    reason[0] = '\0';
    if (strcmp(device, "auto") == 0)
        return choose_cpu(config, "auto: this build has no CUDA engine", reason, size, error);
    if (strcmp(device, "cpu") == 0)
        return choose_cpu(config, "as asked for", reason, size, error);
    if (strcmp(device, "cuda") == 0)
        error_set(error, ERROR_UNSUPPORTED, "device cuda: this build has no CUDA engine");
    else
        error_set(error, ERROR_INVALID, "device must be auto, cpu or cuda, not '%.64s'", device);
    return NULL;
}
