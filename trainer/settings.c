/* See settings.h. */
#include "trainer/settings.h"

#include "common/reach.h"
#include "common/suggest.h"
#include "model/net.h"

#include <errno.h>
#include <glob.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUN_DIR_MAX = 380 }; /* bytes: a sentence about one of its files fits a struct error */

#define AT(field) offsetof(struct settings, field)
#define RESULT (OPTION_RECIPE | OPTION_SETTING)

/* clang-format off */
#define WARP_ROW(warp, limit, unit, text) \
    {.name = #warp, .kind = OPTION_REAL, .offset = AT(warp), .max = limit, .fallback = "0", .argument = unit, \
     .use = RESULT, .help = text},
static const struct option_row rows[] = {
    {.help = "Run folder and address"},
    {.name = "bind", .letter = 'b', .kind = OPTION_TEXT, .offset = AT(bind), .fallback = "tcp://127.0.0.1:5555", .argument = "ADDR",
     .help = "control address that workers join; pairs take the port after it"},
    {.name = "run-dir", .letter = 'd', .kind = OPTION_TEXT, .offset = AT(run_dir), .argument = "DIR",
     .help = "folder of the run: checkpoints, settings, summary"},
    {.name = "insecure", .kind = OPTION_FLAG, .offset = AT(insecure),
     .help = "accept workers from other machines without keys or encryption"},
    {.name = "resume", .letter = 'r', .kind = OPTION_FLAG, .offset = AT(resume),
     .help = "resume from the newest valid checkpoint of the run: trainer --resume runs/first"},
    {.name = "other-bits", .kind = OPTION_FLAG, .offset = AT(other_bits),
     .help = "resume even if the number of threads, instruction set, library or engine has changed, which changes the weights; recorded in summary.json"},

    {.help = "Network and device"},
    {.name = "check", .kind = OPTION_FLAG, .offset = AT(check),
     .help = "check the options, the recipe and the network, and exit"},
    {.name = "describe", .kind = OPTION_TEXT, .offset = AT(describe), .argument = "NAME|FILE",
     .help = "print this network's nodes, shapes, parameters and multiply-adds, and exit"},
    {.name = "dot", .kind = OPTION_TEXT, .offset = AT(dot), .argument = "NAME|FILE",
     .help = "print this network's graph for Graphviz, and exit"},
    {.name = "net", .letter = 'n', .kind = OPTION_TEXT, .offset = AT(net), .fallback = "quick", .argument = "NAME|FILE", .use = OPTION_SETTING,
     .help = "network to train: a name from model/nets or a .net file"},
    {.name = "recipe", .kind = OPTION_TEXT, .offset = AT(recipe), .argument = "NAME|FILE",
     .help = "training settings: a .recipe file, or the NAME of one beside the network (default: the network's own)"},
    {.name = "device", .kind = OPTION_CHOICE, .offset = AT(device), .choices = "auto|cpu|cuda", .fallback = "auto", .argument = "DEVICE",
     .help = "where to compute; auto uses a GPU if there is one"},
    {.name = "engine", .kind = OPTION_CHOICE, .offset = AT(engine), .choices = "full|null", .fallback = "full", .argument = "KIND",
     .help = "null discards every batch, to benchmark the pipeline alone"},
    {.name = "precision", .kind = OPTION_CHOICE, .offset = AT(precision), .choices = "auto|f32|tf32|bf16", .fallback = "auto", .argument = "TYPE", .use = RESULT,
     .help = "of activations and products; tf32 is f32 with products on a GPU's tensor cores; auto is bf16 if the device has it"},
    {.name = "threads", .kind = OPTION_INT, .offset = AT(threads), .max = 1024, .fallback = "0", .argument = "N", .use = OPTION_SETTING,
     .help = "compute threads, at most one per processor that this process may use (affinity, control group, OMP_NUM_THREADS, OMP_THREAD_LIMIT); 0 uses all of them. A resumed run keeps its number; name that number to share fewer processors"},
    {.name = "ahead", .kind = OPTION_INT, .offset = AT(ahead), .max = 64, .fallback = "0", .argument = "N",
     .help = "batches staged on a GPU ahead of use; 0 lets the engine choose"},
    {.name = "graph-steps", .kind = OPTION_INT, .offset = AT(graph_steps), .max = 32, .fallback = "0", .argument = "N",
     .help = "steps that a GPU launches as one graph; 0 lets the engine choose"},
    {.name = "tune", .kind = OPTION_FLAG, .offset = AT(tune), .use = OPTION_SETTING,
     .help = "time the algorithms of each convolution on a GPU once, and store the choice for later runs"},
    {.name = "seed", .letter = 's', .kind = OPTION_INT, .offset = AT(seed), .max = 9007199254740991.0, .fallback = "1", .argument = "N", .use = OPTION_SETTING,
     .help = "seed of sample order, digits, warps, initial weights and dropout"},
    {.name = "batch", .kind = OPTION_INT, .offset = AT(batch), .min = 1, .max = BATCH_MAX, .fallback = "128", .argument = "N", .use = RESULT,
     .help = "pairs in a step"},
    {.name = "epochs", .letter = 'e', .kind = OPTION_REAL, .offset = AT(epochs), .min = 1e-6, .max = 1e6, .argument = "N", .use = RESULT,
     .help = "length of the run in epochs; may be a fraction"},
    {.name = "steps", .kind = OPTION_INT, .offset = AT(steps), .min = 1, .max = 1e12, .argument = "N", .use = RESULT,
     .help = "length of the run in steps, instead of --epochs; one epoch if neither is set"},

    {.help = "Optimizer and schedule"},
    {.name = "optimizer", .kind = OPTION_CHOICE, .offset = AT(optimizer), .choices = "sgd|nesterov|adam|adamw|adadelta|rmsprop|adagrad", .fallback = "adamw", .argument = "NAME", .use = RESULT,
     .help = "update rule, as in PyTorch; nesterov is sgd with Nesterov momentum"},
    {.name = "schedule", .kind = OPTION_CHOICE, .offset = AT(schedule), .choices = "constant|linear|cosine|onecycle|step", .fallback = "onecycle", .argument = "NAME", .use = RESULT,
     .help = "of the learning rate"},
    {.name = "rate", .kind = OPTION_REAL, .offset = AT(rate), .min = 1e-12, .max = 100, .fallback = "0.01", .argument = "X", .use = RESULT,
     .help = "max learning rate"},
    {.name = "warmup", .kind = OPTION_REAL, .offset = AT(warmup), .max = 1, .fallback = "0.25", .argument = "X", .use = RESULT,
     .help = "fraction of the run in which the rate rises (linear, cosine, onecycle)"},
    {.name = "final-rate", .kind = OPTION_REAL, .offset = AT(final_rate), .max = 1, .fallback = "0.0001", .argument = "X", .use = RESULT,
     .help = "final rate as a fraction of the max rate (linear, cosine, onecycle)"},
    {.name = "step-epochs", .kind = OPTION_REAL, .offset = AT(step_epochs), .min = 1e-6, .max = 1e6, .fallback = "1", .argument = "X", .use = RESULT,
     .help = "epochs between two decays of the rate (step)"},
    {.name = "milestones", .kind = OPTION_TEXT, .offset = AT(milestones), .argument = "LIST", .use = RESULT,
     .help = "epochs at which the rate decays, as 6,9.5, instead of --step-epochs (step)"},
    {.name = "gamma", .kind = OPTION_REAL, .offset = AT(gamma), .min = 1e-6, .max = 1, .fallback = "0.1", .argument = "X", .use = RESULT,
     .help = "factor of each decay (step)"},
    {.name = "momentum", .kind = OPTION_REAL, .offset = AT(momentum), .max = 1, .fallback = "0.9", .argument = "X", .use = RESULT,
     .help = "of sgd and nesterov"},
    {.name = "beta1", .kind = OPTION_REAL, .offset = AT(beta1), .max = 0.9999999, .fallback = "0.9", .argument = "X", .use = RESULT,
     .help = "of adam and adamw"},
    {.name = "beta2", .kind = OPTION_REAL, .offset = AT(beta2), .max = 0.9999999, .fallback = "0.999", .argument = "X", .use = RESULT,
     .help = "of adam and adamw"},
    {.name = "rho", .kind = OPTION_REAL, .offset = AT(rho), .min = 1e-6, .max = 0.9999999, .argument = "X", .use = RESULT,
     .help = "of adadelta (default 0.9) and rmsprop (default 0.99)"},
    {.name = "epsilon", .kind = OPTION_REAL, .offset = AT(epsilon), .min = 1e-30, .max = 1, .argument = "X", .use = RESULT,
     .help = "of all but sgd and nesterov (default 1e-8; adadelta 1e-6, adagrad 1e-10)"},
    {.name = "weight-decay", .kind = OPTION_REAL, .offset = AT(weight_decay), .max = 10, .fallback = "0", .argument = "X", .use = RESULT,
     .help = "decay of weights; biases and batchnorm have none"},
    {.name = "ema", .kind = OPTION_REAL, .offset = AT(ema), .max = 0.9999999, .fallback = "0", .argument = "X", .use = RESULT,
     .help = "decay of a moving average of the weights, which is then evaluated; 0 turns it off"},
    {.name = "label-smoothing", .kind = OPTION_REAL, .offset = AT(label_smoothing), .max = 0.9, .fallback = "0", .argument = "X", .use = RESULT,
     .help = "on both outputs"},
    {.name = "digit-weight", .kind = OPTION_REAL, .offset = AT(digit_weight), .max = 1000, .fallback = "1", .argument = "X", .use = RESULT,
     .help = "weight of the digit's loss"},
    {.name = "sum-weight", .kind = OPTION_REAL, .offset = AT(sum_weight), .max = 1000, .fallback = "1", .argument = "X", .use = RESULT,
     .help = "weight of the sum's loss"},

    {.help = "Warps (max change in either direction, drawn for each image; 0 is none)"},
    WARPS(WARP_ROW)

    {.help = "The run"},
    {.name = "checkpoint-every", .kind = OPTION_INT, .offset = AT(checkpoint_every), .max = 1e12, .fallback = "0", .argument = "N", .use = RESULT,
     .help = "steps between checkpoints, in addition to those at the end of each epoch"},
    {.name = "checkpoint-epochs", .kind = OPTION_REAL, .offset = AT(checkpoint_epochs), .max = 1e6, .fallback = "0", .argument = "X", .use = RESULT,
     .help = "epochs between checkpoints; 0.25 is four per epoch"},
    {.name = "keep", .kind = OPTION_INT, .offset = AT(keep), .min = 1, .max = 10000, .fallback = "5", .argument = "N", .use = OPTION_RECIPE,
     .help = "newest checkpoints kept on disk, in addition to best.safetensors"},
    {.name = "unscored", .kind = OPTION_INT, .offset = AT(unscored), .min = 1, .max = 10000, .fallback = "64", .argument = "N", .use = OPTION_RECIPE,
     .help = "max checkpoints on disk that are not scored yet; beyond it training waits for an evaluator, or, if none joined and none is expected, the oldest is removed unscored"},
    {.name = "until", .kind = OPTION_TEXT, .offset = AT(until), .argument = "GOAL",
     .help = "stop when an evaluation reaches this: digit=99.0,sum=99.0"},
    {.name = "keep-going", .kind = OPTION_FLAG, .offset = AT(keep_going),
     .help = "keep training, with a warning, when the loss is NaN or has exploded, instead of exiting with status 1"},
    {.name = "window", .kind = OPTION_INT, .offset = AT(window), .min = 1, .max = 4096, .fallback = "64", .argument = "N",
     .help = "max steps leased at a time"},
    {.name = "hedge", .kind = OPTION_INT, .offset = AT(hedge), .max = 5000, .fallback = "25", .argument = "MS",
     .help = "re-lease a straggling step after at least MS; 0 waits until its loader is gone, or 5 s"},
    {.name = "drain", .kind = OPTION_INT, .offset = AT(drain), .max = 86400, .fallback = "120", .argument = "SECONDS",
     .help = "at the end, max time without a report while checkpoints are unscored"},
    {.name = "expect-evaluator", .kind = OPTION_FLAG, .offset = AT(expect_evaluator),
     .help = "keep all checkpoints for an evaluator that has not joined yet, and at the end also wait for it"},
    {.name = "name", .kind = OPTION_TEXT, .offset = AT(name), .fallback = "trainer", .argument = "NAME",
     .help = "name in the log"},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .choices = "debug|info|warning|error", .fallback = "info", .argument = "LEVEL",
     .help = "min level that is logged"},
};
/* clang-format on */

