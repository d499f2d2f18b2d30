/* See results.h. */
#include "report/results.h"

#include "common/file.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES (1 << 16) /* of evaluations.jsonl; an evaluation takes some 600 */

/* Opens <folder>/<name>; `path` gets its path. NULL where it is not there: *status is then 0, or -1
 * with the reason. */
static FILE *open_file(const char *folder, const char *name, char path[static PATH_MAX],
                       int *status, struct error *error) {
    *status = path_join(path, folder, name, error);
    if (*status != 0)
        return NULL;
    FILE *file = fopen(path, "re");
    if (!file && errno != ENOENT)
        *status = error_set_file(error, "%s: cannot open", path);
    return file;
}

static int add(struct results *results, const struct evaluation *evaluation, size_t *room) {
    if (results->count == *room) {
        struct evaluation *list = realloc(results->list, 2 * (*room + 32) * sizeof *list);
        if (!list)
            return -1;
        results->list = list;
        *room = 2 * (*room + 32);
    }
    results->list[results->count++] = *evaluation;
    return 0;
}

static int read_evaluations(const char *folder, struct results *results, struct error *error) {
    char path[PATH_MAX], origin[PATH_MAX + 16];
    size_t room = 0;
    int status;
    FILE *file = open_file(folder, "evaluations.jsonl", path, &status, error);
    char *line = file ? malloc(LINE_MAX_BYTES) : NULL;
    if (file && !line)
        status = error_set(error, ERROR_MEMORY, "%s: no memory to read it", path);
    for (unsigned number = 1; line && status == 0 && fgets(line, LINE_MAX_BYTES, file); number++) {
        struct evaluation evaluation;
        size_t size = strlen(line);
        if (size == 0 || line[size - 1] != '\n') {
            if (!feof(file))
                status = error_set(error, ERROR_CORRUPT, "%s:%u: not a line of text", path, number);
            break;
        }
        snprintf(origin, sizeof origin, "%s:%u", path, number);
        status = evaluation_decode_json(line, size, origin, &evaluation, error);
        if (status == 0 && add(results, &evaluation, &room) != 0)
            status = error_set(error, ERROR_MEMORY, "%s: no memory for its lines", path);
    }
    if (file && status == 0 && ferror(file))
        status = error_set_errno(error, "%s: cannot read", path);
    free(line);
    if (file)
        fclose(file);
    return status;
}

static int read_summary(const char *folder, struct results *results, struct error *error) {
    char path[PATH_MAX];
    int status, synthetic;
    const char *dataset;
    json_error_t where;
    FILE *file = open_file(folder, "summary.json", path, &status, error);
    if (!file)
        return status;
    json_t *values = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
    fclose(file);
    if (!values || json_unpack_ex(values, &where, 0, "{s:s, s:b}", "dataset", &dataset, "synthetic",
                                  &synthetic) != 0)
        status = error_set(error, ERROR_CORRUPT, "%s: expected a summary: %s", path, where.text);
    else {
        report_clean_text(results->dataset, sizeof results->dataset, dataset);
        results->synthetic = synthetic;
    }
    json_decref(values);
    return status;
}

int results_read(const char *folder, struct results *results, struct error *error) {
    char path[PATH_MAX];
    struct stat status;
    *results = (struct results){0};
    if (!realpath(folder, path))
        return error_set_file(error, "%s: cannot be found", folder);
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INVALID, "%s: expected a run's folder", folder);
    report_clean_text(results->run, sizeof results->run, strrchr(path, '/') + 1);
    if (read_summary(folder, results, error) == 0 && read_evaluations(folder, results, error) == 0)
        return 0;
    results_free(results);
    return -1;
}

void results_free(struct results *results) {
    free(results->list);
    *results = (struct results){0};
}
