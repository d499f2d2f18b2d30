/* See scores.h. */
#include "trainer/scores.h"

#include "common/file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096 /* longer ones are no evaluation */

static bool copy_hex(char to[static SHA256_HEX], const json_t *value) {
    const char *text = json_string_value(value);
    to[0] = '\0';
    if (!text || strlen(text) != SHA256_HEX - 1)
        return false;
    memcpy(to, text, SHA256_HEX);
    return true;
}

/* The share of hits, or -1. */
static double share(const json_t *object, const char *hits) {
    double count = json_number_value(json_object_get(object, "count"));
    const json_t *value = json_object_get(object, hits);
    double part = json_number_value(value);
    return json_is_integer(value) && count > 0 && part >= 0 && part <= count ? part / count : -1;
}

static bool parse(const char *text, size_t size, struct score_line *line) {
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *step = json_object_get(object, "step");
    line->digit = share(object, "digit_hits");
    line->sum = share(object, "sum_hits");
    copy_hex(line->weights, json_object_get(object, "weights_sha256"));
    bool good = json_is_integer(step) && json_integer_value(step) >= 0 && line->digit >= 0 &&
                line->sum >= 0 &&
                copy_hex(line->file, json_object_get(object, "checkpoint_sha256"));
    if (good)
        line->step = (uint64_t)json_integer_value(step);
    json_decref(object);
    return good;
}

/* A later line of a step takes the place of the earlier. Steps ascend as a rule. */
static int add(struct scores *scores, size_t *room, const struct score_line *line,
               struct error *error) {
    struct score_line *before =
        line->step <= scores->largest ? (struct score_line *)scores_find(scores, line->step) : NULL;
    if (before) {
        *before = *line;
        return 0;
    }
    if (line->step > scores->largest)
        scores->largest = line->step;
    if (scores->count == *room) {
        size_t more = *room ? 2 * *room : 64;
        struct score_line *list = realloc(scores->list, more * sizeof *list);
        if (!list)
            return error_set(error, ERROR_MEMORY, "no memory for %zu evaluations", more);
        scores->list = list;
        *room = more;
    }
    scores->list[scores->count++] = *line;
    return 0;
}

int scores_read(const char *folder, struct scores *scores, struct error *error) {
    char path[PATH_MAX], text[LINE_MAX_BYTES];
    size_t room = 0;
    int status = 0;
    *scores = (struct scores){0};
    if (path_join(path, folder, "evaluations.jsonl", error) != 0)
        return -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : error_set_errno(error, "opening %s", path);
    scores->there = true;
    while (status == 0 && fgets(text, sizeof text, file)) {
        struct score_line line;
        if (parse(text, strlen(text), &line))
            status = add(scores, &room, &line, error);
    }
    if (status == 0 && ferror(file))
        status = error_set_errno(error, "reading %s", path);
    fclose(file);
    if (status != 0)
        scores_free(scores);
    return status;
}

void scores_free(struct scores *scores) {
    free(scores->list);
    *scores = (struct scores){0};
}

const struct score_line *scores_find(const struct scores *scores, uint64_t step) {
    for (size_t i = scores->count; i-- > 0;)
        if (scores->list[i].step == step)
            return &scores->list[i];
    return NULL;
}

bool score_is_of(const struct score_line *line, const char *weights,
                 const uint8_t file[static SHA256_SIZE]) {
    char hex[SHA256_HEX];
    if (line->weights[0])
        return strcmp(line->weights, weights) == 0;
    sha256_hex(file, hex);
    return strcmp(line->file, hex) == 0;
}
