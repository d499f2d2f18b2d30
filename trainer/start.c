/* See start.h. */
#include "trainer/start.h"

#include "model/init.h"
#include "trainer/health.h"
#include "trainer/null_engine.h"
#include "trainer/save.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The newest checkpoint that is whole; those that are not are skipped with a line each. */
static struct checkpoint *newest(const char *run_dir, const struct log *log, struct error *error) {
    char folder[480], path[512];
    snprintf(folder, sizeof folder, "%.460s/checkpoints", run_dir);
    for (uint64_t step = UINT64_MAX; saver_newest(folder, step, &step);) {
        saver_file(folder, step, path);
        struct error bad;
        struct checkpoint *checkpoint = checkpoint_read(path, &bad);
        if (checkpoint)
            return checkpoint;
        if (bad.code == ERROR_UNSUPPORTED) { /* so are those before it */
            error_set(error, ERROR_INVALID, "--resume: %s", bad.text);
            return NULL;
        }
        log_warning(log, "%s; trying the one before", bad.text);
    }
    error_set(error, ERROR_INVALID, "--resume: there is no whole checkpoint in %s", folder);
    return NULL;
}

/* A run that kept going although its weights were no use left checkpoints of them. */
static int check_weights(const struct start *start, struct error *error) {
    const struct checkpoint *from = start->checkpoint;
    char folder[480], path[512];
    if (start->settings.keep_going || health_finite(&from->state, from->net->total))
        return 0;
    snprintf(folder, sizeof folder, "%.460s/checkpoints", start->settings.run_dir);
    saver_file(folder, from->step, path);
    return error_set(error, ERROR_DIVERGED,
                     "--resume: %s holds weights that are not finite numbers: remove it to go on "
                     "from the one before, or train on regardless with --keep-going",
                     path);
}

/* "auto" is what the run was begun with. */
static void take_precision(struct settings *settings, const char *was) {
    static const char *const words[] = {"f32", "tf32", "bf16"};
    for (size_t i = 0; was && i < sizeof words / sizeof *words; i++)
        if (strcmp(was, words[i]) == 0)
            settings->precision = words[i];
}

/* The settings that made the checkpoint hold on, and may not be contradicted. */
static int take_settings(struct start *start, struct error *error) {
    json_error_t json_error;
    json_t *values = json_loads(start->checkpoint->settings, 0, &json_error);
    if (!values)
        return error_set(error, ERROR_CORRUPT, "the checkpoint's settings are not JSON: %s",
                         json_error.text);
    int status = options_read_json(start->options, values, OPTION_SETTING, error);
    json_t *now = status == 0 ? options_to_json(start->options, OPTION_SETTING) : NULL;
    const char *key;
    json_t *value;
    if (now)
        json_object_foreach(values, key, value) {
            json_t *ours = json_object_get(now, key);
            if (strcmp(key, "precision") == 0 && strcmp(start->settings.precision, "auto") == 0) {
                take_precision(&start->settings, json_string_value(value));
                continue;
            }
            /* A run may be made longer or shorter; everything else made its weights. */
            if (json_equal(ours, value) || strcmp(key, "epochs") == 0 || strcmp(key, "steps") == 0)
                continue;
            char *was = json_dumps(value, JSON_ENCODE_ANY), *is = json_dumps(ours, JSON_ENCODE_ANY);
            status =
                error_set(error, ERROR_INVALID, "--resume: the run was begun with --%s %s, not %s",
                          key, was ? was : "?", is ? is : "?");
            free(was);
            free(is);
            break;
        }
    json_decref(now);
    json_decref(values);
    return status;
}

/* Two runs in one folder would be mixed up for good: the record of what was trained on begins anew,
 * and --resume takes the newest checkpoint, whosesoever it is. */
static int refuse_old_run(const struct settings *settings, struct error *error) {
    char folder[480];
    uint64_t step;
    snprintf(folder, sizeof folder, "%.460s/checkpoints",
             settings->run_dir ? settings->run_dir : "");
    if (!settings->run_dir || !saver_next(folder, 0, &step))
        return 0;
    return error_set(error, ERROR_INVALID,
                     "%s has checkpoints of an earlier run: go on with it (--resume), name another "
                     "--run-dir, or remove it",
                     settings->run_dir);
}

/* bf16 where the machine has it, unless told otherwise; from here on the setting says which. */
static int choose_engine(struct start *start, const struct log *log, struct error *error) {
    struct settings *settings = &start->settings;
    struct engine_config *config = &start->config;
    char reason[256];
    *config = (struct engine_config){.batch = (int)settings->batch,
                                     .threads = (int)settings->threads,
                                     .ahead = (int)settings->ahead,
                                     .graph_steps = (int)settings->graph_steps,
                                     .tune = settings->tune,
                                     .training = true,
                                     .seed = (uint64_t)settings->seed};
    settings_optimizer(settings, &config->optimizer);
    if (strcmp(settings->engine, "null") == 0) {
        start->ops = &null_engine;
        settings->precision = "f32";
        return 0;
    }
    bool automatic = strcmp(settings->precision, "auto") == 0;
    bool f32 = strcmp(settings->precision, "f32") == 0;
    config->tf32 = strcmp(settings->precision, "tf32") == 0;
    config->precision = f32 || config->tf32 ? PRECISION_F32 : PRECISION_BF16;
    start->ops = engine_choose(settings->device, config, reason, sizeof reason, error);
    if (!start->ops && automatic) {
        config->precision = PRECISION_F32;
        start->ops = engine_choose(settings->device, config, reason, sizeof reason, error);
    }
    if (!start->ops)
        return -1;
    settings->precision = config->precision == PRECISION_BF16 ? "bf16"
                          : config->tf32                      ? "tf32"
                                                              : "f32";
    log_info(log, "engine %s, %s: %s", start->ops->name, settings->precision, reason);
    return 0;
}

