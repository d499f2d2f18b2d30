/* The evaluation of a checkpoint, and its forms: a message, a line of evaluations.jsonl, a line for
 * people, rows of a table. All of them follow from one table of columns (evaluation.c). */
#ifndef COMMON_EVALUATION_H
#define COMMON_EVALUATION_H

#include "common/error.h"
#include "common/sha256.h"
#include "proto/digitsum.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVALUATION_LINE 1024    /* bytes that hold any line for people, NUL included */
#define EVALUATION_NAME 64      /* bytes of an evaluator's name, NUL included */
#define EVALUATION_ERROR 256    /* bytes of the reason of a failure, NUL included */
#define EVALUATION_SCALARS 8    /* curves in TensorBoard, at most */
#define EVALUATION_HASHES 2     /* SHA-256 in a message */
#define EVALUATION_EPOCHS 1e9   /* any epoch is at most this, */
#define EVALUATION_SECONDS 1e12 /* and any time since the run began */

/* Plain data, all its own. The counts are exact; accuracies and intervals follow from them. */
struct evaluation {
    uint64_t step; /* trained until the checkpoint */
    double epoch;
    uint64_t samples; /* pairs trained on */
    /* As in evaluator/score.h; NaN where it is not finite, or was not recorded. */
    double loss, digit_loss, sum_loss;
    uint32_t count;                     /* pairs scored */
    uint32_t digit_hits, sum_hits;      /* of them */
    char checkpoint_sha256[SHA256_HEX]; /* of the file; "" where it never came whole */
    char weights_sha256[SHA256_HEX];    /* of what was scored; "" where it is not known */
    double seconds;                     /* since the run began */
    bool epoch_end;                     /* the last checkpoint of an epoch */
    bool final;                         /* the last one of the run */
    bool confirmed;                     /* no column: a mark for report_file.h */
    char evaluator[EVALUATION_NAME];    /* who scored */
    char error[EVALUATION_ERROR];       /* why it could not be scored; "" where it was */
};

/* 0-1; 0 where nothing was scored. */
double evaluation_digit_accuracy(const struct evaluation *self);
double evaluation_sum_accuracy(const struct evaluation *self);

/* Whether it is of a checkpoint with these weights (64 digits, or "" where they are not known) or,
 * where either does not say, of this file. */
bool evaluation_is_of(const struct evaluation *self, const char *weights,
                      const uint8_t file[static SHA256_SIZE]);

/* What must hold wherever the figures came from: NULL, or what does not. */
const char *evaluation_unreasonable(const struct evaluation *self);

/* "step    469  epoch  1.00  loss 0.0412  …  digit 98.97 % [98.75, 99.15]  sum 98.72 % [98.48,
 * 98.92]  3.9 s" in at most `columns` columns: what does not fit is left out, the least important
 * first, and an interval becomes ± half its width. Three decimals where more than 10,000 pairs are
 * counted. A failed one, whole: "step    469  epoch  1.00  not scored: why". `ascii`: no other
 * character. Returns `line`. */
const char *evaluation_line(const struct evaluation *self, int columns, bool ascii,
                            char line[static EVALUATION_LINE]);

/* The row of a table with this index, from 0: its *title ("digit accuracy") and its text. False
 * beyond the last; text is "" where the value is not recorded. */
bool evaluation_row(const struct evaluation *self, int index, const char **title,
                    char text[static EVALUATION_LINE]);

/* The point of a curve with this index, from 0, below EVALUATION_SCALARS: its tag in TensorBoard
 * ("digit/accuracy"), and *value. NULL beyond the last. */
const char *evaluation_scalar(const struct evaluation *self, int index, double *value);

/* One JSON object in one line, newline included. Numbers have 15 digits; what is not finite is
 * null. The caller frees; NULL with ERROR_INVALID for a failed or unreasonable evaluation,
 * ERROR_MEMORY. */
char *evaluation_to_json(const struct evaluation *self, struct error *error);

/* The reverse, strictly: every column that old files have must be there and make sense; what is no
 * column is ignored. `origin` names the line in errors ("evaluations.jsonl:3"). 0, or -1 with
 * ERROR_CORRUPT and *self unchanged. */
int evaluation_from_json(struct evaluation *self, const char *text, size_t size, const char *origin,
                         struct error *error);

/* What a message points to while it is packed. */
struct evaluation_message {
    Digitsum__Report report;
    uint8_t hashes[EVALUATION_HASHES][SHA256_SIZE];
};

/* Fills `message`, which borrows texts from the evaluation; the step travels in the Header. */
void evaluation_to_message(const struct evaluation *self, struct evaluation_message *message);

/* The reverse, with every value checked. `peer` names the sender in errors. Texts are cut to size.
 * 0, or -1 with ERROR_CORRUPT and *self unchanged. */
int evaluation_from_message(struct evaluation *self, const Digitsum__Report *report, uint64_t step,
                            const char *peer, struct error *error);

#endif
