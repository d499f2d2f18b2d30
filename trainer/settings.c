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
#define WARP_ROW(name, max, unit, help)                                                            \
    {#name, 0, OPTION_REAL, AT(name), 0, max, NULL, "0", unit, help, RESULT},

/* clang-format off */
static const struct option_row rows[] = {
    {.help = "Where"},
    {"bind", 'b', OPTION_TEXT, AT(bind), 0, 0, NULL, "tcp://127.0.0.1:5555", "ADDR",
     "control address that workers join; pairs take the port after it", 0},
    {"run-dir", 'd', OPTION_TEXT, AT(run_dir), 0, 0, NULL, NULL, "DIR",
     "folder of the run: checkpoints, settings, summary", 0},
    {"insecure", 0, OPTION_FLAG, AT(insecure), 0, 0, NULL, NULL, NULL,
     "accept workers from other machines without keys or encryption", 0},
    {"resume", 'r', OPTION_FLAG, AT(resume), 0, 0, NULL, NULL, NULL,
     "go on from the newest whole checkpoint of the run: trainer --resume runs/first", 0},
    {"other-bits", 0, OPTION_FLAG, AT(other_bits), 0, 0, NULL, NULL, NULL,
     "resume even where the number of threads, the instruction set, the library or the engine is another than before, so that the weights come out otherwise; recorded in summary.json", 0},

    {.help = "What"},
    {"describe", 0, OPTION_TEXT, AT(describe), 0, 0, NULL, NULL, "NAME|FILE",
     "only print this network's nodes, shapes, parameters and multiply-adds", 0},
    {"dot", 0, OPTION_TEXT, AT(dot), 0, 0, NULL, NULL, "NAME|FILE",
     "only print this network's graph for Graphviz", 0},
    {"net", 'n', OPTION_TEXT, AT(net), 0, 0, NULL, "quick", "NAME|FILE",
     "network to train: a name from model/nets or a .net file", OPTION_SETTING},
    {"recipe", 0, OPTION_TEXT, AT(recipe), 0, 0, NULL, NULL, "NAME|FILE",
     "training settings: a .recipe file, or the NAME of one beside the network; without it the network's own", 0},
    {"device", 0, OPTION_CHOICE, AT(device), 0, 0, "auto|cpu|cuda", "auto", "DEVICE",
     "where to compute: auto takes a GPU where there is one", 0},
    {"engine", 0, OPTION_CHOICE, AT(engine), 0, 0, "full|null", "full", "KIND",
     "null discards every batch, to measure the pipeline alone", 0},
    {"precision", 0, OPTION_CHOICE, AT(precision), 0, 0, "auto|f32|tf32|bf16", "auto", "TYPE",
     "of activations and products; tf32 is f32 with products on a GPU's tensor cores; auto is bf16 where the device has it", RESULT},
    {"threads", 0, OPTION_INT, AT(threads), 0, 1024, NULL, "0", "N",
     "compute threads: at most one for each processor that this process may use (affinity, control group), and no more than OMP_NUM_THREADS and OMP_THREAD_LIMIT; 0 is as many as that. A resumed run keeps its number, and shares processors only where that number is named", OPTION_SETTING},
    {"ahead", 0, OPTION_INT, AT(ahead), 0, 64, NULL, "0", "N",
     "batches staged on a GPU before they are needed; 0 is as the engine sees fit", 0},
    {"graph-steps", 0, OPTION_INT, AT(graph_steps), 0, 32, NULL, "0", "N",
     "steps that a GPU starts as one graph; 0 is as the engine sees fit", 0},
    {"tune", 0, OPTION_FLAG, AT(tune), 0, 0, NULL, NULL, NULL,
     "measure on a GPU how to compute each convolution, once, and keep the choice for later runs", OPTION_SETTING},
    {"seed", 's', OPTION_INT, AT(seed), 0, 9007199254740991.0, NULL, "1", "N",
     "of the order, the digits, the warps, the first weights and dropout", OPTION_SETTING},
    {"batch", 0, OPTION_INT, AT(batch), 1, BATCH_MAXIMUM, NULL, "128", "N",
     "pairs in a step", RESULT},
    {"epochs", 'e', OPTION_REAL, AT(epochs), 1e-6, 1e6, NULL, NULL, "N",
     "length of the run in epochs; may be a fraction", RESULT},
    {"steps", 0, OPTION_INT, AT(steps), 1, 1e12, NULL, NULL, "N",
     "length of the run in steps, instead of --epochs; one epoch where neither is set", RESULT},

    {.help = "How"},
    {"optimizer", 0, OPTION_CHOICE, AT(optimizer), 0, 0, "sgd|nesterov|adam|adamw|adadelta|rmsprop|adagrad", "adamw", "NAME",
     "update rule, as in PyTorch; nesterov is sgd with Nesterov momentum", RESULT},
    {"schedule", 0, OPTION_CHOICE, AT(schedule), 0, 0, "constant|linear|cosine|onecycle|step", "onecycle",
     "NAME", "of the learning rate", RESULT},
    {"rate", 0, OPTION_REAL, AT(rate), 1e-12, 100, NULL, "0.01", "X", "highest learning rate", RESULT},
    {"warmup", 0, OPTION_REAL, AT(warmup), 0, 1, NULL, "0.25", "X",
     "share of the run in which the rate rises; of linear, cosine and onecycle", RESULT},
    {"final-rate", 0, OPTION_REAL, AT(final_rate), 0, 1, NULL, "0.0001", "X",
     "last rate as a share of the highest; of linear, cosine and onecycle", RESULT},
    {"step-epochs", 0, OPTION_REAL, AT(step_epochs), 1e-6, 1e6, NULL, "1", "X",
     "of step: epochs between two cuts of the rate", RESULT},
    {"milestones", 0, OPTION_TEXT, AT(milestones), 0, 0, NULL, NULL, "LIST",
     "of step: the epochs of the cuts, as 6,9.5, in place of --step-epochs", RESULT},
    {"gamma", 0, OPTION_REAL, AT(gamma), 1e-6, 1, NULL, "0.1", "X",
     "of step: what the rate is multiplied with at each cut", RESULT},
    {"momentum", 0, OPTION_REAL, AT(momentum), 0, 1, NULL, "0.9", "X", "of sgd and nesterov",
     RESULT},
    {"beta1", 0, OPTION_REAL, AT(beta1), 0, 0.9999999, NULL, "0.9", "X", "of adam and adamw", RESULT},
    {"beta2", 0, OPTION_REAL, AT(beta2), 0, 0.9999999, NULL, "0.999", "X", "of adam and adamw", RESULT},
    {"rho", 0, OPTION_REAL, AT(rho), 1e-6, 0.9999999, NULL, NULL, "X",
     "of adadelta (default 0.9) and rmsprop (default 0.99)", RESULT},
    {"epsilon", 0, OPTION_REAL, AT(epsilon), 1e-30, 1, NULL, NULL, "X",
     "of all but sgd and nesterov (default 1e-8; adadelta 1e-6, adagrad 1e-10)", RESULT},
    {"weight-decay", 0, OPTION_REAL, AT(weight_decay), 0, 10, NULL, "0", "X",
     "of weights, not of biases and batchnorm", RESULT},
    {"ema", 0, OPTION_REAL, AT(ema), 0, 0.9999999, NULL, "0", "X",
     "decay of the moving average of the weights, which is then what is evaluated; 0 is off", RESULT},
    {"label-smoothing", 0, OPTION_REAL, AT(label_smoothing), 0, 0.9, NULL, "0", "X",
     "on both outputs", RESULT},
    {"digit-weight", 0, OPTION_REAL, AT(digit_weight), 0, 1000, NULL, "1", "X",
     "of the digit's loss", RESULT},
    {"sum-weight", 0, OPTION_REAL, AT(sum_weight), 0, 1000, NULL, "1", "X",
     "of the sum's loss", RESULT},

    {.help = "Warps: the largest change to either side, drawn anew for each image; 0 is none"},
    WARPS(WARP_ROW)

    {.help = "The run"},
    {"checkpoint-every", 0, OPTION_INT, AT(checkpoint_every), 0, 1e12, NULL, "0", "N",
     "steps between checkpoints, besides those at each epoch's end", RESULT},
    {"checkpoint-epochs", 0, OPTION_REAL, AT(checkpoint_epochs), 0, 1e6, NULL, "0", "X",
     "epochs between checkpoints: 0.25 is four an epoch", RESULT},
    {"keep", 0, OPTION_INT, AT(keep), 1, 10000, NULL, "5", "N",
     "newest checkpoints kept on disk, besides best.safetensors", OPTION_RECIPE},
    {"unscored", 0, OPTION_INT, AT(unscored), 1, 10000, NULL, "64", "N",
     "checkpoints that may wait on disk to be scored: then training waits for an evaluator, or where none ever joined and none is expected, the oldest goes unscored", OPTION_RECIPE},
    {"until", 0, OPTION_TEXT, AT(until), 0, 0, NULL, NULL, "GOAL",
     "stop when an evaluation reaches this: digit=99.0,sum=99.0", 0},
    {"keep-going", 0, OPTION_FLAG, AT(keep_going), 0, 0, NULL, NULL, NULL,
     "train on, with a warning, when the loss is not a number or has exploded, instead of ending with status 1", 0},
    {"window", 0, OPTION_INT, AT(window), 1, 4096, NULL, "64", "N",
     "steps that may be under way at a time", 0},
    {"hedge", 0, OPTION_INT, AT(hedge), 0, 5000, NULL, "25", "MS",
     "least time after which a step that later ones have overtaken is asked of a second worker; 0 waits until its loader is gone, or 5 s", 0},
    {"drain", 0, OPTION_INT, AT(drain), 0, 86400, NULL, "120", "SECONDS",
     "wait at the end for the evaluators: so long without a report", 0},
    {"expect-evaluator", 0, OPTION_FLAG, AT(expect_evaluator), 0, 0, NULL, NULL, NULL,
     "hold all checkpoints for one that has not joined yet, and wait for it at the end: a short run is over before it is there", 0},
    {"name", 0, OPTION_TEXT, AT(name), 0, 0, NULL, "trainer", "NAME", "in logs", 0},
    {"log-level", 0, OPTION_CHOICE, AT(log_level), 0, 0, "debug|info|warning|error", "info",
     "LEVEL", "least level that is logged", 0},
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