/* A state at step 0. */
static struct checkpoint *fresh(struct start *start, struct error *error) {
    struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint) {
        error_set(error, ERROR_MEMORY, "no memory for the first state");
        return NULL;
    }
    checkpoint->seed = (uint64_t)start->settings.seed;
    checkpoint->net = net_load(start->settings.net, error);
    if (!checkpoint->net ||
        state_alloc(&checkpoint->state, checkpoint->net, &start->config.optimizer, error) != 0) {
        checkpoint_destroy(&checkpoint);
        return NULL;
    }
    init_parameters(checkpoint->net, checkpoint->seed, checkpoint->state.weights);
    if (checkpoint->state.ema)
        memcpy(checkpoint->state.ema, checkpoint->state.weights,
               checkpoint->net->total * sizeof(float));
    return checkpoint;
}

static int write_settings(struct start *start, struct error *error) {
    json_t *all = options_to_json(start->options, 0);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    char path[600];
    int status = -1;
    snprintf(path, sizeof path, "%.560s/settings.json", start->settings.run_dir);
    if (!text)
        error_set(error, ERROR_MEMORY, "no memory to write %s", path);
    else
        status = checkpoint_write(path, (const uint8_t *)text, strlen(text), error);
    free(text);
    json_decref(all);
    return status;
}

static int record_settings(struct start *start, struct error *error) {
    json_t *results = options_to_json(start->options, OPTION_SETTING);
    start->settings_json =
        results ? json_dumps(results, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(results);
    if (!start->settings_json)
        return error_set(error, ERROR_MEMORY, "no memory to record the settings");
    free(start->checkpoint->settings);
    start->checkpoint->settings = strdup(start->settings_json);
    if (!start->checkpoint->settings)
        return error_set(error, ERROR_MEMORY, "no memory to record the settings");
    if (!start->settings.run_dir)
        return 0;
    if (mkdir(start->settings.run_dir, 0777) != 0 && errno != EEXIST)
        return error_set_errno(error, "making %s", start->settings.run_dir);
    return write_settings(start, error);
}

/* Of two options that exclude each other, the one on the command line takes the place of the one
 * that a recipe or an earlier run set. */
static void settle_pairs(struct start *start) {
    const struct options *options = start->options;
    struct settings *settings = &start->settings;
    bool steps = options_given(options, "steps"), epochs = options_given(options, "epochs");
    if (steps && !epochs)
        settings->epochs = 0;
    else if (epochs && !steps)
        settings->steps = 0;
    steps = options_given(options, "checkpoint-every");
    epochs = options_given(options, "checkpoint-epochs");
    if (steps && !epochs)
        settings->checkpoint_epochs = 0;
    else if (epochs && !steps)
        settings->checkpoint_every = 0;
}

/* --describe and --dot: 1 when the text is printed. */
static int show(const char *name, char *text_of(const struct net *), struct error *error) {
    struct net *net = net_load(name, error);
    if (!net)
        return -1;
    char *text = text_of(net);
    int status = 1;
    if (!text)
        status = error_set(error, ERROR_MEMORY, "no memory to describe %s", name);
    else if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        status = error_set_errno(error, "printing %s", name);
    free(text);
    net_destroy(&net);
    return status;
}

/* `trainer --resume runs/first`: the folder as a plain argument. Elsewhere a plain argument is a
 * slip of the hand, and must not become a folder. */
static int take_folder(struct settings *settings, struct error *error) {
    if (!settings->folder)
        return 0;
    if (!settings->resume || settings->run_dir)
        return error_set(error, ERROR_INVALID, "unexpected argument '%s'; see --help",
                         settings->folder);
    settings->run_dir = settings->folder;
    return 0;
}

int start_prepare(struct start *start, int argc, char **argv, struct log *log,
                  struct error *error) {
    *start = (struct start){0};
    struct settings *settings = &start->settings;
    start->options = options_parse(&trainer_program, argc, argv, settings, error);
    if (!start->options)
        return -1;
    if (take_folder(settings, error) != 0)
        return -1;
    if (settings->describe)
        return show(settings->describe, net_describe, error);
    if (settings->dot)
        return show(settings->dot, net_dot, error);
    log_init(log, 2, settings->name, log_level_of(settings->log_level));
    char recipe[1200] = "";
    if (settings->resume) {
        start->checkpoint = newest(settings->run_dir ? settings->run_dir : ".", log, error);
        if (!start->checkpoint || check_weights(start, error) != 0 ||
            take_settings(start, error) != 0)
            return -1;
        log_info(log, "going on from step %" PRIu64, start->checkpoint->step);
    } else if (settings_recipe(settings, recipe, sizeof recipe, error) != 0 ||
               (recipe[0] && options_read_file(start->options, recipe, error) != 0)) {
        return -1;
    }
    settle_pairs(start);
    if (settings_check(settings, &start->goal, error) != 0 || choose_engine(start, log, error) != 0)
        return -1;
    if (!start->checkpoint && refuse_old_run(settings, error) == 0)
        start->checkpoint = fresh(start, error);
    if (!start->checkpoint)
        return -1;
    log_info(log, "network %s: %zu parameters%s%s", start->checkpoint->net->name,
             start->checkpoint->net->trainable, recipe[0] ? "; recipe " : "", recipe);
    return record_settings(start, error);
}

void start_free(struct start *start) {
    checkpoint_destroy(&start->checkpoint);
    free(start->settings_json);
    options_destroy(&start->options);
}