const struct options_program trainer_program = {
    .name = "trainer",
    .summary = "Trains a network on batches that loaders and augmenters make on its leases, and "
               "streams checkpoints to evaluators. All workers join its one address.",
    .example = "trainer --bind tcp://127.0.0.1:5555 --run-dir runs/first --net quick",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .positional = "[RUN-DIR]", /* `trainer --resume runs/first` */
    .positional_offset = AT(folder),
};

/* One "digit=99.0" of a goal; `*rest` moves behind it and its comma. -1: it is something else. */
static int parse_part(const char **rest, struct goal *goal) {
    static const char digits[] = "+.0123456789eE"; /* strtod takes blanks, hexadecimals, nan */
    double *target = strncmp(*rest, "digit=", 6) == 0 ? &goal->digit
                     : strncmp(*rest, "sum=", 4) == 0 ? &goal->sum
                                                      : NULL;
    if (!target || *target > 0) /* twice */
        return -1;
    const char *number = strchr(*rest, '=') + 1;
    char *end;
    *target = strtod(number, &end);
    if (end == number || end != number + strspn(number, digits) || !(*target > 0 && *target <= 100))
        return -1;
    if (*end && (*end != ',' || !end[1]))
        return -1;
    *rest = *end ? end + 1 : end;
    return 0;
}

