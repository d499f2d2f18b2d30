/* See summary.h. */
#include "deploy/summary.h"

#include "common/file.h"

#include "deploy/text.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TABLE_COLUMNS = 79, NAME_COLUMNS = 19 }; /* of a whole line; of what stands before a value */

enum kind { TEXT, COUNT, REAL, REAL_OR_NULL };

/* A field of summary.json and where it goes. */
struct field {
    const char *key;
    enum kind kind;
    size_t offset;
    size_t size;        /* TEXT: bytes of the array */
    double least, most; /* numbers */
};

#define FIELD_TEXT(name)                                                                           \
    { #name, TEXT, offsetof(struct summary, name), sizeof((struct summary *)0)->name, 0, 0 }
#define FIELD(name, kind, most)                                                                    \
    { #name, kind, offsetof(struct summary, name), 0, 0, most }

/* clang-format off */
static const struct field fields[] = {
    FIELD_TEXT(network),
    FIELD(parameters, COUNT, 1e15),
    FIELD_TEXT(dataset),
    FIELD_TEXT(engine),
    FIELD_TEXT(precision),
    FIELD(seed, COUNT, 1e19),
    FIELD(steps, COUNT, 1e15),
    FIELD(epochs, REAL, 1e9),
    FIELD(digit_accuracy, REAL_OR_NULL, 1),
    FIELD(sum_accuracy, REAL_OR_NULL, 1),
    FIELD(best_step, COUNT, 1e15),
    FIELD_TEXT(weights_sha256),
    FIELD(seconds, REAL, 1e9),
    FIELD(seconds_to_target, REAL_OR_NULL, 1e9),
    FIELD(seconds_waiting, REAL, 1e9),
    FIELD(longest_wait, REAL, 1e9),
    FIELD(images_per_second, REAL, 1e12),
    FIELD(batches_consumed, COUNT, 1e15),
    FIELD(batches_duplicated, COUNT, 1e15),
    FIELD(batches_released_again, COUNT, 1e15),
};
/* clang-format on */

static int read_text(const json_t *value, const struct field *field, char *out) {
    if (!json_is_string(value))
        return -1;
    text_fit(out, field->size, json_string_value(value), (int)field->size - 1, false);
    return 0;
}

static int read_number(const json_t *value, const struct field *field, void *out) {
    if (json_is_null(value) && field->kind == REAL_OR_NULL) {
        *(double *)out = NAN;
        return 0;
    }
    if (field->kind == COUNT ? !json_is_integer(value) : !json_is_number(value))
        return -1;
    /* A seed above 2^63 comes as a negative integer from a writer that has signed ones only. */
    bool any_integer = strcmp(field->key, "seed") == 0;
    double number = json_number_value(value);
    if (!any_integer && !(number >= field->least && number <= field->most))
        return -1;
    if (field->kind == COUNT)
        *(uint64_t *)out = (uint64_t)json_integer_value(value);
    else
        *(double *)out = number;
    return 0;
}

static const char *expectation(enum kind kind) {
    switch (kind) {
    case TEXT:
        return "a text";
    case COUNT:
        return "a whole number";
    case REAL:
        return "a number";
    default:
        return "a number or null";
    }
}

/* What older files do not have, and what is for people alone: wrong or missing, it is not shown. */
static void read_computed(const json_t *values, struct summary *summary) {
    const json_t *computed = json_object_get(values, "computed_with");
    const char *instructions = json_string_value(json_object_get(computed, "instructions"));
    const char *library = json_string_value(json_object_get(computed, "library"));
    json_int_t threads = json_integer_value(json_object_get(computed, "threads"));
    text_fit(summary->instructions, sizeof summary->instructions, instructions ? instructions : "",
             sizeof summary->instructions - 1, false);
    text_fit(summary->library, sizeof summary->library, library ? library : "",
             sizeof summary->library - 1, false);
    summary->threads = threads > 0 && threads < 1 << 20 ? (int)threads : 0;
}

/* "warnings" may be missing; what is no text in it is passed over. */
static void read_warnings(const json_t *array, struct notices *warnings) {
    size_t i;
    const json_t *value;
    json_array_foreach(array, i, value) if (json_is_string(value))
        notices_add(warnings, "%s", json_string_value(value));
}

int summary_read(const char *path, struct summary *summary, struct error *error) {
    struct summary read = {0};
    uint8_t *text;
    size_t size;
    json_t *values = NULL;
    int status = -1;
    json_error_t where;
    if (file_read(path, SUMMARY_MAXIMUM, &text, &size, error) != 0)
        return -1;
    values = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(values)) {
        error_set(error, ERROR_CORRUPT, "%s is not a JSON object: %s", path,
                  values ? "it is something else" : where.text);
        goto done;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *field = &fields[i];
        const json_t *value = json_object_get(values, field->key);
        void *out = (char *)&read + field->offset;
        int bad = !value                ? -1
                  : field->kind == TEXT ? read_text(value, field, out)
                                        : read_number(value, field, out);
        if (bad) {
            error_set(error, ERROR_CORRUPT, "%s: '%s' is %s, expected %s", path, field->key,
                      value ? "not usable" : "missing", expectation(field->kind));
            goto done;
        }
    }
    read_computed(values, &read);
    read_warnings(json_object_get(values, "warnings"), &read.warnings);
    *summary = read;
    status = 0;
done:
    json_decref(values);
    free(text);
    return status;
}

bool summary_is_synthetic(const char *dataset) {
    return strncasecmp(dataset, "synthetic", strlen("synthetic")) == 0;
}

static bool share(const json_t *value, double *out) {
    *out = json_number_value(value);
    return json_is_number(value) && *out >= 0 && *out <= 1;
}

static bool interval(const json_t *value, double *low, double *high) {
    return json_array_size(value) == 2 && share(json_array_get(value, 0), low) &&
           share(json_array_get(value, 1), high) && *low <= *high;
}

static bool read_scores(const char *line, size_t size, struct form_scores *out) {
    json_t *values = json_loadb(line, size, 0, NULL);
    const json_t *step = json_object_get(values, "step");
    const json_t *loss = json_object_get(values, "loss");
    bool good =
        json_is_integer(step) && json_integer_value(step) >= 0 &&
        share(json_object_get(values, "digit_accuracy"), &out->digit) &&
        share(json_object_get(values, "sum_accuracy"), &out->sum) &&
        interval(json_object_get(values, "digit_interval"), &out->digit_low, &out->digit_high) &&
        interval(json_object_get(values, "sum_interval"), &out->sum_low, &out->sum_high);
    if (good) {
        out->step = (uint64_t)json_integer_value(step);
        out->epoch = json_number_value(json_object_get(values, "epoch"));
        out->loss = json_is_number(loss) ? json_number_value(loss) : NAN;
        out->seconds = json_number_value(json_object_get(values, "seconds"));
    }
    json_decref(values);
    return good;
}

int summary_evaluations(const char *path,
                        void (*found)(const struct form_scores *scores, void *context),
                        void *context) {
    FILE *file = fopen(path, "re");
    char *line = file ? malloc(SUMMARY_LINE_MAXIMUM) : NULL;
    int count = 0;
    bool whole = true; /* the line before ended with a newline: this is the beginning of one */
    while (line && fgets(line, SUMMARY_LINE_MAXIMUM, file)) {
        size_t size = strlen(line);
        bool begins = whole;
        whole = size > 0 && line[size - 1] == '\n';
        struct form_scores scores = {0};
        if (begins && whole && read_scores(line, size, &scores)) {
            count++;
            found(&scores, context);
        }
    }
    free(line);
    if (file)
        fclose(file);
    return count;
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
        if (fits > 0 && text_columns(line) > columns)
            return fits;
        fits = end;
        if (!text[end])
            return fits;
    }
}

