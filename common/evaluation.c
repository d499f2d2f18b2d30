/* See evaluation.h. */
#include "common/evaluation.h"

#include "common/display.h"
#include "common/fields.h"
#include "common/interval.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The forms of a line, each narrower than the one before; named after what they lack. */
enum form { WHOLE, NO_HEADS, NO_INTERVALS, NO_SECONDS, NO_LOSS, NO_STEP, NO_MARGINS, NO_EPOCH };

/* How a value is written for people. */
struct look {
    enum form form;
    bool ascii;
    uint32_t count; /* pairs that were scored */
};

/* One fact of an evaluation, in all forms. In lines and tables columns stand in this order. */
struct column {
    struct field field; /* of evaluations.jsonl */
    size_t wire;        /* offset in a Report; 0: not in it, as it follows from others */
    /* For people: how it is written, after which word of a line and in which row of the table
     * (NULL: in none), and the last form of a line that has it. */
    void (*show)(FILE *out, const void *value, const struct look *look);
    const char *label, *title;
    enum form last;
    const char *tag; /* of its curve in TensorBoard; NULL: it has none */
};

/* --- values for people ------------------------------------------------------------------------ */

static double fraction(uint32_t hits, uint32_t count) {
    return count > 0 ? (double)hits / count : 0;
}

static void show_step(FILE *out, const void *value, const struct look *look) {
    char number[DISPLAY_NUMBER];
    (void)look;
    fprintf(out, "%6s", display_count(*(const uint64_t *)value, number));
}

static void show_epoch(FILE *out, const void *value, const struct look *look) {
    (void)look;
    fprintf(out, "%5.2f", *(const double *)value);
}

static void show_loss(FILE *out, const void *value, const struct look *look) {
    double loss = *(const double *)value;
    if (!isfinite(loss))
        fputs("not finite", out);
    else if (loss >= 1000 || (look->form <= NO_HEADS && loss < 0.01))
        fprintf(out, "%.3g", loss);
    else
        fprintf(out, "%.*f", look->form <= NO_HEADS ? 4 : 3, loss);
}

static void show_accuracy(FILE *out, const void *value, const struct look *look) {
    int decimals = look->count > 10000 ? 3 : 2; /* so that one miss never rounds up to 100 % */
    uint32_t hits = *(const uint32_t *)value;
    struct interval interval = interval_wilson(hits, look->count);
    fprintf(out, "%.*f", decimals, 100 * fraction(hits, look->count));
    if (look->form <= NO_HEADS)
        fprintf(out, " %% [%.*f, %.*f]", decimals, 100 * interval.low, decimals,
                100 * interval.high);
    else if (look->form < NO_MARGINS)
        fprintf(out, "%s%.*f", look->ascii ? "+-" : " ±", decimals,
                50 * (interval.high - interval.low));
}

static void show_seconds(FILE *out, const void *value, const struct look *look) {
    char text[DISPLAY_NUMBER];
    (void)look;
    fputs(display_duration(*(const double *)value, text), out);
}

/* --- values of JSON that follow from the counts ----------------------------------------------- */

static json_t *write_accuracy(const struct field *field, const void *object) {
    const uint32_t *hits = (const void *)((const char *)object + field->offset);
    return json_real(fraction(*hits, ((const struct evaluation *)object)->count));
}

static json_t *write_interval(const struct field *field, const void *object) {
    const uint32_t *hits = (const void *)((const char *)object + field->offset);
    struct interval interval = interval_wilson(*hits, ((const struct evaluation *)object)->count);
    return json_pack("[f, f]", interval.low, interval.high);
}

static int read_derived(const struct field *field, const json_t *value, void *object) {
    (void)object;
    return field->write == write_interval ? -!json_is_array(value) : -!json_is_number(value);
}

/* --- the table -------------------------------------------------------------------------------- */

/* clang-format off */
#define AT(name) .key = #name, .offset = offsetof(struct evaluation, name)
#define WIRE(name) .wire = offsetof(Digitsum__Report, name)
#define DERIVED(name, from, how) {.key = #name, .kind = FIELD_REAL, .write = how, .read = read_derived, \
    .offset = offsetof(struct evaluation, from)}

