/* verify_run on a run folder made by hand: a few steps over a dataset of 24 images. */
#include "augment/stage.h"
#include "common/chain.h"
#include "common/file.h"
#include "loader/gather.h"
#include "model/checkpoint.h"
#include "tests/support/scratch.h"
#include "verify/verify.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLES = 24, BATCH = 8, STEPS = 7, SEED = 5 };

static char folder[64];
static uint8_t images[SAMPLES * IMAGE_PIXELS], labels[SAMPLES];
static struct dataset dataset = {.name = "test images", .train = {.count = SAMPLES}};
static const struct warps warps = {.shift = 2, .rotate = 10};
static uint8_t digests[STEPS][SHA256_SIZE], heads[STEPS + 1][SHA256_SIZE];
static struct net *net;
static struct log journal;
static struct verify_result result;
static struct error error;

/* The digests and heads of an honest run. */
static void consume(void) {
    struct stage *stage = stage_create(SEED, &warps, 1, &error);
    cr_assert_not_null(stage, "%s", error.text);
    for (uint64_t step = 0; step < STEPS; step++) {
        static uint8_t rows[BATCH * IMAGE_PIXELS];
        uint8_t of[BATCH], pairs[3 * BATCH];
        uint32_t samples[BATCH], epochs[BATCH];
        gather_batch(&dataset.train, SEED, step, BATCH, rows, of, samples, epochs);
        stage_run(stage, BATCH, rows, of, samples, epochs, rows, pairs);
        const struct batch batch = {.step = step,
                                    .count = BATCH,
                                    .images = rows,
                                    .labels = pairs,
                                    .digits = pairs + BATCH,
                                    .sums = pairs + 2 * BATCH};
        chain_digest(&batch, digests[step]);
        memcpy(heads[step + 1], heads[step], SHA256_SIZE);
        chain_add(heads[step + 1], step, digests[step]);
    }
    stage_destroy(&stage);
}

static void write_checkpoint(uint64_t step, const char *settings) {
    const struct optimizer optimizer = {.kind = OPTIMIZER_SGD};
    struct checkpoint checkpoint = {.step = step,
                                    .samples = step * BATCH,
                                    .epoch = (double)(step * BATCH) / SAMPLES,
                                    .seed = SEED,
                                    .settings = strdup(settings),
                                    .net = net};
    sha256_hex(dataset.sha256, checkpoint.dataset);
    memcpy(checkpoint.chain, heads[step], SHA256_SIZE);
    cr_assert_eq(state_alloc(&checkpoint.state, net, &optimizer, &error), 0, "%s", error.text);
    uint8_t *bytes;
    size_t size;
    cr_assert_eq(checkpoint_encode(&checkpoint, &bytes, &size, &error), 0, "%s", error.text);
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/checkpoints/step-%09llu.safetensors", folder,
             (unsigned long long)step);
    cr_assert_eq(file_write(path, bytes, size, &error), 0, "%s", error.text);
    free(bytes);
    free(checkpoint.settings);
    state_free(&checkpoint.state);
}

static void write_record(void) {
    char text[STEPS * (SHA256_HEX) + 1] = "", path[SCRATCH_PATH];
    for (int step = 0; step < STEPS; step++) {
        char hex[SHA256_HEX];
        sha256_hex(digests[step], hex);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", hex);
    }
    scratch_write(folder, "batches.txt", text, path);
}

static const char *const honest = "{\"batch\": 8, \"shift\": 2, \"rotate\": 10}";

static void setup(void) {
    char path[128];
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    cr_assert_eq(mkdir(path, 0777), 0);
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = (uint8_t)(i % 10);
        memset(images + i * IMAGE_PIXELS, i + 1, IMAGE_PIXELS);
    }
    dataset.train.images = images;
    dataset.train.labels = labels;
    memset(dataset.sha256, 0xda, SHA256_SIZE);
    log_init(&journal, open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_ERROR);
    net = net_load("tiny", &error);
    cr_assert_not_null(net, "%s", error.text);
    memset(heads, 0, sizeof heads);
    consume();
}

static void teardown(void) {
    net_destroy(&net);
    close(journal.descriptor);
    scratch_end(folder);
}

TestSuite(verify, .init = setup, .fini = teardown, .timeout = 60);

static int verify(void) {
    error = (struct error){0};
    return verify_run(folder, &dataset, 1, &journal, &result, &error);
}

static void expect_refused(enum error_code code, const char *sentence) {
    cr_expect_eq(verify(), -1);
    cr_expect_eq(error.code, code);
    cr_expect(strstr(error.text, sentence), "%s", error.text);
}

Test(verify, an_honest_run_agrees) {
    write_checkpoint(3, honest);
    write_checkpoint(STEPS, honest);
    write_record();
    cr_assert_eq(verify(), 0, "%s", error.text);
    cr_expect_eq(result.steps, STEPS);
    cr_expect_eq(result.batch, BATCH);
    cr_expect_eq(result.seed, SEED);
    cr_expect_eq(result.checkpoints, 2);
    cr_expect_eq(result.unreadable, 0);
    cr_expect_eq(result.recorded, STEPS);
    cr_expect_float_eq(result.epochs, (double)STEPS * BATCH / SAMPLES, 1e-12);
    cr_expect_arr_eq(result.chain, heads[STEPS], SHA256_SIZE);
}

Test(verify, a_forged_batch_is_named_by_its_step) {
    digests[4][0] ^= 1;
    write_checkpoint(STEPS, honest);
    write_record();
    expect_refused(ERROR_CORRUPT, "step 4: the run consumed a batch with SHA-256");
}

Test(verify, without_a_record_the_checkpoints_bound_the_step) {
    heads[STEPS][31] ^= 1;
    write_checkpoint(3, honest);
    write_checkpoint(STEPS, honest);
    expect_refused(ERROR_CORRUPT, "differs from step 3 on, or later, but before step 7");
}

Test(verify, other_warps_make_other_batches) {
    write_checkpoint(STEPS, "{\"batch\": 8, \"shift\": 2, \"rotate\": 11}");
    write_record();
    expect_refused(ERROR_CORRUPT, "step 0: the run consumed");
}

Test(verify, another_dataset_is_refused_before_any_work) {
    write_checkpoint(STEPS, honest);
    dataset.sha256[0] ^= 1;
    expect_refused(ERROR_INVALID, "the run was trained on a dataset with SHA-256 dadada");
}

Test(verify, a_run_without_checkpoints_is_refused) {
    expect_refused(ERROR_INVALID, "has no valid checkpoint");
}

Test(verify, settings_without_a_batch_are_refused) {
    write_checkpoint(STEPS, "{\"shift\": 2}");
    expect_refused(ERROR_CORRUPT, "settings name no batch");
}