static int parse_goal(const char *text, struct goal *goal, struct error *error) {
    *goal = (struct goal){0};
    const char *rest = text;
    while (rest && *rest) {
        if (parse_part(&rest, goal) == 0)
            continue;
        struct suggestion suggestion;
        char name[SUGGEST_NAME], hint[SUGGEST_HINT];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(rest, "=,"), rest);
        suggest_begin(&suggestion, strcmp(name, "digit") && strcmp(name, "sum") ? name : "");
        suggest_words(&suggestion, "digit|sum");
        return error_set(error, ERROR_INVALID,
                         "--until '%s': write digit=99.0,sum=99.0, in percent%s", text,
                         suggest_hint(&suggestion, hint));
    }
    return 0;
}

/* "6,9.5" into the schedule. -1: something else, not rising, or too many. */
static int parse_milestones(const char *text, struct schedule *schedule) {
    schedule->milestone_count = 0;
    while (*text) {
        char *end;
        double epoch = strtod(text, &end);
        double before =
            schedule->milestone_count ? schedule->milestones[schedule->milestone_count - 1] : 0;
        if (end == text || end != text + strspn(text, ".0123456789") || !(epoch > before) ||
            (*end && (*end != ',' || !end[1])) || schedule->milestone_count == SCHEDULE_MILESTONES)
            return -1;
        schedule->milestones[schedule->milestone_count++] = epoch;
        text = *end ? end + 1 : end;
    }
    return schedule->milestone_count > 0 ? 0 : -1;
}

