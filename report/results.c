/* See results.h. */
#include "report/results.h"

#include "common/display.h"
#include "common/evaluations.h"
#include "common/file.h"
#include "common/summary.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* 0 too where there is no summary yet. */
static int read_summary(const char *folder, struct results *results, struct error *error) {
    char path[PATH_MAX];
    struct summary summary;
    if (path_join(path, folder, "summary.json", error) != 0)
        return -1;
    if (summary_read(&summary, path, error) != 0)
        return errno == ENOENT ? 0 : -1;
    snprintf(results->dataset, sizeof results->dataset, "%s", summary.dataset);
    results->synthetic = summary.synthetic;
    return 0;
}

int results_read(const char *folder, struct results *results, struct error *error) {
    char path[PATH_MAX];
    struct stat status;
    *results = (struct results){0};
    if (!realpath(folder, path))
        return error_set_file(error, "%s: cannot be found", folder);
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INVALID, "%s: expected a run's folder", folder);
    display_fit(results->run, sizeof results->run, strrchr(path, '/') + 1, INT_MAX, false);
    struct evaluations evaluations;
    if (read_summary(folder, results, error) != 0 ||
        path_join(path, folder, "evaluations.jsonl", error) != 0 ||
        evaluations_read(&evaluations, path, false, error) < 0)
        return -1;
    results->list = evaluations.list;
    results->count = evaluations.count;
    return 0;
}

void results_free(struct results *results) {
    free(results->list);
    *results = (struct results){0};
}
