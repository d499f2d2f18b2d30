/* The one file that names the engines. The CPU engine is linked in; the CUDA engine is opened from
 * a shared object, so that this program starts where NVIDIA's libraries are missing. */
#include "model/engine.h"

#include "common/program.h"
#include "model/engine_plugin.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUDA_FILE "libdigitsum_cuda.so"

extern const struct engine_ops cpu_engine;

static const struct engine_ops *choose_cpu(const struct engine_config *config, const char *why,
                                           struct engine_traits *traits, char *reason, size_t size,
                                           struct error *error) {
    if (cpu_engine.probe(config, traits, error)) {
        error_prefix(error, "the CPU engine cannot run here");
        return NULL;
    }
    snprintf(reason, size, "%s: %s (%s)", cpu_engine.name, traits->description, why);
    return &cpu_engine;
}

/* --- the shared object ----------------------------------------------------------------------- */

/* Where the engine is: $DIGITSUM_CUDA, else seen from the program's own file ../lib (a build in its
 * tree: build/bin, build/tests) or ../lib/digitsum (installed). -1 where no file is there. */
static int find_object(char path[PATH_MAX], struct error *error) {
    static const char *const places[] = {"../lib/" CUDA_FILE, "../lib/digitsum/" CUDA_FILE};
    const char *given = getenv("DIGITSUM_CUDA");
    if (given && *given) {
        /* Without a folder dlopen would look for it among the system's libraries. */
        if (!realpath(given, path) || access(path, R_OK))
            return error_set(error, ERROR_UNSUPPORTED, "DIGITSUM_CUDA=%s: %s", given,
                             strerror(errno));
        return 0;
    }
    char own[PATH_MAX];
    program_folder(own);
    for (size_t i = 0; *own && i < sizeof places / sizeof *places; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", own, places[i]) < PATH_MAX && access(path, R_OK) == 0)
            return 0;
    return error_set(
        error, ERROR_UNSUPPORTED,
        "this build has no CUDA engine (no %s in %s/../lib; it is built where nvcc and "
        "cuDNN are found)",
        CUDA_FILE, own);
}

/* Opens it and checks that it was built with this program. It stays open until the process ends:
 * NVIDIA's libraries have threads and handlers of their own, and may not be unloaded. */
static const struct engine_ops *open_object(struct error *error) {
    char path[PATH_MAX];
    if (find_object(path, error))
        return NULL;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!object) {
        error_set(error, ERROR_UNSUPPORTED,
                  "the CUDA engine cannot be loaded (are the CUDA runtime, cuBLAS and cuDNN 9 "
                  "installed?): %s",
                  dlerror());
        return NULL;
    }
    const struct engine_plugin *plugin = dlsym(object, "digitsum_engine");
    const struct engine_ops *ops = NULL;
    if (!plugin)
        error_set(error, ERROR_UNSUPPORTED, "%s is not an engine: it has no digitsum_engine", path);
    else if (plugin->door != ENGINE_DOOR)
        error_set(error, ERROR_UNSUPPORTED,
                  "%s was built for another version of this program (%u, expected %u): build "
                  "again",
                  path, plugin->door, ENGINE_DOOR);
    else
        ops = plugin->ops;
    dlclose(object); /* RTLD_NODELETE: gives the handle back, and the object stays */
    return ops;
}

static const struct engine_ops *choose_cuda(const struct engine_config *config, const char *why,
                                            struct engine_traits *traits, char *reason, size_t size,
                                            struct error *error) {
    const struct engine_ops *ops = open_object(error);
    if (!ops || ops->probe(config, traits, error))
        return NULL;
    snprintf(reason, size, "%s: %s (%s)", ops->name, traits->description, why);
    return ops;
}

const struct engine_ops *engine_choose(const char *device, const struct engine_config *config,
                                       struct engine_traits *traits, char *reason, size_t size,
                                       struct error *error) {
    assert(device && config && reason && size > 0);
    struct engine_traits unread;
    traits = traits ? traits : &unread;
    *traits = (struct engine_traits){0};
    reason[0] = '\0';
    if (strcmp(device, "auto") == 0) {
        struct error missing = {0};
        char why[sizeof missing.text + 8];
        const struct engine_ops *ops = choose_cuda(config, "auto", traits, reason, size, &missing);
        if (ops)
            return ops;
        snprintf(why, sizeof why, "auto: %s", missing.text);
        return choose_cpu(config, why, traits, reason, size, error);
    }
    if (strcmp(device, "cpu") == 0)
        return choose_cpu(config, "as asked for", traits, reason, size, error);
    if (strcmp(device, "cuda") == 0) {
        const struct engine_ops *ops =
            choose_cuda(config, "as asked for", traits, reason, size, error);
        if (!ops && error)
            error_prefix(error, "device cuda");
        return ops;
    }
    error_set(error, ERROR_INVALID, "device must be auto, cpu or cuda, not '%.64s'", device);
    return NULL;
}
