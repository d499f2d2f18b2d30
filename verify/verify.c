/* See verify.h. */
#include "verify/verify.h"

#include "augment/stage.h"
#include "common/chain.h"
#include "common/file.h"
#include "common/record.h"
#include "common/signals.h"
#include "loader/gather.h"
#include "model/checkpoint.h"

#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What of a checkpoint is held against the chain. */
struct head {
    uint64_t step;
    uint8_t chain[SHA256_SIZE];
    char path[PATH_MAX];
};

struct verify {
    const struct dataset *dataset;
    const struct log *log;
    struct head *heads; /* by step */
    size_t head_count;
    /* of the newest checkpoint */
    uint64_t seed;
    uint32_t batch;
    struct warps warps;
    char trained_on[SHA256_HEX];
    /* the run's record; empty where it has none */
    uint8_t (*digests)[SHA256_SIZE];
    bool *known;
    uint64_t recorded;
    /* one batch */
    struct stage *stage;
    uint8_t *images, *labels, *pairs;
    uint32_t *samples, *epochs;
    /* where we are */
    uint8_t chain[SHA256_SIZE];
    uint8_t *used; /* [samples of the training split] of this epoch */
    uint32_t used_count, epoch;
};

/* --- the run ---------------------------------------------------------------------------------- */

static double number(const json_t *settings, const char *key) {
    return json_number_value(json_object_get(settings, key));
}

/* Seed, batch and warps, as the run's newest checkpoint has them. */
static int take_settings(struct verify *self, const struct checkpoint *newest,
                         struct error *error) {
    json_error_t bad;
    json_t *settings = json_loads(newest->settings, 0, &bad);
    double batch = number(settings, "batch");
    if (!settings || !(batch >= 1 && batch <= BATCH_MAX)) {
        json_decref(settings);
        return error_set(error, ERROR_CORRUPT, "the checkpoint's settings name no batch");
    }
    self->seed = newest->seed;
    self->batch = (uint32_t)batch;
    self->warps = warps_from_json(settings);
    memcpy(self->trained_on, newest->dataset, sizeof self->trained_on);
    json_decref(settings);
    return 0;
}

/* Reads what of all checkpoints counts here; the names sort by step. */
static int read_checkpoints(struct verify *self, const char *run_dir, struct verify_result *result,
                            struct error *error) {
    char pattern[PATH_MAX];
    glob_t found = {0};
    if (path_join(pattern, run_dir, "checkpoints/step-*.safetensors", error) != 0)
        return -1;
    int status = 0;
    if (glob(pattern, 0, NULL, &found) == 0)
        self->heads = calloc(found.gl_pathc, sizeof *self->heads);
    for (size_t i = 0; self->heads && i < found.gl_pathc && status == 0; i++) {
        struct error bad;
        struct checkpoint *checkpoint = checkpoint_read(found.gl_pathv[i], &bad);
        if (!checkpoint) {
            log_warning(self->log, "left out: %s", bad.text);
            result->unreadable++;
            continue;
        }
        struct head *head = &self->heads[self->head_count++];
        head->step = checkpoint->step;
        memcpy(head->chain, checkpoint->chain, sizeof head->chain);
        snprintf(head->path, sizeof head->path, "%s", found.gl_pathv[i]);
        status = take_settings(self, checkpoint, error);
        checkpoint_destroy(&checkpoint);
    }
    globfree(&found);
    if (status == 0 && self->head_count == 0)
        return error_set(error, ERROR_INVALID, "%s has no valid checkpoint", run_dir);
    return status;
}

static int read_record(struct verify *self, const char *run_dir, struct error *error) {
    char path[PATH_MAX];
    if (path_join(path, run_dir, "batches.txt", error) != 0)
        return -1;
    if (record_read(path, &self->digests, &self->known, &self->recorded, error) == 0)
        return 0;
    if (error->code != ERROR_IO)
        return -1;
    log_warning(self->log, "%s: only the checkpoints can be compared with the dataset",
                error->text);
    self->recorded = 0;
    *error = (struct error){0};
    return 0;
}

static int check_dataset(const struct verify *self, struct error *error) {
    char hex[SHA256_HEX];
    sha256_hex(self->dataset->sha256, hex);
    if (strcmp(hex, self->trained_on) == 0)
        return 0;
    return error_set(
        error, ERROR_INVALID,
        "the run was trained on a dataset with SHA-256 %.16s…, and %s has %.16s…: give --data, "
        "--hold-out, --transpose and --train-limit as its loaders had them",
        self->trained_on, self->dataset->name, hex);
}

/* --- batches ---------------------------------------------------------------------------------- */

static int open_batch(struct verify *self, int threads, struct error *error) {
    size_t batch = self->batch;
    self->images = malloc(batch * IMAGE_PIXELS);
    self->labels = malloc(batch);
    self->pairs = malloc(3 * batch);
    self->samples = malloc(batch * sizeof *self->samples);
    self->epochs = malloc(batch * sizeof *self->epochs);
    self->used = calloc(self->dataset->train.count, 1);
    if (!self->images || !self->labels || !self->pairs || !self->samples || !self->epochs ||
        !self->used)
        return error_set(error, ERROR_MEMORY, "no memory for a batch of %u", self->batch);
    self->stage = stage_create(self->seed, &self->warps, threads, error);
    return self->stage ? 0 : -1;
}

