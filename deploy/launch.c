/* See launch.h. */
#include "deploy/launch.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each program's environment gets on top of ours. A row is here because it was measured. */

/* A waiting OpenMP thread spins this often before it sleeps. libgomp's own default spins for
 * milliseconds, which on cores shared with other processes takes the time from the very thread that
 * is waited for: with three busy processes beside it on two cores, an epoch of quick took over 40 s
 * by default and 19 s so; with none, 1.6 and 1.7 s. */
static const char *const environment_trainer[] = {"GOMP_SPINCOUNT=1000", NULL};
static const char *const environment_evaluator[] = {"GOMP_SPINCOUNT=1000", NULL};
static const char *const environment_loader[] = {NULL};
static const char *const environment_augment[] = {NULL};

/* In the order of starting. */
static const struct role {
    const char *program;
    const char *const *environment;
} roles[] = {{"trainer", environment_trainer},
             {"loader", environment_loader},
             {"augment", environment_augment},
             {"evaluator", environment_evaluator}};

#define AT(field) offsetof(struct launch, field)

/* clang-format off */
static const struct option_row rows[] = {
    {.help = "The run"},
    {.name = "run", .kind = OPTION_TEXT, .offset = AT(run), .argument = "NAME",
     .help = "name of the run: letters, digits, '.', '_', '-'; network and time where it is not given"},
    {.name = "runs", .kind = OPTION_TEXT, .offset = AT(runs), .standard = "runs", .argument = "DIR",
     .help = "folder that the run's own folder is made in"},
    {.name = "resume", .kind = OPTION_FLAG, .offset = AT(resume),
     .help = "go on with the run of that name from its last checkpoint"},
    {.name = "other-bits", .kind = OPTION_FLAG, .offset = AT(other_bits),
     .help = "go on even where threads, instruction set, library or engine are others than before: other weights"},
    {.name = "force", .kind = OPTION_FLAG, .offset = AT(force),
     .help = "throw away an older run of that name"},
    {.help = "Training (the trainer's --help tells the defaults)"},
    {.name = "net", .kind = OPTION_TEXT, .offset = AT(net), .standard = "quick", .argument = "NAME|FILE",
     .help = "network: a name in model/nets, or a file"},
    {.name = "recipe", .kind = OPTION_TEXT, .offset = AT(recipe), .argument = "NAME|FILE",
     .help = "training settings: a file, or the name of a recipe beside the network"},
    {.name = "seed", .kind = OPTION_INT, .offset = AT(seed), .least = 0, .most = 9007199254740991.0,
     .argument = "N", .help = "the number that all random choices follow from"},
    {.name = "epochs", .kind = OPTION_REAL, .offset = AT(epochs), .least = 1e-6, .most = 1e6,
     .argument = "N", .help = "how long to train, in passes over the data"},
    {.name = "steps", .kind = OPTION_INT, .offset = AT(steps), .least = 1, .most = 1e12,
     .argument = "N", .help = "how long to train, in batches"},
    {.name = "until", .kind = OPTION_TEXT, .offset = AT(until), .argument = "GOAL",
     .help = "stop as soon as an evaluation reaches it, for example digit=99.0,sum=99.0"},
    {.name = "keep-going", .kind = OPTION_FLAG, .offset = AT(keep_going),
     .help = "train on when the loss is not a number or has exploded, instead of ending with status 1"},
    {.name = "device", .kind = OPTION_CHOICE, .offset = AT(device), .choices = "auto|cuda|cpu",
     .standard = "auto", .argument = "DEVICE", .help = "where to train and evaluate"},
    {.name = "precision", .kind = OPTION_CHOICE, .offset = AT(precision),
     .choices = "auto|f32|tf32|bf16", .standard = "auto", .argument = "TYPE",
     .help = "arithmetic"},
    {.name = "tune", .kind = OPTION_FLAG, .offset = AT(tune),
     .help = "measure on a GPU how to compute each convolution, once, and keep the choice"},
    {.name = "ahead", .kind = OPTION_INT, .offset = AT(ahead), .least = 0, .most = 64,
     .argument = "N", .help = "batches staged on a GPU before they are needed"},
    {.name = "graph-steps", .kind = OPTION_INT, .offset = AT(graph_steps), .least = 0, .most = 32,
     .argument = "N", .help = "steps that a GPU starts as one graph"},
    {.name = "data", .kind = OPTION_TEXT, .offset = AT(data), .standard = "auto",
     .argument = "SOURCE", .help = "auto, mnist, synthetic, or files: a path, or idx:, png:, csv: or npz: and a path; a resumed run keeps what it began with"},
    {.name = "hold-out", .kind = OPTION_INT, .offset = AT(hold_out), .least = 0,
     .most = SOURCE_HOLD_OUT_MOST,
     .argument = "N", .help = "score N training images, not trained on, in place of the test split; a resumed run keeps it"},
    {.name = "transpose", .kind = OPTION_FLAG, .offset = AT(transpose),
     .help = "turn every image, rows to columns, as EMNIST's files need; a resumed run keeps it"},
    {.help = "Processes"},
    {.name = "loaders", .kind = OPTION_INT, .offset = AT(loaders), .least = 1, .most = 64,
     .standard = "1", .argument = "N", .help = "how many loaders"},
    {.name = "augmenters", .kind = OPTION_INT, .offset = AT(augmenters), .least = 1, .most = 64,
     .standard = "2", .argument = "N", .help = "how many augmenters"},
    {.name = "evaluators", .kind = OPTION_INT, .offset = AT(evaluators), .least = 0, .most = 1,
     .standard = "1", .argument = "N", .help = "how many evaluators"},
    {.name = "trainer", .kind = OPTION_TEXT, .offset = AT(more_trainer), .use = OPTION_MANY,
     .argument = "WORD", .help = "one more word for the trainer, as --trainer=--batch=256; may be repeated"},
    {.name = "loader", .kind = OPTION_TEXT, .offset = AT(more_loader), .use = OPTION_MANY,
     .argument = "WORD", .help = "one more word for each loader; may be repeated"},
    {.name = "augment", .kind = OPTION_TEXT, .offset = AT(more_augment), .use = OPTION_MANY,
     .argument = "WORD", .help = "one more word for each augmenter; may be repeated"},
    {.name = "evaluator", .kind = OPTION_TEXT, .offset = AT(more_evaluator), .use = OPTION_MANY,
     .argument = "WORD", .help = "one more word for the evaluator; may be repeated"},
};

