/* See table.h. */
#include "deploy/table.h"

#include "common/display.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TABLE_COLUMNS = 79, NAME_COLUMNS = 19 }; /* of a whole line; of what stands before a value */

bool table_is_synthetic(const char *dataset) {
    return strncasecmp(dataset, "synthetic", strlen("synthetic")) == 0;
}

static void row(FILE *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void row(FILE *out, const char *name, const char *format, ...) {
    va_list values;
    fprintf(out, "  %-15s  ", name);
    va_start(values, format);
    vfprintf(out, format, values);
    va_end(values);
    fputc('\n', out);
}

/* Bytes of the longest beginning of `text` that ends between words and fits into `columns`, or of
 * its first word where that does not fit, as a path may not. */
static size_t line_length(const char *text, int columns) {
    char line[NOTICE_SIZE];
    size_t fits = 0;
    for (size_t end = strcspn(text, " ");; end += 1 + strcspn(text + end + 1, " ")) {
        snprintf(line, sizeof line, "%.*s", (int)end, text);
        if (fits > 0 && display_columns(line) > columns)
            return fits;
        fits = end;
        if (!text[end])
            return fits;
    }
}

/* A sentence in as many lines as it needs. */
static void wrapped_row(FILE *out, const char *name, const char *sentence, bool ascii) {
    char text[NOTICE_SIZE];
    display_fit(text, sizeof text, sentence, sizeof text - 1, ascii);
    for (const char *rest = text; *rest; name = "") {
        size_t length = line_length(rest, TABLE_COLUMNS - NAME_COLUMNS);
        row(out, name, "%.*s", (int)length, rest);
        rest += length + (rest[length] == ' ');
    }
}

/* From the evaluation, with intervals and losses, where there is one. */
static void result_rows(FILE *out, const struct summary *s, const struct evaluation *last) {
    char number[DISPLAY_NUMBER], text[EVALUATION_LINE];
    const char *title;
    for (int i = 0; last && evaluation_row(last, i, &title, text); i++)
        if (text[0])
            row(out, title, "%s", text);
    if (last)
        return;
    row(out, "digit accuracy", "%s", display_share(s->digit_accuracy, number));
    row(out, "sum accuracy", "%s", display_share(s->sum_accuracy, number));
}

/* "cpu, bf16, 2 threads, AVX512_CORE_AMX, oneDNN 2.6.3": what the bits depend on, as far as it is
 * known; a library's hash in brackets is left out. */
static void engine_row(FILE *out, const struct summary *s) {
    json_t *computed = json_loads(s->computed_with, 0, NULL);
    const char *instructions = json_string_value(json_object_get(computed, "instructions"));
    const char *library = json_string_value(json_object_get(computed, "library"));
    json_int_t threads = json_integer_value(json_object_get(computed, "threads"));
    char text[512], part[128];
    int used = snprintf(text, sizeof text, "%s, %s", s->engine, s->precision);
    if (threads > 0 && threads < 1 << 20)
        used += snprintf(text + used, sizeof text - used, ", %d thread%s", (int)threads,
                         threads == 1 ? "" : "s");
    if (instructions && instructions[0])
        used += snprintf(text + used, sizeof text - used, ", %.64s", instructions);
    if (library) {
        snprintf(part, sizeof part, "%.*s", (int)strcspn(library, "("), library);
        for (size_t size = strlen(part); size > 0 && part[size - 1] == ' ';)
            part[--size] = '\0';
        snprintf(text + used, sizeof text - used, "%s%s", part[0] ? ", " : "", part);
    }
    char shown[512];
    display_fit(shown, sizeof shown, text, sizeof shown, false);
    row(out, "engine", "%s", shown);
    json_decref(computed);
}

char *table_text(const struct summary *summary, const struct evaluation *last, const char *folder,
                 bool ascii) {
    char *table = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&table, &size);
    if (!out)
        return NULL;
    char a[DISPLAY_NUMBER], b[DISPLAY_NUMBER], c[DISPLAY_NUMBER], shown[512];
    const struct summary *s = summary;
    row(out, "network", "%s, %s parameters", s->network, display_count(s->parameters, a));
    display_fit(shown, sizeof shown, s->dataset, sizeof shown - 1, ascii);
    row(out, "dataset", "%s%s", shown,
        table_is_synthetic(s->dataset) ? "  (these are NOT MNIST figures)" : "");
    engine_row(out, s);
    result_rows(out, s, last);
    row(out, "best step", "%s", display_count(s->best_step, a));
    row(out, "trained", "%s steps, %.4g epochs, seed %s", display_count(s->steps, a), s->epochs,
        display_count(s->seed, b));
    row(out, "time", "%s, %s images/s", display_duration(s->seconds, a),
        display_count((uint64_t)(s->images_per_second + 0.5), b));
    row(out, "waited for data", "%s in total, %s at most", display_duration(s->seconds_waiting, a),
        display_duration(s->longest_wait, b));
    row(out, "to the target", "%s",
        isnan(s->seconds_to_target) ? "not reached" : display_duration(s->seconds_to_target, a));
    row(out, "batches", "%s used once each, %s duplicates, %s re-leased",
        display_count(s->batches_consumed, a), display_count(s->batches_duplicated, b),
        display_count(s->batches_released_again, c));
    fprintf(out, "  weights SHA-256\n    %s\n",
            s->weights_sha256); /* 64 digits: beside it 83 columns */
    display_fit(shown, sizeof shown, folder, sizeof shown - 1, ascii);
    row(out, "folder", "%s", shown);
    for (int i = 0; i < s->warnings.count; i++)
        wrapped_row(out, "warning", s->warnings.texts[i], ascii);
    if (fclose(out) != 0) {
        free(table);
        return NULL;
    }
    return table;
}
