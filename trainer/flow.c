/* Leases out, batches in: joins the ledger (who owes what), the window (what came) and the feed
 * (what is next). */
#include "trainer/coordinator_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STALL (3 * CLOCK_SECOND) /* which leaves 2 s of the 5 that no stall may take to mend it */

enum { BATCHES_AT_ONCE = 64, LEASE_GROUP = 8, WINDOW_BYTES = 256 << 20 };

/* The run's length, from --steps or --epochs; without either one epoch. */
static uint64_t run_steps(const struct coordinator *self) {
    const struct settings *settings = self->settings.settings;
    if (settings->steps > 0)
        return (uint64_t)settings->steps;
    double epochs = settings->epochs > 0 ? settings->epochs : 1.0;
    return batch_steps(self->members->dataset.train, epochs, (uint32_t)settings->batch);
}

int flow_begin(struct coordinator *self, struct error *error) {
    const struct settings *settings = self->settings.settings;
    const struct checkpoint *start = self->settings.start;
    uint32_t samples = self->members->dataset.train;
    self->steps = run_steps(self);
    if (self->steps == 0)
        return error_set(error, ERROR_INVALID,
                         "--epochs %.15g of %u images is less than one image: nothing would be "
                         "trained",
                         settings->epochs, samples);
    if (self->steps < start->step)
        return error_set(error, ERROR_INVALID,
                         "the run has %" PRIu64 " steps, but its checkpoint is at step %" PRIu64
                         ": raise --epochs or --steps",
                         self->steps, start->step);
    uint64_t batch_bytes = (uint64_t)settings->batch * (IMAGE_PIXELS + 3);
    uint64_t fits = WINDOW_BYTES / batch_bytes;
    self->window_size = (uint32_t)settings->window;
    if (fits < self->window_size)
        self->window_size = fits < 2 ? 2 : (uint32_t)fits;
    struct ledger_settings ledger = {.first = start->step,
                                     .end = self->steps,
                                     .window = self->window_size,
                                     .group = LEASE_GROUP,
                                     .hedge = settings->hedge > 0,
                                     .patience_least = settings->hedge * CLOCK_MILLISECOND,
                                     .patience_most = 5 * CLOCK_SECOND};
    if (ledger.group > (ledger.window + 3) / 4)
        ledger.group = (ledger.window + 3) / 4;
    self->ledger = ledger_create(&ledger);
    self->window = calloc(self->window_size, sizeof *self->window);
    if (!self->ledger || !self->window)
        return error_set(error, ERROR_MEMORY, "no memory for a window of %u steps",
                         self->window_size);
    struct train_settings train = {.ops = self->settings.ops,
                                   .net = self->settings.net,
                                   .config = self->settings.config,
                                   .steps = self->steps,
                                   .samples = samples,
                                   .checkpoint_every = (uint64_t)settings->checkpoint_every,
                                   .checkpoint_epochs = settings->checkpoint_epochs,
                                   .checkpoints = strcmp(settings->engine, "null") != 0,
                                   .keep_going = settings->keep_going,
                                   .record = self->record};
    sha256_hex(self->members->dataset.sha256, train.dataset);
    settings_schedule(settings, self->steps, samples, &train.schedule);
    log_info(self->log, "%s: %u training and %u test images; %" PRIu64 " steps of %lld",
             self->members->dataset.name, samples, self->members->dataset.test, self->steps,
             (long long)settings->batch);
    scoring_find_missing(self, &train);
    train_begin(self->train, &train);
    return 0;
}

static void reject_data(struct coordinator *self, const char *peer, const struct error *bad) {
    uint64_t held;
    self->rejected++;
    if (log_limits_pass(&self->bad_data, peer, clock_now(), LOG_PERIOD, 1, &held))
        log_warning(self->log, "bad batch from %s dropped: %s (%" PRIu64 " more)", peer, bad->text,
                    held);
}

/* One PAIRS message: into its window slot, or dropped with the reason (false). */
static bool take_batch(struct coordinator *self, struct wire_message *message) {
    struct batch batch;
    struct error error;
    if (message->header->type != DIGITSUM__TYPE__PAIRS)
        error_set(&error, ERROR_CORRUPT, "%s on the pairs socket",
                  wire_type_name(message->header->type));
    else if (message->header->count != (uint32_t)self->settings.settings->batch)
        error_set(&error, ERROR_CORRUPT, "PAIRS of step %" PRIu64 ": expected %lld rows, got %u",
                  message->header->step, (long long)self->settings.settings->batch,
                  message->header->count);
    else if (wire_batch(message, &batch, &error) == 0) {
        if (self->ledger && !self->ending &&
            ledger_arrive(self->ledger, batch.step, clock_now()) == ARRIVAL_NEW) {
            wire_move(&self->window[batch.step % self->window_size], message);
            self->arrived = clock_now();
        }
        return true;
    }
    reject_data(self, message->peer, &error);
    return false;
}