/* Options that go on to a program: always, or only when they were given. What was not given is the
 * trainer's to decide, for it knows the recipe and what a resumed run began with. */
static const struct passed {
    const char *program, *option;
    bool always;
} passed[] = {
    {"trainer", "net", false},      {"trainer", "recipe", false},     {"trainer", "seed", false},
    {"trainer", "epochs", false},   {"trainer", "steps", false},      {"trainer", "until", false},
    {"trainer", "device", false},   {"trainer", "precision", false},  {"trainer", "tune", false},
    {"trainer", "ahead", false},    {"trainer", "graph-steps", false}, {"trainer", "resume", false},
    {"trainer", "other-bits", false},
    {"trainer", "keep-going", false},
    {"loader", "data", true},       {"loader", "hold-out", true},    {"loader", "transpose", true},
    {"evaluator", "device", false},
};
/* clang-format on */

const struct options_program launch_program = {
    .name = "pipeline",
    .summary = "Trains, evaluates and reports on this machine: starts the loader, the augmenters, "
               "the trainer and the evaluator, shows how far they are, and ends them in order.",
    .example = "pipeline --net quick --epochs 3 --run first",
    .elsewhere =
        "an option of the trainer is given as --trainer=--batch=256, and so for the others",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};

int launch_check(const struct launch *launch, struct error *error) {
    if (launch->resume && launch->force)
        return error_set(error, ERROR_INVALID,
                         "--resume goes on with a run and --force throws it "
                         "away: give one of them");
    if ((launch->resume || launch->force) && !launch->run)
        return error_set(error, ERROR_INVALID, "--%s needs the name of a run: --run NAME",
                         launch->resume ? "resume" : "force");
    return launch->run ? folder_check_name(launch->run, error) : 0;
}

int launch_settle_data(struct launch *launch, const struct options *options,
                       const struct folder *folder, struct error *error) {
    struct data_source *begun = &launch->begun;
    if (!launch->resume) {
        begun->hold_out = launch->hold_out;
        begun->transpose = launch->transpose;
        if (data_source_settle(begun, launch->data, error) != 0 ||
            data_source_write(begun, folder->path, error) != 0)
            return -1;
        launch->data = begun->data;
        return 0;
    }
    int kept = data_source_read(begun, folder->path, error);
    if (kept == 1)
        data_source_restore(begun);
    if (kept == 1 && !options_given(options, "data"))
        launch->data = begun->data;
    if (kept == 1 && !options_given(options, "hold-out"))
        launch->hold_out = begun->hold_out;
    if (kept == 1 && !options_given(options, "transpose"))
        launch->transpose = begun->transpose;
    return kept < 0 ? -1 : 0;
}