/* Makes the batch of a step as loaders and augmenters do; its digest. */
static void make_batch(struct verify *self, uint64_t step, uint8_t digest[static SHA256_SIZE]) {
    gather_batch(&self->dataset->train, self->seed, step, self->batch, self->images, self->labels,
                 self->samples, self->epochs);
    stage_run(self->stage, self->batch, self->images, self->labels, self->samples, self->epochs,
              self->images, self->pairs);
    const struct batch batch = {.step = step,
                                .count = self->batch,
                                .images = self->images,
                                .labels = self->pairs,
                                .digits = self->pairs + self->batch,
                                .sums = self->pairs + 2 * (size_t)self->batch};
    chain_digest(&batch, digest);
}

/* Every sample once an epoch: none twice, and none missing when the next epoch begins. */
static int check_once(struct verify *self, uint64_t step, struct error *error) {
    uint32_t samples = self->dataset->train.count;
    for (uint32_t i = 0; i < self->batch; i++) {
        if (self->epochs[i] != self->epoch) {
            if (self->used_count != samples)
                return error_set(error, ERROR_CORRUPT,
                                 "step %" PRIu64 ": epoch %u ended with %u of %u samples used",
                                 step, self->epoch, self->used_count, samples);
            memset(self->used, 0, samples);
            self->used_count = 0;
            self->epoch = self->epochs[i];
        }
        if (self->used[self->samples[i]]++)
            return error_set(error, ERROR_CORRUPT,
                             "step %" PRIu64 ": sample %u is used twice in epoch %u", step,
                             self->samples[i], self->epoch);
        self->used_count++;
    }
    return 0;
}

/* Holds the chain after `step` against the checkpoints of that step. `agreed` is the last step at
 * which chain or record agreed. */
static int check_heads(struct verify *self, uint64_t steps, uint64_t agreed,
                       struct verify_result *result, struct error *error) {
    for (size_t i = 0; i < self->head_count; i++) {
        if (self->heads[i].step != steps)
            continue;
        if (memcmp(self->heads[i].chain, self->chain, SHA256_SIZE) != 0)
            return error_set(error, ERROR_CORRUPT,
                             "%s: its chain does not follow from the dataset and the settings: "
                             "what was consumed differs from step %" PRIu64 " on, or later, but "
                             "before step %" PRIu64,
                             self->heads[i].path, agreed, steps);
        result->checkpoints++;
    }
    return 0;
}

static int differs(uint64_t step, const uint8_t consumed[static SHA256_SIZE],
                   const uint8_t made[static SHA256_SIZE], struct error *error) {
    char was[SHA256_HEX], is[SHA256_HEX];
    sha256_hex(consumed, was);
    sha256_hex(made, is);
    return error_set(error, ERROR_CORRUPT,
                     "step %" PRIu64 ": the run consumed a batch with SHA-256 %.16s…, dataset and "
                     "settings make %.16s…",
                     step, was, is);
}

static int check_steps(struct verify *self, struct verify_result *result, struct error *error) {
    uint64_t last = self->heads[self->head_count - 1].step, agreed = 0;
    if (check_heads(self, 0, 0, result, error) != 0)
        return -1;
    for (uint64_t step = 0; step < last; step++) {
        uint8_t digest[SHA256_SIZE];
        make_batch(self, step, digest);
        bool known = step < self->recorded && self->known[step];
        if (known && memcmp(self->digests[step], digest, SHA256_SIZE) != 0)
            return differs(step, self->digests[step], digest, error);
        if (check_once(self, step, error) != 0)
            return -1;
        chain_add(self->chain, step, digest);
        int checked = result->checkpoints;
        if (check_heads(self, step + 1, agreed, result, error) != 0)
            return -1;
        if (known || result->checkpoints > checked)
            agreed = step + 1;
        result->recorded += known;
        if (signals_stop())
            return error_set(error, ERROR_INTERRUPTED, "stopped by a signal at step %" PRIu64,
                             step);
    }
    result->steps = last;
    result->batch = self->batch;
    result->seed = self->seed;
    result->epochs = (double)last * self->batch / self->dataset->train.count;
    memcpy(result->chain, self->chain, SHA256_SIZE);
    return 0;
}

int verify_run(const char *run_dir, const struct dataset *dataset, int threads,
               const struct log *log, struct verify_result *result, struct error *error) {
    struct verify self = {.dataset = dataset, .log = log};
    *result = (struct verify_result){0};
    int status = -1;
    if (read_checkpoints(&self, run_dir, result, error) == 0 &&
        read_record(&self, run_dir, error) == 0 && check_dataset(&self, error) == 0 &&
        open_batch(&self, threads, error) == 0)
        status = check_steps(&self, result, error);
    stage_destroy(&self.stage);
    free(self.used);
    free(self.epochs);
    free(self.samples);
    free(self.pairs);
    free(self.labels);
    free(self.images);
    free(self.known);
    free(self.digests);
    free(self.heads);
    return status;
}
