/* The forms of an evaluation. */
#include "evaluator/report.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_clean_text(char *to, size_t size, const char *from) {
    assert(size > 0);
    size_t length = strlen(from);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80)
            length--;
    }
    memmove(to, from, length);
    to[length] = '\0';
    json_t *string = json_string(to); /* NULL unless it is UTF-8 */
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)to[i];
        if (byte < 0x20 || byte == 0x7f || (!string && byte >= 0x80))
            to[i] = '?';
    }
    json_decref(string);
}

static double accuracy(uint32_t hits, uint32_t count) {
    return count > 0 ? (double)hits / count : 0;
}

double evaluation_digit_accuracy(const struct evaluation *evaluation) {
    return accuracy(evaluation->digit_hits, evaluation->count);
}

double evaluation_sum_accuracy(const struct evaluation *evaluation) {
    return accuracy(evaluation->sum_hits, evaluation->count);
}

/* "98.97 % [98.75, 99.15]" */
static const char *share_text(uint32_t hits, uint32_t count, char text[static 64]) {
    int decimals = count > 10000 ? 3 : 2; /* so that one miss never rounds up to 100 % */
    struct interval interval = interval_wilson(hits, count);
    snprintf(text, 64, "%.*f %% [%.*f, %.*f]", decimals, 100 * accuracy(hits, count), decimals,
             100 * interval.low, decimals, 100 * interval.high);
    return text;
}

static const char *loss_text(double loss, char text[static 32]) {
    if (!isfinite(loss))
        return "not finite";
    snprintf(text, 32, loss >= 0.01 && loss < 1000 ? "%.4f" : "%.3g", loss);
    return text;
}

const char *evaluation_line(const struct evaluation *evaluation,
                            char line[static EVALUATION_LINE]) {
    char loss[32], digit[64], sum[64];
    if (evaluation->error[0])
        snprintf(line, EVALUATION_LINE, "step %" PRIu64 "  epoch %.2f  not scored: %s",
                 evaluation->step, evaluation->epoch, evaluation->error);
    else
        snprintf(line, EVALUATION_LINE,
                 "step %" PRIu64 "  epoch %.2f  loss %s  digit %s  sum %s  %.1f s",
                 evaluation->step, evaluation->epoch, loss_text(evaluation->loss, loss),
                 share_text(evaluation->digit_hits, evaluation->count, digit),
                 share_text(evaluation->sum_hits, evaluation->count, sum), evaluation->seconds);
    return line;
}

/* --- one line of evaluations.jsonl --- */

/* JSON has no word for NaN and the infinities. */
static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval_json(uint32_t hits, uint32_t count) {
    struct interval interval = interval_wilson(hits, count);
    return json_pack("[f, f]", interval.low, interval.high);
}

char *evaluation_encode_json(const struct evaluation *evaluation, struct error *error) {
    char evaluator[EVALUATION_NAME];
    if (evaluation->error[0] || evaluation->step > INT64_MAX || evaluation->samples > INT64_MAX) {
        error_set(error, ERROR_INVALID, "step %" PRIu64 ": %s", evaluation->step,
                  evaluation->error[0] ? "a checkpoint that was not scored has no line"
                                       : "step and samples must be below 2^63");
        return NULL;
    }
    report_clean_text(evaluator, sizeof evaluator, evaluation->evaluator);
    // clang-format off
    json_t *object = json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:o, "
                               "s:I, s:I, s:I, s:b, s:b, s:s}",
        "step", (json_int_t)evaluation->step,
        "epoch", real_or_null(evaluation->epoch),
        "samples", (json_int_t)evaluation->samples,
        "loss", real_or_null(evaluation->loss),
        "digit_accuracy", json_real(evaluation_digit_accuracy(evaluation)),
        "sum_accuracy", json_real(evaluation_sum_accuracy(evaluation)),
        "digit_interval", interval_json(evaluation->digit_hits, evaluation->count),
        "sum_interval", interval_json(evaluation->sum_hits, evaluation->count),
        "checkpoint_sha256", evaluation->checkpoint_sha256,
        "seconds", real_or_null(evaluation->seconds),
        "count", (json_int_t)evaluation->count,
        "digit_hits", (json_int_t)evaluation->digit_hits,
        "sum_hits", (json_int_t)evaluation->sum_hits,
        "epoch_end", (int)evaluation->epoch_end,
        "final", (int)evaluation->final,
        "evaluator", evaluator);
    // clang-format on
    if (object && evaluation->weights_sha256[0])
        json_object_set_new(object, "weights_sha256", json_string(evaluation->weights_sha256));
    char *text = object ? json_dumps(object, JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    size_t length = text ? strlen(text) : 0;
    char *line = text ? realloc(text, length + 2) : NULL;
    if (!line) {
        free(text);
        error_set(error, ERROR_MEMORY, "step %" PRIu64 ": no memory for its line",
                  evaluation->step);
        return NULL;
    }
    memcpy(line + length, "\n", 2);
    return line;
}