int flow_receive(struct coordinator *self, struct error *error) {
    bool rest = !rest_over(&self->data_rest, clock_now());
    for (int i = 0; i < BATCHES_AT_ONCE && !rest; i++) {
        struct wire_message message;
        struct error bad;
        int status = wire_receive(self->data, false, self->run, &message, &bad);
        if (status == 0)
            return 0;
        if (status == 1) {
            rest = rest_note(&self->data_rest, take_batch(self, &message));
            wire_release(&message);
            continue;
        }
        if (bad.code == ERROR_IO) {
            *error = bad;
            return -1;
        }
        reject_data(self, message.peer, &bad);
        rest = rest_note(&self->data_rest, false);
    }
    return 0;
}

static void give_lease(struct coordinator *self, const struct lease *lease) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));) {
        if (member->loader != lease->loader)
            continue;
        Digitsum__Lease body = DIGITSUM__LEASE__INIT;
        body.first = lease->first;
        body.count = lease->count;
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.run = self->run;
        header.type = DIGITSUM__TYPE__LEASE;
        header.lease = &body;
        struct error error;
        if (lease->again)
            log_debug(self->log, "step %" PRIu64 " is a straggler: re-leased to %s", lease->first,
                      member->name);
        /* A lease that does not get through becomes late and is given again. */
        if (wire_send(self->control, &member->address, &header, NULL, 0, &error) != 1)
            log_debug(self->log, "lease to %s was not sent", member->name);
        return;
    }
}

void flow_advance(struct coordinator *self) {
    if (!self->ledger || self->ending)
        return;
    if (scoring_full(self))
        return;
    while (ledger_ready(self->ledger)) {
        uint64_t step = ledger_base(self->ledger);
        if (!feed_put(self->feed, &self->window[step % self->window_size]))
            break;
        ledger_consume(self->ledger);
        if (self->first_batch == 0)
            self->first_batch = clock_seconds();
        self->waiting_since = 0;
    }
    /* Before an augmenter has joined, samples would go to those of an earlier incarnation, which
     * drop them. */
    if (members_of_role(self->members, DIGITSUM__ROLE__AUGMENT) == 0)
        return;
    struct lease lease;
    int64_t now = clock_now();
    while (ledger_lease(self->ledger, now, &lease))
        give_lease(self, &lease);
}

/* A connection can be dead without an end: a write that failed once, which libzmq never tries
 * again, or a damaged length after which the other side waits for bytes that never come. Or
 * somebody else takes the batches. */
void flow_check_stalls(struct coordinator *self, int64_t now) {
    int64_t silent;
    int loader;
    bool any = false;
    if (!self->ledger || self->ending || self->full ||
        members_of_role(self->members, DIGITSUM__ROLE__AUGMENT) == 0)
        return;
    while ((loader = ledger_stalled(self->ledger, now, STALL, &silent)) >= 0) {
        int i = 0;
        for (struct member *member; (member = members_next(self->members, &i));) {
            if (member->loader != loader)
                continue;
            member->renewals++;
            any = true;
            log_warning(self->log,
                        "no batch of loader %s has arrived for %lld s: re-leasing its steps and "
                        "reconnecting augmenters to it; does another program read from %s?",
                        member->name, (long long)(silent / CLOCK_SECOND), member->endpoints[0]);
        }
    }
    if (!any)
        return;
    if (now - self->arrived >= STALL) {
        self->pairs_renewals++;
        log_warning(self->log, "no batch has arrived at all: augmenters reconnect to the trainer");
    }
    control_announce(self, DIGITSUM__ROLE__LOADER);
}

const char *flow_waiting(const struct coordinator *self) {
    if (self->training_over)
        return !self->interrupted && scoring_waits(self) ? "evaluations" : "";
    if (self->ending)
        return "";
    if (members_of_role(self->members, DIGITSUM__ROLE__LOADER) == 0)
        return "a loader";
    if (!self->ledger || ledger_base(self->ledger) >= self->steps)
        return "";
    if (members_of_role(self->members, DIGITSUM__ROLE__AUGMENT) == 0)
        return "an augmenter";
    if (self->full)
        return "an evaluator";
    return ledger_ready(self->ledger) ? "" : "batches";
}
