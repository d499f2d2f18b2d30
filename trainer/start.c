/* See start.h. */
#include "trainer/start.h"
#include "common/file.h"

#include "model/init.h"
#include "model/net.h"
#include "model/traits.h"
#include "trainer/bits.h"
#include "trainer/health.h"
#include "trainer/null_engine.h"
#include "trainer/save.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_PATIENCE = 1000 }; /* ms: a trainer that was just killed may take some to end */

/* The newest checkpoint that is whole; those that are not are skipped with a line each. */
static struct checkpoint *newest(const char *run_dir, const struct log *log, struct error *error) {
    char folder[PATH_MAX], path[PATH_MAX];
    if (path_join(folder, run_dir, "checkpoints", error) != 0)
        return NULL;
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
        if (bad.code !=
            ERROR_CORRUPT) { /* it may be whole: what is short today may not be tomorrow */
            *error = bad;
            error_prefix(error, "--resume");
            return NULL;
        }
        log_warning(log, "%s; trying the previous one", bad.text);
    }
    if (errno != 0 && errno != ENOENT && errno != ENOTDIR) {
        error_set_errno(error, "--resume: cannot read %s", folder);
        return NULL;
    }
    error_set(error, ERROR_INVALID, "--resume: there is no valid checkpoint in %s", folder);
    return NULL;
}

