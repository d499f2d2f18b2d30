/* The evaluator's options. */
#include "evaluator/run.h"

#include <stddef.h>

#define AT(field) offsetof(struct run_settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {.name = "join", .letter = 'j', .kind = OPTION_TEXT, .offset = AT(join), .fallback = "tcp://127.0.0.1:5555", .argument = "ADDR",
     .help = "the trainer's address"},
    {.name = "run-dir", .letter = 'd', .kind = OPTION_TEXT, .offset = AT(run_dir), .argument = "DIR",
     .help = "folder for evaluations.jsonl and the event file; without it they are not written"},
    {.name = "device", .kind = OPTION_CHOICE, .offset = AT(device), .choices = "auto|cpu|cuda", .fallback = "auto", .argument = "DEVICE",
     .help = "where to compute; auto uses a GPU if there is one"},
    {.name = "precision", .kind = OPTION_CHOICE, .offset = AT(precision), .choices = "auto|f32|tf32|bf16", .fallback = "auto", .argument = "TYPE",
     .help = "auto is the run's precision, if this machine has it"},
    {.name = "threads", .letter = 't', .kind = OPTION_INT, .offset = AT(threads), .max = 1024, .fallback = "1", .argument = "N",
     .help = "compute threads, at most one per processor that this process may use (affinity, control group, OMP_NUM_THREADS, OMP_THREAD_LIMIT); 0 uses all of them"},
    {.name = "batch", .kind = OPTION_INT, .offset = AT(batch), .min = 1, .max = 8192, .fallback = "250", .argument = "N",
     .help = "images scored between two polls of the sockets"},
    {.name = "all-digits", .kind = OPTION_FLAG, .offset = AT(all_digits),
     .help = "score every test image with each of the ten digits instead of one random digit"},
    {.name = "patience", .kind = OPTION_INT, .offset = AT(patience), .min = 1, .max = 86400, .fallback = "60", .argument = "SECONDS",
     .help = "exit when the trainer has been silent for so long"},
    {.name = "name", .letter = 'n', .kind = OPTION_TEXT, .offset = AT(name), .argument = "NAME",
     .help = "name of this process (default: role, host and process id)"},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .choices = "debug|info|warning|error", .fallback = "info", .argument = "LEVEL",
     .help = "min level that is logged"},
};
/* clang-format on */

const struct options_program evaluator_program = {
    .name = "evaluator",
    .summary = "Scores every checkpoint of a run on the test split while the run trains. Needs "
               "nothing but the trainer's address; kill and restart it at any time.",
    .example = "evaluator --join tcp://trainer:5555 --run-dir runs/first",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};
