/* What evaluators still owe: what was scored before a restart, when training waits for them, and
 * whether all is scored at the end. */
#include "common/file.h"
#include "trainer/coordinator_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FULL_PERIOD (30 * CLOCK_SECOND) /* between lines that say that training waits */

/* --- after a restart -------------------------------------------------------------------------- */

static void count_missing(struct coordinator *self, uint64_t step) {
    if (self->missing++ == 0 || step < self->missing_step)
        self->missing_step = step;
}

/* One file. What cannot be read any more and was not scored never will be. */
static int publish_earlier(struct coordinator *self, const char *folder, uint64_t step,
                           struct error *error) {
    const struct evaluation *line = evaluations_find(&self->scores, step);
    struct saved saved;
    struct error bad;
    if (saver_describe(folder, step, &saved, &bad) != 0) {
        log_warning(self->log, "checkpoint of step %" PRIu64 " skipped: %s", step, bad.text);
        if (!line)
            count_missing(self, step);
        return 0;
    }
    if (!publisher_add(self->publisher, &saved, 0, error))
        return -1;
    if (line && evaluation_is_of(line, saved.weights, saved.sha256))
        publisher_recorded(self->publisher, step);
    return 0;
}

/* The figures of the newest checkpoint that was scored, in case that no other will be. */
static void restore_summary(struct coordinator *self) {
    size_t after = evaluations_place(&self->scores, self->settings.start->step + 1);
    if (after > 0)
        scoring_take(self, scored_of(&self->scores.list[after - 1]));
}

int scoring_restore(struct coordinator *self, const char *folder, struct error *error) {
    const char *run_dir = self->settings.settings->run_dir;
    uint64_t start = self->settings.start->step, step = 0;
    best_begin(&self->best, run_dir, self->log);
    if (start == 0)
        return 0;
    char lines[PATH_MAX];
    if (path_join(lines, run_dir, "evaluations.jsonl", error) != 0)
        return -1;
    int there = evaluations_read(&self->scores, lines, true, error);
    if (there < 0 || best_restore(&self->best, &self->scores, start, error) != 0)
        return -1;
    for (; saver_next(folder, step, &step) && step <= start; step++)
        if (publish_earlier(self, folder, step, error) != 0)
            return -1;
    if (errno != 0)
        return error_set_errno(error, "looking for checkpoints in %s", folder);
    /* One was there, and comes back. */
    if (there > 0 || self->best.file.step > 0)
        publisher_expect(self->publisher, there > 0);
    best_published(&self->best, self->publisher);
    restore_summary(self);
    return 0;
}

void scoring_find_missing(struct coordinator *self, const struct train_settings *settings) {
    char folder[PATH_MAX], path[PATH_MAX];
    path_join(folder, self->settings.settings->run_dir ? self->settings.settings->run_dir : ".",
              "checkpoints", NULL);
    /* Without lines nobody can tell what was scored: by an evaluator elsewhere, or by none. */
    for (uint64_t step = 1; self->scores.count > 0 && step <= self->settings.start->step; step++) {
        if (!train_checkpoint_due(settings, step) || evaluations_find(&self->scores, step) ||
            publisher_find(self->publisher, step))
            continue;
        saver_file(folder, step, path);
        if (access(path, F_OK) != 0) /* or it was counted already */
            count_missing(self, step);
    }
}

/* --- while the run lasts ---------------------------------------------------------------------- */

bool scoring_full(struct coordinator *self) {
    uint64_t held;
    self->full = publisher_full(self->publisher);
    if (self->full && log_limit_pass(&self->full_line, clock_now(), FULL_PERIOD, &held))
        log_warning(self->log, "waiting for an evaluator: %d checkpoints unscored",
                    publisher_counts(self->publisher).owed);
    return self->full;
}

void scoring_take(struct coordinator *self, struct scored scored) {
    if (scored.step < self->scored_step)
        return;
    self->scored_step = scored.step;
    self->summary.digit_accuracy = scored.digit;
    self->summary.sum_accuracy = scored.sum;
}

/* --- at the end ------------------------------------------------------------------------------- */

bool scoring_waits(const struct coordinator *self) {
    return publisher_counts(self->publisher).owed > 0 || publisher_final_waits(self->publisher);
}

int scoring_unscored(const struct coordinator *self) {
    int lost = publisher_expecting(self->publisher) ? self->missing : 0;
    return publisher_unscored(self->publisher) + publisher_counts(self->publisher).dropped + lost;
}

int scoring_check(struct coordinator *self, struct error *error) {
    struct publisher_counts counts = publisher_counts(self->publisher);
    int unscored = scoring_unscored(self);
    if (counts.owed > 0)
        return error_set(error, ERROR_TIMEOUT,
                         "%d checkpoints are not scored, the first of step %" PRIu64
                         ": no evaluator reported for %lld s",
                         counts.owed, counts.owed_step, (long long)self->settings.settings->drain);
    if (counts.failed > 0)
        return error_set(error, ERROR_IO,
                         "%d checkpoints could not be scored, the first of step %" PRIu64,
                         counts.failed, counts.failed_step);
    if (counts.dropped > 0)
        return error_set(error, ERROR_IO,
                         "%d checkpoints were removed unscored, the first of step %" PRIu64
                         ": no evaluator joined; see --unscored",
                         counts.dropped, counts.dropped_step);
    if (self->missing > 0 && publisher_expecting(self->publisher))
        return error_set(error, ERROR_IO,
                         "%d checkpoints were not scored and are gone, the first of step %" PRIu64,
                         self->missing, self->missing_step);
    if (self->best.lost.step || self->best.unknown)
        return error_set(error, ERROR_IO, "the best checkpoint, step %" PRIu64 ", %s",
                         self->best.lost.step ? self->best.lost.step : self->best.file.step,
                         self->best.lost.step ? "is not in best.safetensors" : "is not scored");
    if (unscored > 0)
        log_info(self->log, "no evaluator joined: %d checkpoints are unscored", unscored);
    else if (self->settings.settings->run_dir && self->scored_step > 0 &&
             publisher_hears_all(self->publisher))
        coordinator_warn(self,
                         "no evaluator with --run-dir joined: every checkpoint was scored, but "
                         "there is no evaluations.jsonl; the scores are in the trainer's log");
    return 0;
}
