/* What people see of a run: PROGRESS messages to watchers, log lines about long waits, and the
 * summary at the end. */
#include "trainer/coordinator_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WAITING_PERIOD (30 * CLOCK_SECOND) /* between log lines about one wait */

void reporting_progress(struct coordinator *self, int64_t now) {
    const struct train_progress *sums = &self->sums;
    double images = (double)sums->images;
    double seconds = (double)(now - self->sums_since) / CLOCK_SECOND;
    struct ledger_counts counts = {0};
    if (self->ledger)
        counts = ledger_counts(self->ledger);
    Digitsum__Progress body = DIGITSUM__PROGRESS__INIT;
    Digitsum__Dataset dataset;
    if (members_describe(self->members, &dataset))
        body.dataset = &dataset;
    body.step = self->seen.step;
    body.steps = self->steps;
    body.samples = self->seen.step * (uint64_t)self->settings.settings->batch;
    if (self->members->dataset.known)
        body.epoch = (double)body.samples / self->members->dataset.train;
    body.loss = images > 0 ? sums->loss / images : NAN;
    body.digit_accuracy = images > 0 ? sums->digit_hits / images : NAN;
    body.sum_accuracy = images > 0 ? sums->sum_hits / images : NAN;
    body.images_per_second = seconds > 0 ? images / seconds : 0;
    body.seconds = clock_seconds() - self->settings.began;
    const char *waiting = flow_waiting(self);
    body.waiting = (char *)(images > 0 && strcmp(waiting, "batches") == 0 ? "" : waiting);
    body.loaders = (uint32_t)members_of_role(self->members, DIGITSUM__ROLE__LOADER);
    body.augmenters = (uint32_t)members_of_role(self->members, DIGITSUM__ROLE__AUGMENT);
    body.evaluators = (uint32_t)members_of_role(self->members, DIGITSUM__ROLE__EVALUATOR);
    body.duplicates = counts.duplicates;
    body.re_leased = counts.re_leased;
    body.rejected = self->rejected;
    char *warnings[NOTICES_MAX];
    body.warnings = warnings;
    body.n_warnings = (size_t)self->summary.warnings.count;
    for (int i = 0; i < self->summary.warnings.count; i++)
        warnings[i] = self->summary.warnings.texts[i];
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__PROGRESS;
    header.progress = &body;
    control_tell_watchers(self, &header);
    self->sums = (struct train_progress){0};
    self->sums_since = now;
}

/* Says in the log what the run waits for, half a minute after it began to wait and then again each
 * half minute. */
void reporting_waiting(struct coordinator *self, int64_t now) {
    const char *waiting = flow_waiting(self);
    if (!waiting[0] || self->seen.images > 0) {
        self->waiting_since = 0;
        return;
    }
    if (self->waiting_since == 0) {
        self->waiting_since = now;
        self->next_waiting = now + WAITING_PERIOD;
    }
    if (now < self->next_waiting)
        return;
    self->next_waiting = now + WAITING_PERIOD;
    log_warning(self->log, "waiting for %s for %lld s; workers join %s", waiting,
                (long long)((now - self->waiting_since) / CLOCK_SECOND),
                self->settings.settings->bind);
}

void reporting_summary(struct coordinator *self, struct summary *summary) {
    const struct settings *settings = self->settings.settings;
    const struct members_dataset *dataset = &self->members->dataset;
    *summary = self->summary;
    summary->best_step = self->best.unknown ? 0 : self->best.file.step;
    if (summary->best_step > 0) {
        summary->best_digit_accuracy = self->best.file.digit;
        summary->best_sum_accuracy = self->best.file.sum;
    }
    summary->checkpoints_unscored = (uint64_t)scoring_unscored(self);
    snprintf(summary->network, sizeof summary->network, "%s", self->settings.net->name);
    summary->parameters = self->settings.net->trainable;
    snprintf(summary->dataset, sizeof summary->dataset, "%s", dataset->name);
    summary->synthetic = dataset->synthetic;
    snprintf(summary->engine, sizeof summary->engine, "%s", self->settings.ops->name);
    snprintf(summary->precision, sizeof summary->precision, "%s", settings->precision);
    summary->threads = (uint64_t)self->settings.config.threads;
    if (self->settings.start->computed)
        snprintf(summary->computed_with, sizeof summary->computed_with, "%s",
                 self->settings.start->computed);
    summary->seed = (uint64_t)settings->seed;
    summary->steps = self->seen.step;
    if (dataset->known)
        summary->epochs = (double)summary->steps * (double)settings->batch / dataset->train;
    summary->seconds = clock_seconds() - self->settings.began;
    double span = self->last_batch - self->first_batch;
    summary->seconds_waiting = self->seen.waited;
    summary->longest_wait = self->seen.longest_wait;
    summary->images_per_second = span > 0 ? (double)self->images / span : 0;
    if (self->ledger) {
        struct ledger_counts counts = ledger_counts(self->ledger);
        summary->batches_duplicated = counts.duplicates;
        summary->batches_released_again = counts.re_leased;
    }
    summary->batches_consumed = self->seen.step - self->settings.start->step;
    summary->messages_rejected = self->rejected;
    summary->finished = self->steps > 0 && self->seen.step >= self->steps;
}
