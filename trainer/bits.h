/* Which bits a run gives: the same settings give the same weights only with the same number of
 * threads, instructions and library. Decides how many threads a run takes, and whether a resumed
 * one may go on here. */
#ifndef TRAINER_BITS_H
#define TRAINER_BITS_H

#include "common/error.h"
#include "common/notices.h"
#include "common/processors.h"
#include "model/checkpoint.h"

#include <jansson.h>
#include <stdbool.h>

/* Compute threads on this machine; `asked` is --threads, 0: not named. A new run (`recorded` 0)
 * takes what processors_threads says. One that is resumed takes as many as before, whatever
 * OMP_NUM_THREADS says, and is refused (-1, ERROR_INVALID) where another number was asked for (one
 * that is cut to the same is the same) or this process may not use so many processors; but
 * --threads with the number of before is obeyed and shares what processors there are. With
 * `other_bits` nothing is refused. 0: *threads is set.
 */
int bits_threads(const struct processors *machine, int asked, int recorded, bool other_bits,
                 int *threads, struct notices *notices, struct error *error);

/* The number of threads that a checkpoint was computed with; 0 where it does not say. `settings`:
 * those inside. */
int bits_recorded_threads(const struct checkpoint *checkpoint, const json_t *settings);

/* Holds what a checkpoint was computed with against `now` (traits_to_json). Another engine,
 * precision, number of threads, instruction set or library is ERROR_INVALID; with `other_bits` a
 * notice, and the step is added to now's list "changed_at", which goes on where the checkpoint's
 * ended. Another processor or program is a notice, and so is a checkpoint that says nothing of it.
 */
int bits_compare(const struct checkpoint *checkpoint, json_t *now, bool other_bits,
                 struct notices *notices, struct error *error);

#endif
