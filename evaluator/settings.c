/* The evaluator's options. */
#include "evaluator/run.h"

#include <stddef.h>

#define AT(field) offsetof(struct run_settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {"join", 'j', OPTION_TEXT, AT(join), 0, 0, NULL, "tcp://127.0.0.1:5555", "ADDR",
     "the trainer's address", 0},
    {"run-dir", 'd', OPTION_TEXT, AT(run_dir), 0, 0, NULL, NULL, "DIR",
     "where evaluations.jsonl and the event file go; without it they are not written", 0},
    {"device", 0, OPTION_CHOICE, AT(device), 0, 0, "auto|cpu|cuda", "auto", "DEVICE",
     "where to compute: auto takes a GPU where there is one", 0},
    {"precision", 0, OPTION_CHOICE, AT(precision), 0, 0, "auto|f32|tf32|bf16", "auto", "TYPE",
     "auto is what the run trains in, where this machine has it", 0},
    {"threads", 't', OPTION_INT, AT(threads), 0, 1024, NULL, "1", "N",
     "compute threads: at most one for each processor that this process may use (affinity, control group), and no more than OMP_NUM_THREADS and OMP_THREAD_LIMIT; 0 is as many as that", 0},
    {"batch", 0, OPTION_INT, AT(batch), 1, 8192, NULL, "250", "N",
     "images scored between two looks at the sockets", 0},
    {"all-digits", 0, OPTION_FLAG, AT(all_digits), 0, 0, NULL, NULL, NULL,
     "score every test image with each of the ten digits, not with one drawn digit", 0},
    {"patience", 0, OPTION_INT, AT(patience), 1, 86400, NULL, "60", "SECONDS",
     "give up when the trainer is silent for so long", 0},
    {"name", 'n', OPTION_TEXT, AT(name), 0, 0, NULL, NULL, "NAME",
     "of this process; without it, its role, host and number", 0},
    {"log-level", 0, OPTION_CHOICE, AT(log_level), 0, 0, "debug|info|warning|error", "info",
     "LEVEL", "least level that is logged", 0},
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