/* A sentence in as many lines as it needs. */
static void wrapped_row(FILE *out, const char *name, const char *sentence, bool ascii) {
    char text[NOTICE_SIZE];
    text_fit(text, sizeof text, sentence, sizeof text - 1, ascii);
    for (const char *rest = text; *rest; name = "") {
        size_t length = line_length(rest, TABLE_COLUMNS - NAME_COLUMNS);
        row(out, name, "%.*s", (int)length, rest);
        rest += length + (rest[length] == ' ');
    }
}

static void accuracy_row(FILE *out, const char *name, double accuracy, bool with, double low,
                         double high) {
    char text[TEXT_NUMBER];
    if (with)
        row(out, name, "%s  [%.2f, %.2f]", text_share(accuracy, text), 100 * low, 100 * high);
    else
        row(out, name, "%s", text_share(accuracy, text));
}

/* "cpu, bf16, 2 threads, AVX512_CORE_AMX, oneDNN 2.6.3": what the bits depend on, as far as it is
 * known; a library's hash in brackets is left out. */
static void engine_row(FILE *out, const struct summary *s) {
    char threads[32] = "", library[sizeof s->library];
    if (s->threads > 0)
        snprintf(threads, sizeof threads, ", %d thread%s", s->threads, s->threads == 1 ? "" : "s");
    snprintf(library, sizeof library, "%s", s->library);
    library[strcspn(library, "(")] = '\0';
    for (size_t size = strlen(library); size > 0 && library[size - 1] == ' ';)
        library[--size] = '\0';
    row(out, "engine", "%s, %s%s%s%s%s%s", s->engine, s->precision, threads,
        s->instructions[0] ? ", " : "", s->instructions, library[0] ? ", " : "", library);
}