void settings_settle(struct settings *settings) {
    const char *optimizer = settings->optimizer;
    bool adadelta = strcmp(optimizer, "adadelta") == 0;
    if (settings->rho == 0)
        settings->rho = adadelta ? 0.9 : 0.99;
    if (settings->epsilon == 0)
        settings->epsilon = adadelta ? 1e-6 : strcmp(optimizer, "adagrad") == 0 ? 1e-10 : 1e-8;
}

int settings_check(const struct settings *settings, struct goal *goal, struct error *error) {
    if (endpoint_check(settings->bind, true, error) != 0 ||
        reach_check_own(settings->bind, error) != 0)
        return error_prefix(error, "--bind");
    if (!endpoint_is_local(settings->bind) && !settings->insecure)
        return error_set(error, ERROR_INVALID,
                         "--bind %s can be reached from other machines: add --insecure if everyone "
                         "on that network may join this run",
                         settings->bind);
    if (settings->run_dir ? !*settings->run_dir : strcmp(settings->engine, "full") == 0)
        return error_set(error, ERROR_INVALID, "--run-dir is missing: where should the run go?");
    if (settings->run_dir && strlen(settings->run_dir) > RUN_DIR_MAX)
        return error_set(error, ERROR_INVALID, "--run-dir: a path of %zu bytes: at most %d",
                         strlen(settings->run_dir), RUN_DIR_MAX);
    if (settings->resume && !settings->run_dir)
        return error_set(error, ERROR_INVALID, "--resume needs --run-dir");
    if (settings->epochs > 0 && settings->steps > 0)
        return error_set(error, ERROR_INVALID, "--epochs and --steps exclude each other");
    if (settings->checkpoint_every > 0 && settings->checkpoint_epochs > 0)
        return error_set(error, ERROR_INVALID,
                         "--checkpoint-every and --checkpoint-epochs exclude each other");
    if ((float)settings->digit_weight + (float)settings->sum_weight <= 0)
        return error_set(error, ERROR_INVALID,
                         "--digit-weight and --sum-weight are both 0: nothing would be learned");
    struct schedule schedule;
    if (settings->milestones && parse_milestones(settings->milestones, &schedule) != 0)
        return error_set(error, ERROR_INVALID,
                         "--milestones '%s': write rising epochs, at most %d, as 6,9.5",
                         settings->milestones, SCHEDULE_MILESTONES);
    return parse_goal(settings->until, goal, error);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The recipes that lie beside the network, <stem>.NAME.recipe, as "fast, slow", and the nearest. */
static void list_recipes(const char *net, size_t stem, char *text, size_t size,
                         struct suggestion *suggestion) {
    char pattern[1200];
    glob_t found;
    size_t used = 0;
    text[0] = '\0';
    snprintf(pattern, sizeof pattern, "%.*s.*.recipe", (int)stem, net);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc && used < size; i++) {
        const char *name = found.gl_pathv[i] + stem + 1;
        char word[SUGGEST_NAME];
        snprintf(word, sizeof word, "%.*s", (int)(strlen(name) - strlen(".recipe")), name);
        suggest_try(suggestion, word);
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", word);
    }
    globfree(&found);
}