/* A run that kept going although its weights were no use left checkpoints of them. */
static int check_weights(const struct start *start, struct error *error) {
    const struct checkpoint *from = start->checkpoint;
    char folder[PATH_MAX], path[PATH_MAX];
    if (start->settings.keep_going || health_finite(&from->state, from->net->total))
        return 0;
    if (path_join(folder, start->settings.run_dir, "checkpoints", error) != 0)
        return -1;
    saver_file(folder, from->step, path);
    return error_set(error, ERROR_DIVERGED,
                     "--resume: %s holds weights that are not finite numbers: remove it to resume "
                     "from the previous one, or keep training with --keep-going",
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
    start->recorded_threads = bits_recorded_threads(start->checkpoint, values);
    const char *key;
    json_t *value;
    if (now)
        json_object_foreach(values, key, value) {
            json_t *ours = json_object_get(now, key);
            if (strcmp(key, "precision") == 0 && strcmp(start->settings.precision, "auto") == 0) {
                take_precision(&start->settings, json_string_value(value));
                continue;
            }
            /* A run may be made longer or shorter, its threads are bits_threads's to judge, and
             * with --other-bits its precision bits_compare's; everything else made its weights. */
            if (json_equal(ours, value) || strcmp(key, "epochs") == 0 ||
                strcmp(key, "steps") == 0 || strcmp(key, "threads") == 0 ||
                (strcmp(key, "precision") == 0 && start->settings.other_bits))
                continue;
            size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
            char *was = json_dumps(value, flags), *is = json_dumps(ours, flags);
            status = error_set(error, ERROR_INVALID,
                               "--resume: the run was started with --%s %s, not %s", key,
                               was ? was : "?", is ? is : "?");
            free(was);
            free(is);
            break;
        }
    json_decref(now);
    json_decref(values);
    return status;
}

/* Two trainers in one folder would cut off and overwrite what the other writes. The launcher has a
 * lock of its own, on the folder itself; this one holds for trainers that were started by hand or
 * by a queue, on whatever machine. */
static int lock_folder(struct start *start, const struct log *log, struct error *error) {
    const char *folder = start->settings.run_dir;
    char path[PATH_MAX];
    struct error reason;
    if (path_join(path, folder, "trainer.lock", error) != 0)
        return -1;
    if (lock_take(&start->lock, path, LOCK_PATIENCE, &reason) == 0)
        return 0;
    if (reason.code == ERROR_UNSUPPORTED) {
        log_warning(log, "%s: a second trainer in this folder would not be noticed", reason.text);
        return 0;
    }
    if (reason.code == ERROR_REFUSED)
        return error_set(error, ERROR_REFUSED,
                         "another trainer uses %s: %s; stop it first, or name another --run-dir",
                         folder, reason.text);
    return error_set(error, reason.code, "%s", reason.text);
}

/* Two runs in one folder would be mixed up for good: the record of what was trained on begins anew,
 * and --resume takes the newest checkpoint, whichever run it is of. */
static int refuse_old_run(const struct settings *settings, struct error *error) {
    char path[PATH_MAX];
    uint64_t step;
    struct stat status;
    if (path_join(path, settings->run_dir, "checkpoints", error) != 0)
        return -1;
    bool checkpoints = saver_next(path, 0, &step);
    if (!checkpoints && errno != 0 && errno != ENOENT)
        return error_set_errno(error, "looking for an earlier run in %s", path);
    if (path_join(path, settings->run_dir, "evaluations.jsonl", error) != 0)
        return -1;
    bool evaluations = stat(path, &status) == 0 && status.st_size > 0;
    if (checkpoints)
        return error_set(error, ERROR_INVALID,
                         "%s has checkpoints of an earlier run: resume it (--resume), name another "
                         "--run-dir, or remove it",
                         settings->run_dir);
    if (evaluations)
        return error_set(error, ERROR_INVALID,
                         "%s has evaluations of an earlier run, and no checkpoint to resume from: "
                         "name another --run-dir, or remove it",
                         settings->run_dir);
    return 0;
}

/* The folder of a run that begins: made, ours, and without another run in it. */
static int take_new_folder(struct start *start, const struct log *log, struct error *error) {
    const char *folder = start->settings.run_dir;
    if (!folder)
        return 0;
    start->made_folder = mkdir(folder, 0777) == 0;
    if (!start->made_folder && errno != EEXIST)
        return error_set_errno(error, "making %s", folder);
    if (file_sync_folder(folder, error) != 0) /* its name in the folder that it is in */
        return -1;
    return lock_folder(start, log, error) != 0 ? -1 : refuse_old_run(&start->settings, error);
}

static const char *precision_word(const struct engine_config *config) {
    return config->precision == PRECISION_BF16 ? "bf16" : config->tf32 ? "tf32" : "f32";
}

/* Why a precision that was named cannot be had: where f32 could be had in its place, it is the
 * setting that is wrong, not the machine. */
static int refuse_precision(const struct start *start, const struct error *why,
                            struct error *error) {
    const struct settings *settings = &start->settings;
    struct engine_config config = start->config;
    char reason[ENGINE_REASON];
    config.precision = PRECISION_F32;
    config.tf32 = false;
    if (strcmp(settings->precision, "f32") == 0 ||
        !engine_choose(settings->device, &config, NULL, reason, sizeof reason, NULL)) {
        *error = *why;
        return -1;
    }
    if (settings->resume)
        return error_set(error, ERROR_INVALID,
                         "--resume: the run was started in %s (%s): resume it on a machine that "
                         "has %s, or add --other-bits to resume in f32",
                         settings->precision, why->text, settings->precision);
    return error_set(error, ERROR_INVALID, "--precision=%s: %s", settings->precision, why->text);
}

/* bf16 where the machine has it, unless told otherwise; from here on the setting says which. f32 in
 * place of a precision that nobody named, but that a run was begun in, needs --other-bits. */
static int choose_precision(struct start *start, struct engine_traits *traits,
                            char reason[static ENGINE_REASON], const struct log *log,
                            struct error *error) {
    struct settings *settings = &start->settings;
    struct engine_config *config = &start->config;
    struct error why = {0}; /* of the first attempt: handed on only where no other one is made */
    bool automatic = strcmp(settings->precision, "auto") == 0;
    bool bf16 = automatic || strcmp(settings->precision, "bf16") == 0;
    bool other = settings->resume && settings->other_bits &&
                 !options_given(start->options, "precision") &&
                 strcmp(settings->precision, "f32") != 0;
    config->tf32 = strcmp(settings->precision, "tf32") == 0;
    config->precision = bf16 ? PRECISION_BF16 : PRECISION_F32;
    start->ops = engine_choose(settings->device, config, traits, reason, ENGINE_REASON, &why);
    if (!start->ops && !automatic && !other)
        return refuse_precision(start, &why, error);
    if (!start->ops) {
        config->precision = PRECISION_F32;
        config->tf32 = false;
        start->ops = engine_choose(settings->device, config, traits, reason, ENGINE_REASON, error);
        if (!start->ops)
            return -1;
        log_info(log, "training in f32, since %s is not available: %s",
                 automatic ? "bf16" : settings->precision, why.text);
    }
    settings->precision = precision_word(config);
    return 0;
}

/* What a resumed run was computed with must be here, too. The engine goes before the threads: those
 * of another engine say nothing. */
static int settle_bits(struct start *start, const struct engine_traits *traits,
                       const struct error *threads, struct error *error) {
    bool other_bits = start->settings.other_bits;
    start->computed_with = traits_to_json(start->ops->name, start->settings.precision, traits);
    if (!start->computed_with)
        return error_set(error, ERROR_MEMORY, "no memory to record the engine");
    if (threads->code != ERROR_NONE && traits->threads > 0) {
        *error = *threads;
        return -1;
    }
    return start->settings.resume ? bits_compare(start->checkpoint, start->computed_with,
                                                 other_bits, &start->notices, error)
                                  : 0;
}

/* Engine, precision and threads; what was left to the program is settled in the settings, so that
 * they are recorded as used. */
static int choose_engine(struct start *start, const struct log *log, struct error *error) {
    struct settings *settings = &start->settings;
    struct engine_config *config = &start->config;
    struct engine_traits traits;
    char reason[ENGINE_REASON];
    struct notices cut = {0};
    struct error threads = {0}; /* matters only where the engine that is chosen has threads */
    int asked = start->recorded_threads == 0 || options_given(start->options, "threads")
                    ? (int)settings->threads
                    : 0;
    *config = (struct engine_config){.batch = (int)settings->batch,
                                     .ahead = (int)settings->ahead,
                                     .graph_steps = (int)settings->graph_steps,
                                     .tune = settings->tune,
                                     .training = true,
                                     .seed = (uint64_t)settings->seed};
    settings_optimizer(settings, &config->optimizer);
    settings_note_idle(settings, start->options, &start->notices);
    if (strcmp(settings->engine, "null") == 0) {
        start->ops = &null_engine;
        settings->precision = "f32";
        return 0;
    }
    processors_read(&start->machine);
    bits_threads(&start->machine, asked, start->recorded_threads, settings->other_bits,
                 &config->threads, &cut, &threads);
    if (choose_precision(start, &traits, reason, log, error) != 0 ||
        settle_bits(start, &traits, &threads, error) != 0)
        return -1;
    config->threads = traits.threads;
    settings->threads = traits.threads;
    for (int i = 0; traits.threads > 0 && i < cut.count; i++)
        notices_add(&start->notices, "%s", cut.texts[i]);
    log_info(log, "engine %s, %s: %s; %s, %s", start->ops->name, settings->precision, reason,
             traits.instructions, traits.built_on);
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
    if (all && start->computed_with)
        json_object_set(all, "computed_with", start->computed_with);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    char path[PATH_MAX];
    int status = path_join(path, start->settings.run_dir, "settings.json", error);
    if (status == 0 && !text)
        status = error_set(error, ERROR_MEMORY, "no memory to write %s", path);
    if (status == 0)
        status = file_write(path, text, strlen(text), error);
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
    free(start->checkpoint->computed);
    start->checkpoint->computed =
        start->computed_with ? json_dumps(start->computed_with, JSON_COMPACT) : NULL;
    if (!start->checkpoint->settings || (start->computed_with && !start->checkpoint->computed))
        return error_set(error, ERROR_MEMORY, "no memory to record the settings");
    if (!start->settings.run_dir)
        return 0;
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
    if (options_given(options, "step-epochs") && !options_given(options, "milestones"))
        settings->milestones = NULL;
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

/* What can be said without an engine, data or the run's folder. A resumed run has its network and
 * its settings in there. 1: all is well. */
static int check_only(struct start *start, struct error *error) {
    struct settings *settings = &start->settings;
    char recipe[1200] = "";
    if (settings->resume)
        return 1;
    if (!settings->run_dir)
        settings->run_dir = "."; /* whoever asks may name it later */
    if (settings_recipe(settings, recipe, sizeof recipe, error) != 0 ||
        (recipe[0] && options_read_file(start->options, recipe, error) != 0))
        return -1;
    settle_pairs(start);
    settings_settle(settings);
    struct net *net =
        settings_check(settings, &start->goal, error) == 0 ? net_load(settings->net, error) : NULL;
    int status = net ? 1 : -1;
    net_destroy(&net);
    return status;
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
    if (settings->check)
        return check_only(start, error);
    if (settings->describe)
        return show(settings->describe, net_describe, error);
    if (settings->dot)
        return show(settings->dot, net_dot, error);
    log_init(log, 2, settings->name, log_level_of(settings->log_level));
    char recipe[1200] = "";
    if (settings->resume) {
        if (settings->run_dir && access(settings->run_dir, F_OK) == 0 &&
            lock_folder(start, log, error) != 0)
            return -1;
        start->checkpoint = newest(settings->run_dir ? settings->run_dir : ".", log, error);
        if (!start->checkpoint || check_weights(start, error) != 0 ||
            take_settings(start, error) != 0)
            return -1;
        log_info(log, "resuming from step %" PRIu64, start->checkpoint->step);
    } else if (settings_recipe(settings, recipe, sizeof recipe, error) != 0 ||
               (recipe[0] && options_read_file(start->options, recipe, error) != 0)) {
        return -1;
    }
    settle_pairs(start);
    settings_settle(settings);
    if (settings_check(settings, &start->goal, error) != 0 || choose_engine(start, log, error) != 0)
        return -1;
    if (!start->checkpoint) {
        start->checkpoint = fresh(start, error);
        if (!start->checkpoint || take_new_folder(start, log, error) != 0)
            return -1;
    }
    log_info(log, "network %s: %zu parameters%s%s", start->checkpoint->net->name,
             start->checkpoint->net->trainable, recipe[0] ? "; recipe " : "", recipe);
    return record_settings(start, error);
}

void start_discard(const struct start *start) {
    char path[PATH_MAX];
    if (!start->made_folder)
        return;
    path_join(path, start->settings.run_dir, "settings.json", NULL);
    unlink(path);
    path_join(path, start->settings.run_dir, "trainer.lock", NULL);
    unlink(path); /* ours still: nobody else can have begun here */
    rmdir(start->settings.run_dir);
}

void start_free(struct start *start) {
    checkpoint_destroy(&start->checkpoint);
    free(start->settings_json);
    json_decref(start->computed_with);
    options_destroy(&start->options);
    lock_release(&start->lock);
}
