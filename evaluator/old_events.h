/* The event files that earlier evaluators of a run left, put in order: TensorBoard reads all of a
 * folder, so that a point must stand in one of them only, and only if it still counts. */
#ifndef EVALUATOR_OLD_EVENTS_H
#define EVALUATOR_OLD_EVENTS_H

#include "common/evaluation.h"

#define OLD_EVENTS_PREFIX "events.out.tfevents."
#define OLD_EVENTS_MAX (64 << 20) /* bytes of a file; larger ones are left as they are */

/* What a new file has to come after. */
struct old_events {
    double wall_time; /* of the newest event; 0: there is none */
    int64_t seconds;  /* the largest in a file's name; 0: there is no file */
};

/* Takes out of every event file in `folder` the points whose step has no line in list[count]
 * (sorted by step), those that an earlier file or record has too, and what a crash tore. A file
 * without any point is removed. Files that hold anything else than what events.c writes are
 * others', and are left alone. 0 with *old filled in, or -1 with ERROR_IO, ERROR_MEMORY. */
int old_events_clean(const char *folder, const struct evaluation *list, size_t count,
                     struct old_events *old, struct error *error);

#endif
