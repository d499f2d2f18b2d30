/* See launch.h. */
#include "deploy/launch.h"

#include "common/suggest.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

#define AT(field) offsetof(struct launch, field)

/* clang-format off */
static const struct option_row rows[] = {
    {.help = "The run"},
    {.name = "run", .kind = OPTION_TEXT, .offset = AT(run), .argument = "NAME",
     .help = "name of the run: letters, digits, '.', '_', '-' (default: network and time)"},
    {.name = "runs", .kind = OPTION_TEXT, .offset = AT(runs), .fallback = "runs", .argument = "DIR",
     .help = "folder in which the run's own folder is made"},
    {.name = "resume", .kind = OPTION_FLAG, .offset = AT(resume),
     .help = "resume the run of that name from its newest checkpoint"},
    {.name = "force", .kind = OPTION_FLAG, .offset = AT(force),
     .help = "delete an older run of that name first"},
    {.name = "device", .kind = OPTION_CHOICE, .offset = AT(device), .choices = "auto|cuda|cpu",
     .fallback = "auto", .argument = "DEVICE", .help = "where to train and evaluate"},
    {.help = "Data (a resumed run keeps what it was started with)"},
    {.name = "data", .kind = OPTION_TEXT, .offset = AT(data), .fallback = "auto", .argument = "SOURCE",
     .help = "auto, mnist, synthetic, a path, or idx:, png:, csv: or npz: and a path"},
    {.name = "hold-out", .kind = OPTION_INT, .offset = AT(hold_out), .max = SOURCE_HOLD_OUT_MAX, .argument = "N",
     .help = "score N held-out training images instead of the test split"},
    {.name = "transpose", .kind = OPTION_FLAG, .offset = AT(transpose),
     .help = "transpose every image, as EMNIST's files need"},
    {.help = "Processes"},
    {.name = "loaders", .kind = OPTION_INT, .offset = AT(loaders), .min = 1, .max = 64, .fallback = "1",
     .argument = "N", .help = "number of loaders"},
    {.name = "augmenters", .kind = OPTION_INT, .offset = AT(augmenters), .min = 1, .max = 64, .fallback = "2",
     .argument = "N", .help = "number of augmenters"},
    {.name = "evaluators", .kind = OPTION_INT, .offset = AT(evaluators), .max = 1, .fallback = "1",
     .argument = "N", .help = "number of evaluators"},
    {.name = "trainer", .kind = OPTION_TEXT, .offset = AT(more_trainer), .use = OPTION_MANY, .argument = "WORD",
     .help = "pass WORD to the trainer; may be repeated"},
    {.name = "loader", .kind = OPTION_TEXT, .offset = AT(more_loader), .use = OPTION_MANY, .argument = "WORD",
     .help = "pass WORD to each loader, as --loader=--train-limit=1000; may be repeated"},
    {.name = "augment", .kind = OPTION_TEXT, .offset = AT(more_augment), .use = OPTION_MANY, .argument = "WORD",
     .help = "pass WORD to each augmenter; may be repeated"},
    {.name = "evaluator", .kind = OPTION_TEXT, .offset = AT(more_evaluator), .use = OPTION_MANY, .argument = "WORD",
     .help = "pass WORD to the evaluator; may be repeated"},
};
/* clang-format on */

const struct options_program launch_program = {
    .name = "pipeline",
    .summary = "Trains, evaluates and reports on this machine: starts the loaders, the augmenters, "
               "the trainer and the evaluator, shows their progress, and ends them in order. "
               "All other options go to the trainer, as does everything after --.",
    .example = "Example: pipeline --run first --net quick --epochs 3\n"
               "The trainer's options: trainer --help",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};

/* --- what goes to the trainer ------------------------------------------------------------------
 */

/* Whether a long option, `size` bytes of name, is one of ours or the beginning of one. */
static bool is_ours(const char *name, size_t size) {
    static const char *const own[] = {"help", "version"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strncmp(own[i], name, size) == 0)
            return true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name && strncmp(rows[i].name, name, size) == 0)
            return true;
    return false;
}

/* Whether an option of ours takes a value, where the name is written in full. */
static bool takes_value(const char *name, size_t size) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name && strlen(rows[i].name) == size && strncmp(rows[i].name, name, size) == 0)
            return rows[i].kind != OPTION_FLAG;
    return false;
}

/* The option of ours that such a name may have been meant for: told if the trainer refuses it. */
static void suspect(struct launch *launch, const char *word, size_t size) {
    struct suggestion suggestion;
    char name[SUGGEST_NAME];
    if (launch->meant || size >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s", (int)size, word + 2);
    suggest_begin(&suggestion, name);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name)
            suggest_try(&suggestion, rows[i].name);
    const char *best = suggest_best(&suggestion);
    for (size_t i = 0; best && i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name && strcmp(rows[i].name, best) == 0) {
            launch->meant = rows[i].name;
            launch->misspelt = word;
        }
}

