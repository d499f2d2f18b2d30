/* evaluations.jsonl: which checkpoints are scored, a line each, in the order of their steps and
 * never two of one step. What a line looks like is in common/evaluation; one process at a time has
 * the file open.
 *
 * A run that lost its newest checkpoints goes on from an earlier one and makes later steps again,
 * with other weights if its length is another. The lines of those steps are then replaced; those of
 * steps still later are dropped, for their checkpoints are to be made again too, or never will be.
 * A line whose very checkpoint the trainer has is confirmed, and stays. */
#ifndef EVALUATOR_REPORT_FILE_H
#define EVALUATOR_REPORT_FILE_H

#include "common/evaluations.h"

/* An evaluations.jsonl that is open for writing. */
struct report_file;

/* Opens or creates `path` and reads what is in it. A last line that is no
 * evaluation was torn by a crash, and is cut off (see report_cut). Where the file has several lines
 * of a step, or lines out of order, it is written anew with the last of each step. NULL with
 * ERROR_CORRUPT naming the line for any other that is no evaluation: nothing is changed then;
 * ERROR_REFUSED where another process has it open; ERROR_IO, ERROR_MEMORY. */
struct report_file *report_open(const char *path, struct error *error);

/* How many bytes of a torn line report_open cut off; 0 if none. */
size_t report_cut(const struct report_file *self);

/* The line of this step, or NULL: whether a restarted evaluator has scored it already. Valid until
 * the next append or rewind. */
const struct evaluation *report_find(const struct report_file *self, uint64_t step);

/* All lines by step; valid until the next append or rewind. */
const struct evaluation *report_list(const struct report_file *self, size_t *count);

/* The trainer has the very checkpoint that this step's line is of. */
void report_confirm(struct report_file *self, uint64_t step);

/* Another trainer, whose newest checkpoint is of step `made`: lines up to it stay, and which of the
 * later ones are of its run is to be seen. */
void report_doubt(struct report_file *self, uint64_t made);

/* Makes room for an evaluation of this step that is about to be appended: drops the step's own line
 * and all later ones that are not confirmed. The number of lines dropped in *dropped. The file is
 * replaced as a whole, so that a reader, or a crash, has the old one or the new one. -1 with
 * ERROR_IO or ERROR_MEMORY; the file is then as it was. */
int report_rewind(struct report_file *self, uint64_t step, size_t *dropped, struct error *error);

/* Adds the line of a step that has none, confirmed, and returns when it is on the disk: with one
 * write at the end, or, before confirmed lines of later steps, by replacing the file. -1 with
 * ERROR_REFUSED where the step has a line, ERROR_IO, ERROR_MEMORY, or as evaluation_to_json;
 * the file is then as it was. */
int report_append(struct report_file *self, const struct evaluation *evaluation,
                  struct error *error);

/* NULL-safe, sets *self to NULL. */
void report_close(struct report_file **self);

#endif