static const struct column columns[] = {
    {.field = {AT(step), .kind = FIELD_COUNT}, .show = show_step, .label = "step", .last = NO_LOSS},
    {.field = {AT(epoch), .kind = FIELD_REAL, .max = EVALUATION_EPOCHS}, WIRE(epoch),
     .show = show_epoch, .label = "epoch", .last = NO_MARGINS},
    {.field = {AT(samples), .kind = FIELD_COUNT}, WIRE(samples)},
    {.field = {AT(loss), .kind = FIELD_REAL_OR_NULL}, WIRE(loss),
     .show = show_loss, .label = "loss", .title = "loss", .last = NO_SECONDS, .tag = "loss"},
    {.field = {AT(digit_loss), .kind = FIELD_REAL_OR_NULL, .optional = true}, WIRE(digit_loss),
     .show = show_loss, .label = "digit loss", .title = "digit loss", .last = WHOLE, .tag = "digit/loss"},
    {.field = {AT(sum_loss), .kind = FIELD_REAL_OR_NULL, .optional = true}, WIRE(sum_loss),
     .show = show_loss, .label = "sum loss", .title = "sum loss", .last = WHOLE, .tag = "sum/loss"},
    {.field = DERIVED(digit_accuracy, digit_hits, write_accuracy),
     .show = show_accuracy, .label = "digit", .title = "digit accuracy", .last = NO_EPOCH, .tag = "digit/accuracy"},
    {.field = DERIVED(sum_accuracy, sum_hits, write_accuracy),
     .show = show_accuracy, .label = "sum", .title = "sum accuracy", .last = NO_EPOCH, .tag = "sum/accuracy"},
    {.field = DERIVED(digit_interval, digit_hits, write_interval)},
    {.field = DERIVED(sum_interval, sum_hits, write_interval)},
    {.field = {AT(checkpoint_sha256), .kind = FIELD_SHA256}, WIRE(sha256)},
    {.field = {AT(seconds), .kind = FIELD_REAL, .max = EVALUATION_SECONDS}, WIRE(seconds),
     .show = show_seconds, .label = "", .last = NO_INTERVALS},
    {.field = {AT(count), .kind = FIELD_COUNT32}, WIRE(count)},
    {.field = {AT(digit_hits), .kind = FIELD_COUNT32}, WIRE(digit_hits)},
    {.field = {AT(sum_hits), .kind = FIELD_COUNT32}, WIRE(sum_hits)},
    {.field = {AT(epoch_end), .kind = FIELD_FLAG}, WIRE(epoch_end)},
    {.field = {AT(final), .kind = FIELD_FLAG}, WIRE(final)},
    {.field = {AT(evaluator), .kind = FIELD_TEXT, .size = EVALUATION_NAME}, WIRE(evaluator)},
    {.field = {AT(weights_sha256), .kind = FIELD_SHA256, .optional = true}, WIRE(weights)},
};
/* clang-format on */

#define COLUMNS (sizeof columns / sizeof *columns)
static const struct column *const end = columns + COLUMNS;

/* --- the facts -------------------------------------------------------------------------------- */

double evaluation_digit_accuracy(const struct evaluation *self) {
    return fraction(self->digit_hits, self->count);
}

double evaluation_sum_accuracy(const struct evaluation *self) {
    return fraction(self->sum_hits, self->count);
}

bool evaluation_is_of(const struct evaluation *self, const char *weights,
                      const uint8_t file[static SHA256_SIZE]) {
    char hex[SHA256_HEX];
    if (self->weights_sha256[0] && weights[0])
        return strcmp(self->weights_sha256, weights) == 0;
    sha256_hex(file, hex);
    return strcmp(self->checkpoint_sha256, hex) == 0;
}

