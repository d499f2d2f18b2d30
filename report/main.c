/* report: draws the pictures of a run from its folder. */
#include "common/file.h"
#include "common/options.h"
#include "common/signals.h"
#include "common/startup.h"
#include "report/pictures.h"

#include <limits.h>
#include <stdio.h>

struct settings {
    const char *run_dir;
};

/* clang-format off */
static const struct option_row rows[] = {
    {.name = "run-dir", .letter = 'd', .kind = OPTION_TEXT, .argument = "DIR",
     .offset = offsetof(struct settings, run_dir), .help = "folder of the run"},
};
/* clang-format on */

static const struct options_program program = {
    .name = "report",
    .summary = "Draws a run's charts into plots/ of its folder, from evaluations.jsonl and "
               "summary.json, at any time while the run lasts or afterwards.",
    .example = "report runs/first",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
    .positional = "[RUN-DIR]",
    .positional_offset = offsetof(struct settings, run_dir),
};

static int report(const struct settings *settings, struct error *error) {
    struct results results;
    char folder[PATH_MAX];
    if (!settings->run_dir)
        return error_set(error, ERROR_INVALID, "which run? report runs/first");
    if (path_join(folder, settings->run_dir, "plots", error) != 0 ||
        results_read(settings->run_dir, &results, error) != 0)
        return -1;
    int status = pictures_draw(&results, folder, error);
    if (status == 0)
        printf("%zu evaluations drawn into %s\n", results.count, folder);
    results_free(&results);
    return status;
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct settings settings = {0};
    int status = -1;
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&program, argc, argv, &settings, &error)
                                  : NULL;
    if (options && signals_install(&error) == 0)
        status = report(&settings, &error);
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "report: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
