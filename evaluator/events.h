/* A TensorBoard event file: the scalars digit/accuracy, sum/accuracy (0-1) and loss by step.
 * Leaves the figures to report. */
#ifndef EVALUATOR_EVENTS_H
#define EVALUATOR_EVENTS_H

#include "common/error.h"
#include "common/evaluation.h"

struct events;

/* Creates a new file "events.out.tfevents.<seconds>.<host>.<process>.<n>" in `folder`, which must
 * exist. A restarted evaluator begins another one: TensorBoard reads all of a folder, in the order
 * of their names, and the new one's comes last. list[count], by step, are the evaluations that
 * count: other points are taken out of the files of before (old_events.h), and a session start
 * tells a TensorBoard that has shown them to forget them. `wall_time`: seconds since 1970, now.
 * Times only grow within a folder, even where the clock was set back. NULL with ERROR_IO,
 * ERROR_MEMORY. */
struct events *events_open(const char *folder, double wall_time, const struct evaluation *list,
                           size_t count, struct error *error);

/* Where the file is; borrowed. */
const char *events_path(const struct events *self);

/* Appends one scored evaluation, and returns when it is on the disk. Call it before report_append:
 * after a crash between the two the point is taken out again, and made again. 0, or -1
 * with ERROR_IO, ERROR_MEMORY, and the file is as it was. */
int events_append(struct events *self, const struct evaluation *evaluation, double wall_time,
                  struct error *error);

/* NULL-safe, sets *self to NULL. */
void events_close(struct events **self);

#endif
