/* Fuzz target: what a trainer and a loader say to an evaluator, which is real but for its engine
 * and its pictures. Each input is an evaluator's life. Bit 0 of the first byte: with a folder for
 * what it writes. Whatever is said, it goes on, or ends because the trainer ended the run, refused
 * it, or announced a run that cannot be. */
#include "evaluator/run.h"
#include "model/engine.h"
#include "tests/fuzz/dialogue.h"
#include "trainer/null_engine.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURN_MS = 20, TURNS = 4 };

static struct dialogue dialogue;
static struct log quiet;
static struct engine_ops engine;

static int predict(struct engine *self, const uint8_t *images, const uint8_t *digits,
                   uint32_t count, float *digit_logits, float *sum_logits, struct error *error) {
    (void)self;
    (void)images;
    (void)digits;
    (void)error;
    for (uint32_t i = 0; i < count * 10; i++)
        digit_logits[i] = (float)(i % 10);
    for (uint32_t i = 0; i < count; i++) /* a scalar's row is shorter */
        sum_logits[i] = 3;
    memset(sum_logits + count, 0, 18 * count * sizeof *sum_logits);
    return 0;
}

/* In the place of model/engine.c's: no device is looked for. */
const struct engine_ops *engine_choose(const char *device, const struct engine_config *config,
                                       struct engine_traits *traits, char *reason, size_t size,
                                       struct error *error) {
    (void)traits;
    (void)device;
    (void)config;
    (void)error;
    snprintf(reason, size, "a stand-in");
    return &engine;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place) {
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Says all that the input holds; ends early where the evaluator does. */
static void live(struct run *run, const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    struct error error = {0};
    int status = 0;
    while (status == 0 && input_next(&bytes, &size, &frames)) {
        if (!dialogue_say(&dialogue, &frames, bytes, size))
            continue;
        for (int turn = 0; turn < TURNS && status == 0; turn++)
            status = run_turn(run, turn == 0 ? TURN_MS : 0, &error);
        dialogue_hush(&dialogue);
    }
    if (status == 0 || error.code == ERROR_CLOSED || error.code == ERROR_REFUSED ||
        (error.code == ERROR_CORRUPT && strstr(error.text, "announced batches")))
        return;
    fprintf(stderr, "the evaluator ended: %s\n", error.text);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct error error;
    char folder[96];
    if (size == 0)
        return 0;
    if (!dialogue.context) {
        engine = null_engine;
        engine.predict = predict;
        log_init(&quiet, 2, "fuzz", LOG_ERROR);
        if (!freopen("/dev/null", "we", stdout)) /* evaluations are printed there */
            abort();
    }
    dialogue_begin(&dialogue, "evaluator");
    snprintf(folder, sizeof folder, "%s/run", dialogue.folder);
    struct run_settings settings = {.join = dialogue.address,
                                    .run_dir = bytes[0] & 1 ? folder : NULL,
                                    .name = dialogue.name,
                                    .device = "auto",
                                    .precision = "auto",
                                    .threads = 1,
                                    .batch = 16,
                                    .patience = 60};
    struct run *run = run_create(&settings, &quiet, &error);
    if (!run) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    dialogue_meet(&dialogue);
    live(run, bytes + 1, size - 1);
    run_destroy(&run);
    if (settings.run_dir)
        nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
