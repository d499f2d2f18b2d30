/* A shared object that takes the CUDA engine's place where the choice of an engine is tested. It
 * can be probed and nothing else: device 0 is there, any other is not. Built once more with the
 * number of another version of the door, and once with PLUGIN_HANGS: that one can be created, and
 * its first step or prediction says so on standard error and never ends. */
#include "model/engine_plugin.h"

#include <stdio.h>
#include <unistd.h>

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

#ifdef PLUGIN_HANGS
struct engine {
    int unused;
};

static struct engine only;

static int create(const struct net *net, const struct engine_config *config, struct engine **engine,
                  struct error *error) {
    (void)net, (void)config, (void)error;
    *engine = &only;
    return 0;
}

static int import(struct engine *engine, const struct engine_state *state, struct error *error) {
    (void)engine, (void)state, (void)error;
    return 0;
}

static _Noreturn void hang(void) {
    fprintf(stderr, "stand-in: this never ends\n");
    for (;;)
        pause();
}

static int train_step(struct engine *engine, const struct batch *batch,
                      const struct step_settings *settings, struct error *error) {
    (void)engine, (void)batch, (void)settings, (void)error;
    hang();
}

static int predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                   uint32_t count, float *digit_logits, float *sum_logits, struct error *error) {
    (void)engine, (void)images, (void)digits, (void)count;
    (void)digit_logits, (void)sum_logits, (void)error;
    hang();
}

static void destroy(struct engine **engine) {
    *engine = NULL;
}

static const struct engine_ops ops = {.name = "cuda",
                                      .probe = probe,
                                      .create = create,
                                      .import = import,
                                      .train_step = train_step,
                                      .predict = predict,
                                      .destroy = destroy};
#else
static const struct engine_ops ops = {.name = "cuda", .probe = probe};
#endif

const struct engine_plugin digitsum_engine = {.door = PLUGIN_DOOR, .ops = &ops};
