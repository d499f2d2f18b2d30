/* The evaluations of a run, as evaluations.jsonl has them: by step, one of each step. */
#ifndef COMMON_EVALUATIONS_H
#define COMMON_EVALUATIONS_H

#include "common/evaluation.h"

#define EVALUATIONS_MAX (64 << 20) /* bytes of evaluations.jsonl that are read */

/* Zero it to begin. */
struct evaluations {
    struct evaluation *list; /* [count], by step; owned */
    size_t count, room;
};

/* The index of the first one of this step or a later one; fast near the end. */
size_t evaluations_place(const struct evaluations *self, uint64_t step);

/* The one of this step, or NULL; valid until the list changes. */
const struct evaluation *evaluations_find(const struct evaluations *self, uint64_t step);

/* Adds one, in the place of an earlier one of its step. -1 with ERROR_MEMORY. */
int evaluations_put(struct evaluations *self, const struct evaluation *evaluation,
                    struct error *error);

void evaluations_free(struct evaluations *self);

/* Takes the lines of text[size] in; the last one of a step counts. *whole: bytes up to the last
 * line, which is torn unless it is an evaluation: a power cut may leave its newline and not what
 * stood before it, or an evaluation without its newline. *tidy: by step, and each step once. -1
 * with ERROR_CORRUPT naming another line that is no evaluation (`lenient`: it is skipped),
 * ERROR_MEMORY. `path` names the file. */
int evaluations_parse(struct evaluations *self, const char *text, size_t size, const char *path,
                      bool lenient, size_t *whole, bool *tidy, struct error *error);

/* Reads the file at `path` into *self, which is overwritten. 1: there is one, 0: there is none, -1:
 * as evaluations_parse, or ERROR_IO, and *self is empty. */
int evaluations_read(struct evaluations *self, const char *path, bool lenient, struct error *error);

#endif