char *summary_table(const struct summary *summary, const struct form_scores *last,
                    const char *folder, bool ascii) {
    char *table = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&table, &size);
    if (!out)
        return NULL;
    char a[TEXT_NUMBER], b[TEXT_NUMBER], c[TEXT_NUMBER], shown[512];
    const struct summary *s = summary;
    row(out, "network", "%s, %s parameters", s->network, text_count(s->parameters, a));
    text_fit(shown, sizeof shown, s->dataset, sizeof shown - 1, ascii);
    row(out, "dataset", "%s%s", shown,
        summary_is_synthetic(s->dataset) ? "  (these are NOT MNIST figures)" : "");
    engine_row(out, s);
    accuracy_row(out, "digit accuracy", s->digit_accuracy, last, last ? last->digit_low : 0,
                 last ? last->digit_high : 0);
    accuracy_row(out, "sum accuracy", s->sum_accuracy, last, last ? last->sum_low : 0,
                 last ? last->sum_high : 0);
    row(out, "best step", "%s", text_count(s->best_step, a));
    row(out, "trained", "%s steps, %.4g epochs, seed %s", text_count(s->steps, a), s->epochs,
        text_count(s->seed, b));
    row(out, "time", "%s, %s images/s", text_duration(s->seconds, a),
        text_count((uint64_t)(s->images_per_second + 0.5), b));
    row(out, "waited for data", "%s in all, %s at most", text_duration(s->seconds_waiting, a),
        text_duration(s->longest_wait, b));
    row(out, "to the target", "%s",
        isnan(s->seconds_to_target) ? "not reached" : text_duration(s->seconds_to_target, a));
    row(out, "batches", "%s used once each, %s duplicates, %s leased again",
        text_count(s->batches_consumed, a), text_count(s->batches_duplicated, b),
        text_count(s->batches_released_again, c));
    fprintf(out, "  weights SHA-256\n    %s\n",
            s->weights_sha256); /* 64 digits: beside it 83 columns */
    text_fit(shown, sizeof shown, folder, sizeof shown - 1, ascii);
    row(out, "folder", "%s", shown);
    for (int i = 0; i < s->warnings.count; i++)
        wrapped_row(out, "warning", s->warnings.texts[i], ascii);
    if (fclose(out) != 0) {
        free(table);
        return NULL;
    }
    return table;
}