/* Options of the trainer that would work against the launcher; NULL: none of them. */
static const char *reserved(const char *name, size_t size) {
    static const struct {
        const char *name, *instead;
    } options[] = {{"run-dir", "--run and --runs name the folder"},
                   {"bind", "workers on one machine need no address"},
                   {"name", "--run names the run"},
                   {"check", "give it to the trainer"},
                   {"describe", "give it to the trainer"},
                   {"dot", "give it to the trainer"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
            return options[i].instead;
    return NULL;
}

static void forward(struct words *words, const char *word) {
    add(words, "--trainer=%s", word);
}

/* The command line in which each word for the trainer has --trainer= before it. */
static int sort_words(struct launch *launch, int argc, char **argv, struct words *words,
                      struct error *error) {
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) {
            while (++i < argc)
                forward(words, argv[i]);
            return 0;
        }
        size_t size = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
        if (i == 0 || size == 0 || is_ours(word + 2, size)) {
            add(words, "%s", word);
            /* The value of ours may look like anything. */
            if (i > 0 && size > 0 && !word[2 + size] && takes_value(word + 2, size) && i + 1 < argc)
                add(words, "%s", argv[++i]);
            continue;
        }
        const char *instead = reserved(word + 2, size);
        if (instead)
            return error_set(error, ERROR_INVALID, "no --%.*s here: %s", (int)size, word + 2,
                             instead);
        suspect(launch, word, size);
        forward(words, word);
        if (!word[2 + size] && i + 1 < argc && argv[i + 1][0] != '-')
            forward(words, argv[++i]);
    }
    return 0;
}

struct options *launch_parse(struct launch *launch, int argc, char **argv, struct error *error) {
    struct words words = {0};
    struct options *options = NULL;
    int sorted = sort_words(launch, argc, argv, &words, error);
    if (sorted == 0 && words.failed)
        error_set(error, ERROR_MEMORY, "no memory for the options");
    else if (sorted == 0)
        options = options_parse(&launch_program, (int)words.count, words.list, launch, error);
    launch_free_words(words.list);
    return options;
}

const char *launch_net(const struct launch *launch) {
    const char *net = NULL;
    for (const char **word = launch->more_trainer; word && *word; word++)
        if (strncmp(*word, "--net=", 6) == 0)
            net = *word + 6;
        else if (strcmp(*word, "--net") == 0 && word[1])
            net = word[1];
    return net ? net : "quick";
}

int launch_check(const struct launch *launch, struct error *error) {
    if (launch->resume && launch->force)
        return error_set(error, ERROR_INVALID, "--resume and --force exclude each other");
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

static const char **more_words(const char *program, const struct launch *launch) {
    return strcmp(program, "loader") == 0    ? launch->more_loader
           : strcmp(program, "augment") == 0 ? launch->more_augment
                                             : launch->more_evaluator;
}

static void add_all(struct words *words, const char *const *more) {
    for (; more && *more; more++)
        add(words, "%s", *more);
}

static void add_trainer_words(struct words *words, const struct launch *launch,
                              const struct options *options) {
    if (launch->resume)
        add(words, "--resume");
    if (options_given(options, "device"))
        add(words, "--device=%s", launch->device);
    add_all(words, launch->more_trainer);
}

char **launch_words(const char *program, int number, const char *binaries,
                    const struct launch *launch, const struct options *options,
                    const struct folder *folder, struct error *error) {
    struct words words = {0};
    bool trainer = strcmp(program, "trainer") == 0;
    add(&words, "%s/%s", binaries, program);
    add(&words, "--%s=%s", trainer ? "bind" : "join", folder->control);
    bool evaluator = strcmp(program, "evaluator") == 0;
    if (trainer || evaluator)
        add(&words, "--run-dir=%s", folder->path);
    if (!trainer)
        add(&words, "--name=%s-%d", program, number);
    else if (launch->evaluators > 0)
        add(&words, "--expect-evaluator");
    if (trainer)
        add_trainer_words(&words, launch, options);
    else if (evaluator && options_given(options, "device"))
        add(&words, "--device=%s", launch->device);
    if (strcmp(program, "loader") == 0) {
        add(&words, "--data=%s", launch->data);
        add(&words, "--hold-out=%lld", (long long)launch->hold_out);
        if (launch->transpose)
            add(&words, "--transpose");
    }
    if (!trainer)
        add_all(&words, more_words(program, launch));
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

/* Starts a program with its standard error in a pipe; its exit status, or -1. `said` gets the first
 * bytes. */
static int ask(char **argv, char *said, size_t size) {
    int ends[2], status = -1;
    size_t used = 0;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    bool started = posix_spawn(&child, argv[0], &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    for (ssize_t got = 1; started && got > 0 && used<size - 1; used += got> 0 ? (size_t)got : 0)
        got = read(ends[0], said + used, size - 1 - used);
    said[used] = '\0';
    close(ends[0]);
    if (started && waitpid(child, &status, 0) == child && WIFEXITED(status))
        return WEXITSTATUS(status);
    return -1;
}

int launch_check_trainer(const struct launch *launch, const struct options *options,
                         const char *binaries, struct error *error) {
    static const char front[] = "trainer: ";
    struct words words = {0};
    char said[2 * sizeof error->text];
    add(&words, "%s/trainer", binaries);
    add(&words, "--check");
    add_trainer_words(&words, launch, options);
    int status = words.failed ? 0 : ask(words.list, said, sizeof said);
    launch_free_words(words.list);
    if (status != error_exit_status(ERROR_INVALID))
        return 0;
    said[strcspn(said, "\n")] = '\0';
    const char *sentence = strncmp(said, front, strlen(front)) == 0 ? said + strlen(front) : said;
    if (launch->meant && strstr(sentence, launch->misspelt))
        return error_set(error, ERROR_INVALID, "unknown option '%.200s'; did you mean --%s?",
                         launch->misspelt, launch->meant);
    return error_set(error, ERROR_INVALID, "%s", sentence);
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