static int no_recipe(const struct settings *settings, const char *path, const char *net,
                     size_t stem, struct error *error) {
    struct suggestion suggestion;
    char names[160], hint[SUGGEST_HINT];
    suggest_begin(&suggestion, settings->recipe);
    list_recipes(net, stem, names, sizeof names, &suggestion);
    return error_set(error, ERROR_INVALID,
                     "there is no recipe '%.64s' for %.128s: looked for %s%s%s%s", settings->recipe,
                     settings->net, path, names[0] ? "; there are " : "", names,
                     suggest_hint(&suggestion, hint));
}

int settings_recipe(const struct settings *settings, char *path, size_t size, struct error *error) {
    const char *recipe = settings->recipe;
    path[0] = '\0';
    if (recipe && (strchr(recipe, '/') || ends_with(recipe, ".recipe"))) {
        snprintf(path, size, "%s", recipe);
        return 0;
    }
    char net[1024];
    if (net_locate(settings->net, net, sizeof net, error) != 0)
        return -1;
    size_t stem = strlen(net) - (ends_with(net, ".net") ? 4 : 0);
    int length = recipe ? snprintf(path, size, "%.*s.%s.recipe", (int)stem, net, recipe)
                        : snprintf(path, size, "%.*s.recipe", (int)stem, net);
    bool fits = length > 0 && (size_t)length < size;
    if (fits && access(path, R_OK) == 0)
        return 0;
    /* A network may have no recipe. One that cannot be read is another matter: without it the
     * weights would come out otherwise. */
    if (fits && errno != ENOENT && errno != ENOTDIR)
        return error_set_errno(error, "cannot read the recipe %s", path);
    if (recipe)
        return no_recipe(settings, path, net, stem, error);
    path[0] = '\0';
    return 0;
}