const char *evaluation_unreasonable(const struct evaluation *self) {
    uint8_t digest[SHA256_SIZE];
    if (self->step > INT64_MAX || self->samples > INT64_MAX)
        return "step and samples must be below 2^63";
    if (self->digit_hits > self->count || self->sum_hits > self->count)
        return "more hits than pairs";
    if (self->count == 0 && !self->error[0])
        return "no pair was scored";
    if (!(self->epoch >= 0 && self->epoch <= EVALUATION_EPOCHS))
        return "an epoch outside 0 … 1e9";
    if (!(self->seconds >= 0 && self->seconds <= EVALUATION_SECONDS))
        return "seconds outside 0 … 1e12";
    if (!sha256_parse(self->checkpoint_sha256, digest) &&
        !(self->error[0] && !self->checkpoint_sha256[0]))
        return "a checkpoint_sha256 that is not 64 hex digits";
    return NULL;
}

/* --- for people ------------------------------------------------------------------------------- */

/* Whether the value is there: a loss of an earlier version is not. */
static bool is_shown(const struct column *column, const void *value) {
    return column->show && !(column->field.optional && isnan(*(const double *)value));
}

static void write_line(FILE *out, const struct evaluation *self, enum form form, bool ascii) {
    const struct look look = {form, ascii, self->count};
    const char *gap = "";
    for (const struct column *column = columns; column < end; column++) {
        const void *value = (const char *)self + column->field.offset;
        bool where = column->show == show_step || column->show == show_epoch;
        if (!is_shown(column, value) || column->last < form || (self->error[0] && !where))
            continue;
        fprintf(out, "%s%s%s", gap, column->label, *column->label ? " " : "");
        column->show(out, value, &look);
        /* One space more would not fit 79 columns. */
        gap = column->show == show_step && form >= NO_INTERVALS ? " " : "  ";
    }
    if (self->error[0])
        fprintf(out, "  not scored: %s", self->error);
}

const char *evaluation_line(const struct evaluation *self, int width, bool ascii,
                            char line[static EVALUATION_LINE]) {
    char whole[EVALUATION_LINE] = "";
    enum form last = self->error[0] ? WHOLE : NO_EPOCH;
    for (enum form form = WHOLE; form <= last; form++) {
        FILE *out = fmemopen(whole, sizeof whole, "w");
        if (!out)
            break;
        write_line(out, self, form, ascii);
        fclose(out);
        if (display_columns(whole) <= width)
            break;
    }
    display_fit(line, EVALUATION_LINE, whole, self->error[0] || width < 1 ? INT_MAX : width, ascii);
    return line;
}

bool evaluation_row(const struct evaluation *self, int index, const char **title,
                    char text[static EVALUATION_LINE]) {
    const struct look look = {WHOLE, true, self->count};
    for (const struct column *column = columns; column < end; column++) {
        const void *value = (const char *)self + column->field.offset;
        if (!column->title || index-- > 0)
            continue;
        *title = column->title;
        text[0] = '\0';
        FILE *out = is_shown(column, value) ? fmemopen(text, EVALUATION_LINE, "w") : NULL;
        if (out) {
            column->show(out, value, &look);
            fclose(out);
        }
        return true;
    }
    return false;
}

const char *evaluation_scalar(const struct evaluation *self, int index, double *value) {
    for (const struct column *column = columns; column < end; column++) {
        const void *at = (const char *)self + column->field.offset;
        if (!column->tag || index-- > 0)
            continue;
        *value = column->field.write ? fraction(*(const uint32_t *)at, self->count)
                                     : *(const double *)at;
        return column->tag;
    }
    return NULL;
}

/* --- one line of evaluations.jsonl ------------------------------------------------------------ */

char *evaluation_to_json(const struct evaluation *self, struct error *error) {
    const char *wrong = evaluation_unreasonable(self);
    if (self->error[0])
        wrong = "a checkpoint that was not scored has no line";
    if (wrong) {
        error_set(error, ERROR_INVALID, "step %" PRIu64 ": %s", self->step, wrong);
        return NULL;
    }
    char *text = NULL, *line = NULL;
    json_t *values = json_object();
    int status = values ? 0 : -1;
    for (const struct column *column = columns; column < end && status == 0; column++)
        status = field_write(&column->field, self, values);
    if (status == 0)
        text = json_dumps(values, JSON_REAL_PRECISION(15));
    if (!text || asprintf(&line, "%s\n", text) < 0) {
        line = NULL;
        error_set(error, ERROR_MEMORY, "step %" PRIu64 ": no memory for its line", self->step);
    }
    free(text);
    json_decref(values);
    return line;
}