/* A number, or null for NaN. -1 for anything else. */
static int real_of(const json_t *value, double *real) {
    if (json_is_null(value))
        *real = NAN;
    else if (json_is_number(value))
        *real = json_number_value(value);
    else
        return -1;
    return 0;
}

static bool is_sha256_hex(const char *text) {
    return strlen(text) == SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX - 1;
}

const char *evaluation_unreasonable(const struct evaluation *evaluation) {
    if (evaluation->digit_hits > evaluation->count || evaluation->sum_hits > evaluation->count)
        return "more hits than pairs";
    if (evaluation->count == 0 && !evaluation->error[0])
        return "no pair was scored";
    if (!(evaluation->epoch >= 0 && evaluation->epoch < EVALUATION_EPOCHS))
        return "an epoch outside 0 … 1e9";
    if (!(evaluation->seconds >= 0 && evaluation->seconds < EVALUATION_SECONDS))
        return "seconds outside 0 … 1e12";
    if (!is_sha256_hex(evaluation->checkpoint_sha256) &&
        !(evaluation->error[0] && !evaluation->checkpoint_sha256[0]))
        return "a checkpoint_sha256 that is not 64 hex digits";
    return NULL;
}

bool evaluation_same(const struct evaluation *a, const struct evaluation *b) {
    if (a->step != b->step)
        return false;
    if (a->weights_sha256[0] && b->weights_sha256[0])
        return strcmp(a->weights_sha256, b->weights_sha256) == 0;
    return strcmp(a->checkpoint_sha256, b->checkpoint_sha256) == 0;
}

struct counts {
    json_int_t step, samples, count, digit_hits, sum_hits;
};

/* -1 where one does not fit. */
static int take_counts(const struct counts *counts, struct evaluation *evaluation) {
    if (counts->step < 0 || counts->samples < 0 || counts->count < 0 ||
        counts->count > UINT32_MAX || counts->digit_hits < 0 ||
        counts->digit_hits > counts->count || counts->sum_hits < 0 ||
        counts->sum_hits > counts->count)
        return -1;
    evaluation->step = (uint64_t)counts->step;
    evaluation->samples = (uint64_t)counts->samples;
    evaluation->count = (uint32_t)counts->count;
    evaluation->digit_hits = (uint32_t)counts->digit_hits;
    evaluation->sum_hits = (uint32_t)counts->sum_hits;
    return 0;
}

/* What is left out of a line of an earlier version stays "". */
static void take_hashes(const char *checkpoint, const json_t *object,
                        struct evaluation *evaluation) {
    const char *weights = json_string_value(json_object_get(object, "weights_sha256"));
    if (strlen(checkpoint) < SHA256_HEX)
        strcpy(evaluation->checkpoint_sha256, checkpoint);
    if (weights && is_sha256_hex(weights))
        memcpy(evaluation->weights_sha256, weights, SHA256_HEX);
}