static bool is_among(const char *word, const char *list) {
    size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += size)
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

void settings_note_idle(const struct settings *settings, const struct options *options,
                        struct notices *notices) {
    static const struct {
        const char *option;
        bool schedule; /* or the optimizer */
        const char *with;
    } uses[] = {
        {"milestones", true, "step"},
        {"step-epochs", true, "step"},
        {"gamma", true, "step"},
        {"warmup", true, "linear cosine onecycle"},
        {"final-rate", true, "linear cosine onecycle"},
        {"momentum", false, "sgd nesterov"},
        {"beta1", false, "adam adamw"},
        {"beta2", false, "adam adamw"},
        {"rho", false, "adadelta rmsprop"},
        {"epsilon", false, "adam adamw adadelta rmsprop adagrad"},
    };
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        const char *set = uses[i].schedule ? settings->schedule : settings->optimizer;
        if (options_given(options, uses[i].option) && !is_among(set, uses[i].with))
            notices_add(notices, "--%s has no effect with --%s=%s", uses[i].option,
                        uses[i].schedule ? "schedule" : "optimizer", set);
    }
    if (settings->milestones && strcmp(settings->schedule, "step") == 0 &&
        options_given(options, "step-epochs"))
        notices_add(notices, "--step-epochs has no effect with --milestones");
}

void settings_optimizer(const struct settings *settings, struct optimizer *optimizer) {
    static const char *const words[] = {
        [OPTIMIZER_SGD] = "sgd",           [OPTIMIZER_NESTEROV] = "nesterov",
        [OPTIMIZER_ADAMW] = "adamw",       [OPTIMIZER_ADAM] = "adam",
        [OPTIMIZER_ADADELTA] = "adadelta", [OPTIMIZER_RMSPROP] = "rmsprop",
        [OPTIMIZER_ADAGRAD] = "adagrad",
    };
    int kind = OPTIMIZER_ADAGRAD;
    while (kind > 0 && strcmp(settings->optimizer, words[kind]) != 0)
        kind--;
    *optimizer = (struct optimizer){.kind = (enum optimizer_kind)kind,
                                    .momentum = (float)settings->momentum,
                                    .beta1 = (float)settings->beta1,
                                    .beta2 = (float)settings->beta2,
                                    .rho = (float)settings->rho,
                                    .epsilon = (float)settings->epsilon,
                                    .weight_decay = (float)settings->weight_decay,
                                    .ema = (float)settings->ema,
                                    .label_smoothing = (float)settings->label_smoothing,
                                    .digit_weight = (float)settings->digit_weight,
                                    .sum_weight = (float)settings->sum_weight};
}

void settings_schedule(const struct settings *settings, uint64_t steps, uint32_t samples,
                       struct schedule *schedule) {
    static const char *const words[] = {[SCHEDULE_CONSTANT] = "constant",
                                        [SCHEDULE_COSINE] = "cosine",
                                        [SCHEDULE_LINEAR] = "linear",
                                        [SCHEDULE_STEP] = "step",
                                        [SCHEDULE_ONECYCLE] = "onecycle"};
    int kind = SCHEDULE_ONECYCLE;
    while (kind > 0 && strcmp(settings->schedule, words[kind]) != 0)
        kind--;
    *schedule = (struct schedule){.kind = (enum schedule_kind)kind,
                                  .peak = (float)settings->rate,
                                  .warmup = (float)settings->warmup,
                                  .final = (float)settings->final_rate,
                                  .steps = steps,
                                  .epoch_steps = (double)samples / (double)settings->batch,
                                  .every = settings->step_epochs,
                                  .gamma = settings->gamma};
    if (settings->milestones)
        (void)parse_milestones(settings->milestones, schedule); /* settings_check has */
}

struct warps settings_warps(const struct settings *settings) {
    struct warps warps;
#define TAKE(name, max, unit, help) warps.name = (float)settings->name;
    WARPS(TAKE)
    return warps;
}