struct words {
    char **list; /* NULL-ended once there is one */
    size_t count;
    bool failed;
};

static void add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct words *words, const char *format, ...) {
    char **list = realloc(words->list, (words->count + 2) * sizeof *list);
    if (list)
        words->list = list;
    va_list values;
    va_start(values, format);
    if (words->failed || !list || vasprintf(&list[words->count], format, values) < 0)
        words->failed = true;
    else
        words->count++;
    va_end(values);
    if (list)
        list[words->count] = NULL;
}

static void add_option(struct words *words, const char *name, const struct launch *launch) {
    const struct option_row *row = rows;
    while (!row->name || strcmp(row->name, name) != 0) {
        row++;
        assert(row < rows + sizeof rows / sizeof *rows);
    }
    const char *at = (const char *)launch + row->offset;
    switch (row->kind) {
    case OPTION_FLAG:
        if (*(const bool *)at)
            add(words, "--%s", name);
        break;
    case OPTION_INT:
        add(words, "--%s=%lld", name, (long long)*(const int64_t *)at);
        break;
    case OPTION_REAL:
        add(words, "--%s=%.17g", name, *(const double *)at);
        break;
    default:
        add(words, "--%s=%s", name, *(const char *const *)at);
    }
}

static const char **more_words(const char *program, const struct launch *launch) {
    return strcmp(program, "trainer") == 0   ? launch->more_trainer
           : strcmp(program, "loader") == 0  ? launch->more_loader
           : strcmp(program, "augment") == 0 ? launch->more_augment
                                             : launch->more_evaluator;
}

char **launch_words(const char *program, int number, const char *binaries,
                    const struct launch *launch, const struct options *options,
                    const struct folder *folder, struct error *error) {
    struct words words = {0};
    bool trainer = strcmp(program, "trainer") == 0;
    add(&words, "%s/%s", binaries, program);
    add(&words, "--%s=%s", trainer ? "bind" : "join", folder->control);
    if (trainer || strcmp(program, "evaluator") == 0)
        add(&words, "--run-dir=%s", folder->path);
    if (!trainer)
        add(&words, "--name=%s-%d", program, number);
    else if (launch->evaluators > 0)
        add(&words, "--expect-evaluator");
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (strcmp(passed[i].program, program) == 0 &&
            (passed[i].always || options_given(options, passed[i].option)))
            add_option(&words, passed[i].option, launch);
    const char **more = more_words(program, launch);
    for (size_t i = 0; more && more[i]; i++)
        add(&words, "%s", more[i]);
    if (words.failed) {
        launch_free_words(words.list);
        error_set(error, ERROR_MEMORY, "no memory for the command line of %s", program);
        return NULL;
    }
    return words.list;
}

void launch_free_words(char **words) {
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static int count_of(const char *program, const struct launch *launch) {
    return strcmp(program, "loader") == 0      ? (int)launch->loaders
           : strcmp(program, "augment") == 0   ? (int)launch->augmenters
           : strcmp(program, "evaluator") == 0 ? (int)launch->evaluators
                                               : 1;
}

static int start_one(struct supervisor *supervisor, const struct role *role, int number,
                     const char *binaries, const struct launch *launch,
                     const struct options *options, const struct folder *folder,
                     struct error *error) {
    bool trainer = strcmp(role->program, "trainer") == 0;
    char name[48], log[PATH_MAX + 64];
    if (trainer)
        snprintf(name, sizeof name, "%s", role->program);
    else
        snprintf(name, sizeof name, "%s-%d", role->program, number);
    snprintf(log, sizeof log, "%s/%s.log", folder->logs, name);
    char **words = launch_words(role->program, number, binaries, launch, options, folder, error);
    if (!words)
        return -1;
    struct process_spec spec = {.name = name,
                                .argv = (const char *const *)words,
                                .environment = role->environment,
                                .log = log};
    int status = supervisor_start(supervisor, &spec, trainer, error);
    launch_free_words(words);
    return status;
}

int launch_start(struct supervisor *supervisor, const char *binaries, const struct launch *launch,
                 const struct options *options, const struct folder *folder, struct error *error) {
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        for (int number = 1; number <= count_of(roles[i].program, launch); number++)
            if (start_one(supervisor, &roles[i], number, binaries, launch, options, folder,
                          error) != 0)
                return -1;
    return 0;
}
