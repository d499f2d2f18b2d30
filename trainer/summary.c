/* See summary.h. */
#include "trainer/summary.h"
#include "common/file.h"

#include "model/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JSON has no NaN: what was not measured is null. */
static json_t *real_or_null(double value, bool there) {
    return there && isfinite(value) ? json_real(value) : json_null();
}

/* The texts, and how many more there were. */
static json_t *warnings_json(const struct notices *warnings) {
    json_t *array = json_array();
    for (int i = 0; i < warnings->count; i++)
        json_array_append_new(array, json_string(warnings->texts[i]));
    if (warnings->dropped > 0)
        json_array_append_new(array, json_sprintf("and %d more", warnings->dropped));
    return array;
}

static json_t *to_json(const struct summary *s) {
    bool scored = s->scored;
    return json_pack(
        "{s:s, s:I, s:s, s:b, s:s, s:s, s:i, s:I, s:I, s:f, s:o, s:o, s:I, s:o, s:o, s:s, s:s,"
        " s:f, s:o, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:o}",
        "network", s->network, "parameters", (json_int_t)s->parameters, "dataset", s->dataset,
        "synthetic", s->synthetic, "engine", s->engine, "precision", s->precision, "threads",
        s->threads, "seed", (json_int_t)s->seed, "steps", (json_int_t)s->steps, "epochs", s->epochs,
        "digit_accuracy", real_or_null(s->digit_accuracy, scored), "sum_accuracy",
        real_or_null(s->sum_accuracy, scored), "best_step", (json_int_t)s->best_step,
        "best_digit_accuracy", real_or_null(s->best_digit_accuracy, s->best_step > 0),
        "best_sum_accuracy", real_or_null(s->best_sum_accuracy, s->best_step > 0), "weights_sha256",
        s->weights_sha256, "chain_sha256", s->chain_sha256, "seconds", s->seconds,
        "seconds_to_target", real_or_null(s->seconds_to_target, s->seconds_to_target >= 0),
        "seconds_waiting", s->seconds_waiting, "longest_wait", s->longest_wait, "images_per_second",
        s->images_per_second, "batches_consumed", (json_int_t)s->batches_consumed,
        "batches_duplicated", (json_int_t)s->batches_duplicated, "batches_released_again",
        (json_int_t)s->batches_released_again, "messages_rejected",
        (json_int_t)s->messages_rejected, "checkpoints_unscored",
        (json_int_t)s->checkpoints_unscored, "finished", s->finished, "warnings",
        warnings_json(&s->warnings));
}

int summary_write(const struct summary *summary, const char *folder, struct error *error) {
    json_t *values = to_json(summary);
    if (values && summary->computed_with)
        json_object_set_new(values, "computed_with", json_loads(summary->computed_with, 0, NULL));
    char *text = values ? json_dumps(values, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    int status;
    if (!text) {
        status = error_set(error, ERROR_MEMORY, "no memory to write the summary");
    } else {
        char path[PATH_MAX];
        size_t size = strlen(text);
        text[size] = '\n'; /* where the NUL was: a text file ends with a newline */
        status = path_join(path, folder, "summary.json", error);
        if (status == 0)
            status = file_write(path, text, size + 1, error);
    }
    free(text);
    json_decref(values);
    return status;
}

void summary_earlier(const char *folder, double *seconds, double *seconds_to_target) {
    char path[PATH_MAX];
    path_join(path, folder, "summary.json", NULL);
    json_t *values = json_load_file(path, 0, NULL);
    double spent = json_number_value(json_object_get(values, "seconds"));
    const json_t *target = json_object_get(values, "seconds_to_target");
    *seconds = spent > 0 ? spent : 0;
    *seconds_to_target = json_is_number(target) ? json_number_value(target) : -1;
    json_decref(values);
}