int evaluation_decode_json(const char *text, size_t size, const char *origin,
                           struct evaluation *evaluation, struct error *error) {
    struct evaluation read = {0};
    json_error_t where;
    struct counts counts;
    json_t *epoch, *loss, *seconds, *interval;
    double derived;
    const char *sha256, *evaluator, *wrong = NULL;
    int epoch_end, final, result = -1;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    // clang-format off
    int unpacked = object ? json_unpack_ex(object, &where, 0,
                                           "{s:I, s:o, s:I, s:o, s:F, s:F, s:o, s:o, s:s, s:o, "
                                           "s:I, s:I, s:I, s:b, s:b, s:s}",
        "step", &counts.step,
        "epoch", &epoch,
        "samples", &counts.samples,
        "loss", &loss,
        "digit_accuracy", &derived,
        "sum_accuracy", &derived,
        "digit_interval", &interval,
        "sum_interval", &interval,
        "checkpoint_sha256", &sha256,
        "seconds", &seconds,
        "count", &counts.count,
        "digit_hits", &counts.digit_hits,
        "sum_hits", &counts.sum_hits,
        "epoch_end", &epoch_end,
        "final", &final,
        "evaluator", &evaluator) : -1;
    // clang-format on
    if (unpacked) {
        error_set(error, ERROR_CORRUPT, "%s: expected an evaluation: %s", origin, where.text);
        goto done;
    }
    if (take_counts(&counts, &read) != 0)
        wrong = "a count that is negative or too large";
    else if (real_of(epoch, &read.epoch) || real_of(loss, &read.loss) ||
             real_of(seconds, &read.seconds))
        wrong = "an epoch, loss or seconds that is no number";
    if (!wrong) {
        read.epoch_end = epoch_end;
        read.final = final;
        take_hashes(sha256, object, &read);
        report_clean_text(read.evaluator, sizeof read.evaluator, evaluator);
        wrong = evaluation_unreasonable(&read);
    }
    if (wrong)
        error_set(error, ERROR_CORRUPT, "%s: expected an evaluation: %s", origin, wrong);
    else {
        *evaluation = read;
        result = 0;
    }
done:
    json_decref(object);
    return result;
}

/* --- the message --- */

void evaluation_encode_message(const struct evaluation *evaluation,
                               struct evaluation_message *message) {
    Digitsum__Report *report = &message->report;
    digitsum__report__init(report);
    report->epoch = evaluation->epoch;
    report->samples = evaluation->samples;
    report->count = evaluation->count;
    report->loss = evaluation->loss;
    report->digit_hits = evaluation->digit_hits;
    report->sum_hits = evaluation->sum_hits;
    report->seconds = evaluation->seconds;
    report->epoch_end = evaluation->epoch_end;
    report->final = evaluation->final;
    report->evaluator = (char *)evaluation->evaluator;
    report->failed = evaluation->error[0] != '\0';
    report->error = (char *)evaluation->error;
    if (evaluation->checkpoint_sha256[0]) {
        assert(is_sha256_hex(evaluation->checkpoint_sha256));
        sha256_parse(evaluation->checkpoint_sha256, message->sha256);
        report->sha256 = (ProtobufCBinaryData){SHA256_SIZE, message->sha256};
    }
    if (sha256_parse(evaluation->weights_sha256, message->weights))
        report->weights = (ProtobufCBinaryData){SHA256_SIZE, message->weights};
}

int evaluation_decode_message(const Digitsum__Report *report, uint64_t step, const char *peer,
                              struct evaluation *evaluation, struct error *error) {
    if (report->sha256.len != SHA256_SIZE && !(report->failed && report->sha256.len == 0))
        return error_set(error, ERROR_CORRUPT,
                         "%s: report of step %" PRIu64 ": expected a SHA-256 of %d bytes, got %zu",
                         peer, step, SHA256_SIZE, report->sha256.len);
    struct evaluation read = {.step = step,
                              .epoch = report->epoch,
                              .samples = report->samples,
                              .loss = isfinite(report->loss) ? report->loss : NAN,
                              .count = report->count,
                              .digit_hits = report->digit_hits,
                              .sum_hits = report->sum_hits,
                              .seconds = report->seconds,
                              .epoch_end = report->epoch_end,
                              .final = report->final};
    if (report->sha256.len == SHA256_SIZE)
        sha256_hex(report->sha256.data, read.checkpoint_sha256);
    if (report->weights.len == SHA256_SIZE)
        sha256_hex(report->weights.data, read.weights_sha256);
    report_clean_text(read.evaluator, sizeof read.evaluator, report->evaluator);
    if (report->failed)
        report_clean_text(read.error, sizeof read.error,
                          report->error[0] ? report->error : "no reason given");
    const char *wrong = evaluation_unreasonable(&read);
    if (wrong)
        return error_set(error, ERROR_CORRUPT, "%s: report of step %" PRIu64 ": %s", peer, step,
                         wrong);
    *evaluation = read;
    return 0;
}
