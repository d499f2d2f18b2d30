/* See judge.h. */
#include "evaluator/judge.h"

#include "common/processors.h"
#include "model/checkpoint.h"
#include "model/engine.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    const struct run_settings *settings;
    const struct log *log;
    const struct engine_ops *ops;
    struct engine *engine;
    struct checkpoint *shape; /* the first checkpoint of this network: owns the engine's net */
    struct scoring *scoring;  /* under way, or NULL */
};

struct judge *judge_create(const struct run_settings *settings, const struct log *log) {
    struct judge *self = calloc(1, sizeof *self);
    if (self) {
        self->settings = settings;
        self->log = log;
    }
    return self;
}

void judge_drop(struct judge *self) {
    score_destroy(&self->scoring);
}

static void drop_engine(struct judge *self) {
    judge_drop(self);
    if (self->ops)
        self->ops->destroy(&self->engine);
    self->ops = NULL;
    checkpoint_destroy(&self->shape);
}

void judge_destroy(struct judge **pointer) {
    if (*pointer)
        drop_engine(*pointer);
    free(*pointer);
    *pointer = NULL;
}

/* A setting of the run that made the checkpoint: NULL where it is not there. Borrowed. */
static const json_t *setting(const json_t *settings, const char *name) {
    return json_object_get(settings, name);
}

static double weight(const json_t *settings, const char *name) {
    const json_t *value = setting(settings, name);
    return json_is_number(value) ? json_number_value(value) : 1.0;
}

/* What the run trains in, unless told otherwise or this machine lacks it. */
static int open_engine(struct judge *self, const struct checkpoint *checkpoint,
                       const json_t *settings, struct error *error) {
    const char *wanted = self->settings->precision;
    bool automatic = strcmp(wanted, "auto") == 0;
    const char *trained = json_string_value(setting(settings, "precision"));
    if (automatic && trained)
        wanted = trained;
    struct processors machine;
    struct notices cut = {0};
    processors_read(&machine);
    struct engine_config config = {
        .precision = strcmp(wanted, "bf16") == 0 ? PRECISION_BF16 : PRECISION_F32,
        .tf32 = strcmp(wanted, "tf32") == 0,
        .batch = (int)self->settings->batch,
        .threads = processors_threads(&machine, (int)self->settings->threads, &cut)};
    for (int i = 0; i < cut.count; i++)
        log_warning(self->log, "%s", cut.texts[i]);
    char reason[ENGINE_REASON];
    struct error why;
    self->ops = engine_choose(self->settings->device, &config, NULL, reason, sizeof reason, &why);
    if (!self->ops && automatic && (config.precision == PRECISION_BF16 || config.tf32)) {
        config.precision = PRECISION_F32;
        config.tf32 = false;
        self->ops =
            engine_choose(self->settings->device, &config, NULL, reason, sizeof reason, error);
        if (self->ops)
            log_info(self->log, "scoring in f32, since %s is not available: %s", wanted, why.text);
    } else if (!self->ops) {
        *error = why;
    }
    if (!self->ops || self->ops->create(checkpoint->net, &config, &self->engine, error) != 0)
        return -1;
    log_info(self->log, "network %s on engine %s, %s: %s", checkpoint->net->name, self->ops->name,
             config.precision == PRECISION_BF16 ? "bf16"
             : config.tf32                      ? "tf32"
                                                : "f32",
             reason);
    return 0;
}

int judge_begin(struct judge *self, const uint8_t *bytes, size_t size, uint64_t step,
                const struct test_split *split, uint64_t seed, struct error *error) {
    struct checkpoint *checkpoint = checkpoint_decode(bytes, size, "the checkpoint", error);
    if (!checkpoint)
        return -1;
    int status = -1;
    json_t *settings = json_loads(checkpoint->settings, 0, NULL);
    if (checkpoint->step != step) {
        error_set(error, ERROR_CORRUPT, "the checkpoint is of step %llu, not %llu",
                  (unsigned long long)checkpoint->step, (unsigned long long)step);
        goto done;
    }
    if (self->shape && strcmp(self->shape->net->text, checkpoint->net->text) != 0)
        drop_engine(self);
    if (!self->engine && open_engine(self, checkpoint, settings, error) != 0)
        goto done;
    struct engine_state scored = {.weights = checkpoint->state.ema ? checkpoint->state.ema
                                                                   : checkpoint->state.weights};
    if (self->ops->import(self->engine, &scored, error) != 0)
        goto done;
    struct score_settings how = {.batch = (uint32_t)self->settings->batch,
                                 .regression = checkpoint->net->regression,
                                 .all_digits = self->settings->all_digits,
                                 .seed = seed,
                                 .digit_weight = weight(settings, "digit-weight"),
                                 .sum_weight = weight(settings, "sum-weight")};
    self->scoring = score_create(self->ops, self->engine, test_split_images(split),
                                 test_split_labels(split), test_split_count(split), &how, error);
    status = self->scoring ? 0 : -1;
done:
    json_decref(settings);
    if (self->engine && !self->shape)
        self->shape = checkpoint; /* its net must live as long as the engine */
    else
        checkpoint_destroy(&checkpoint);
    return status;
}

bool judge_is_short(const struct error *error) {
    return error->code == ERROR_MEMORY || error->code == ERROR_IO || error->code == ERROR_DEVICE;
}

bool judge_busy(const struct judge *self) {
    return self->scoring;
}

int judge_next(struct judge *self, struct evaluation *result, struct error *error) {
    int status = score_next(self->scoring, error);
    if (status != 1) {
        if (status == 0)
            score_result(self->scoring, result);
        judge_drop(self);
    }
    return status;
}