int evaluation_from_json(struct evaluation *self, const char *text, size_t size, const char *origin,
                         struct error *error) {
    struct evaluation read = {0};
    json_error_t where;
    json_t *values = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    int status = values ? 0 : error_set(error, ERROR_CORRUPT, "%s", where.text);
    for (const struct column *column = columns; column < end && status == 0; column++)
        status = field_read(&column->field, values, &read, error);
    const char *wrong = status == 0 ? evaluation_unreasonable(&read) : NULL;
    if (wrong)
        status = error_set(error, ERROR_CORRUPT, "%s", wrong);
    json_decref(values);
    if (status != 0)
        return error_prefix(error, "%s: expected an evaluation", origin);
    *self = read;
    return 0;
}

/* --- the message ------------------------------------------------------------------------------ */

/* Bytes of a value that has the same form in both; 0 for the others. */
static size_t plain_size(enum field_kind kind) {
    return kind == FIELD_TEXT || kind == FIELD_SHA256 || kind == FIELD_FLAG ? 0
           : kind == FIELD_COUNT32                                          ? sizeof(uint32_t)
                                                                            : sizeof(uint64_t);
}

void evaluation_to_message(const struct evaluation *self, struct evaluation_message *message) {
    uint8_t *hash = message->hashes[0];
    digitsum__report__init(&message->report);
    for (const struct column *column = columns; column < end; column++) {
        const void *from = (const char *)self + column->field.offset;
        void *to = (char *)&message->report + column->wire;
        if (column->wire == 0)
            continue;
        if (column->field.kind == FIELD_FLAG) {
            *(protobuf_c_boolean *)to = *(const bool *)from;
        } else if (column->field.kind == FIELD_TEXT) {
            *(const char **)to = from;
        } else if (column->field.kind == FIELD_SHA256) {
            assert(hash < message->hashes[EVALUATION_HASHES]);
            if (sha256_parse(from, hash)) {
                *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){SHA256_SIZE, hash};
                hash += SHA256_SIZE;
            }
        }
        memcpy(to, from, plain_size(column->field.kind));
    }
    message->report.failed = self->error[0] != '\0';
    message->report.error = (char *)self->error;
}

/* 0, or -1 where a SHA-256 is of another size. */
static int take_value(const struct column *column, const void *from, void *to) {
    const ProtobufCBinaryData *hash = from;
    memcpy(to, from, plain_size(column->field.kind));
    if (column->field.kind == FIELD_FLAG)
        *(bool *)to = *(const protobuf_c_boolean *)from;
    else if (column->field.kind == FIELD_TEXT)
        display_fit(to, column->field.size, *(char *const *)from, INT_MAX, false);
    else if (column->field.kind == FIELD_REAL_OR_NULL && !isfinite(*(const double *)to))
        *(double *)to = NAN;
    else if (column->field.kind == FIELD_SHA256 && hash->len == SHA256_SIZE)
        sha256_hex(hash->data, to);
    else if (column->field.kind == FIELD_SHA256 && hash->len > 0)
        return -1;
    return 0;
}

int evaluation_from_message(struct evaluation *self, const Digitsum__Report *report, uint64_t step,
                            const char *peer, struct error *error) {
    struct evaluation read = {.step = step};
    const char *wrong = NULL;
    for (const struct column *column = columns; column < end; column++)
        if (column->wire > 0 && take_value(column, (const char *)report + column->wire,
                                           (char *)&read + column->field.offset) != 0)
            wrong = "a SHA-256 that is not of 32 bytes";
    if (report->failed)
        display_fit(read.error, sizeof read.error,
                    report->error[0] ? report->error : "no reason given", INT_MAX, false);
    if (!wrong)
        wrong = evaluation_unreasonable(&read);
    if (wrong)
        return error_set(error, ERROR_CORRUPT, "%s: report of step %" PRIu64 ": %s", peer, step,
                         wrong);
    *self = read;
    return 0;
}
