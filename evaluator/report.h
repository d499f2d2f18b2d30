/* An evaluation and its forms: a line for people, a line of evaluations.jsonl, a message. Leaves
 * the file to report_file, sockets and scoring to others. */
#ifndef EVALUATOR_REPORT_H
#define EVALUATOR_REPORT_H

#include "common/error.h"
#include "common/sha256.h"
#include "evaluator/score.h"
#include "proto/digitsum.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVALUATION_LINE 384     /* bytes that hold any line for people, NUL included */
#define EVALUATION_NAME 64      /* bytes of an evaluator's name, NUL included */
#define EVALUATION_ERROR 256    /* bytes of the reason of a failure, NUL included */
#define EVALUATION_EPOCHS 1e9   /* any epoch is below */
#define EVALUATION_SECONDS 1e12 /* and any time since the run began */

/* What an evaluator says about one checkpoint. Plain data, all its own. The counts are exact;
 * accuracies and intervals follow from them. */
struct evaluation {
    uint64_t step; /* trained until the checkpoint */
    double epoch;
    uint64_t samples;                   /* pairs trained on */
    double loss;                        /* as in struct score; NaN where it is not finite */
    uint32_t count;                     /* pairs scored */
    uint32_t digit_hits, sum_hits;      /* of them */
    char checkpoint_sha256[SHA256_HEX]; /* of the file; "" where it never came whole */
    char weights_sha256[SHA256_HEX];    /* of what was scored; "" where it is not known */
    double seconds;                     /* since the run began */
    bool epoch_end;                     /* the last checkpoint of an epoch */
    bool final;                         /* the last one of the run */
    char evaluator[EVALUATION_NAME];    /* who scored */
    char error[EVALUATION_ERROR];       /* why it could not be scored; "" where it was */
};

/* Copies `from` into to[size], cut after a whole character; control characters become '?', and so
 * does all that is not ASCII where the text is no UTF-8: names come from other machines. */
void report_clean_text(char *to, size_t size, const char *from);

/* 0-1; 0 where nothing was scored. */
double evaluation_digit_accuracy(const struct evaluation *evaluation);
double evaluation_sum_accuracy(const struct evaluation *evaluation);

/* "step 469  epoch 1.00  loss 0.0421  digit 98.97 % [98.75, 99.15]  sum 98.95 % [98.73, 99.13]
 * 3.2 s" in one line without a newline; three decimals where more than 10,000 pairs are counted.
 * A failed one: "step 469  epoch 1.00  not scored: why". Returns `line`. */
const char *evaluation_line(const struct evaluation *evaluation, char line[static EVALUATION_LINE]);

/* One JSON object in one line, newline included: step, epoch, samples, loss, digit_accuracy,
 * sum_accuracy, digit_interval, sum_interval, checkpoint_sha256, seconds, then count, digit_hits,
 * sum_hits, epoch_end, final, evaluator, and weights_sha256 where it is known. Numbers have 15
 * digits; what is not finite is null, which JSON has no number for. The caller frees the text; NULL
 * with ERROR_INVALID for a failed evaluation or a count that JSON's integers cannot hold,
 * ERROR_MEMORY. */
char *evaluation_encode_json(const struct evaluation *evaluation, struct error *error);

/* Whether both are about the same checkpoint: of one step, with the same weights or, where either
 * does not say, the same file. */
bool evaluation_same(const struct evaluation *a, const struct evaluation *b);

/* The reverse, strictly: every field above but weights_sha256 must be there with its type and make
 * sense; further ones are ignored. Accuracies and intervals are taken from the counts. `origin`
 * names the line in errors ("evaluations.jsonl:3"). 0, or -1 with ERROR_CORRUPT. */
int evaluation_decode_json(const char *text, size_t size, const char *origin,
                           struct evaluation *evaluation, struct error *error);

/* What must hold wherever the figures came from: NULL, or what does not. */
const char *evaluation_unreasonable(const struct evaluation *evaluation);

/* What a message points to while it is packed. */
struct evaluation_message {
    Digitsum__Report report;
    uint8_t sha256[SHA256_SIZE], weights[SHA256_SIZE];
};

/* Fills `message`, which borrows texts from `evaluation`; the step travels in the Header. */
void evaluation_encode_message(const struct evaluation *evaluation,
                               struct evaluation_message *message);

/* The reverse, with every value checked. `peer` names the sender in errors. Texts are cut to size.
 * 0, or -1 with ERROR_CORRUPT and *evaluation unchanged. */
int evaluation_decode_message(const Digitsum__Report *report, uint64_t step, const char *peer,
                              struct evaluation *evaluation, struct error *error);

#endif
