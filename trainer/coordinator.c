/* See coordinator.h: life, the loop, the end of a run. */
#include "common/file.h"
#include "trainer/coordinator_private.h"

#include "common/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DATA_QUEUE = 64,      /* batches that may wait in the pairs socket, per augmenter */
    CONTROL_QUEUE = 1024, /* control messages per member */
    FEED_CAPACITY = 4,
    LEAVE_MS = 1500, /* how long members may take to say goodbye */
    REST_AFTER = 32, /* bad messages without a good one between */
    REST_MS = 2,
    REPEAT_MS = 250 /* those that have not are told again: what told them may have been lost */
};

#define PROGRESS_PERIOD (200 * CLOCK_MILLISECOND)
#define CHECK_PERIOD (500 * CLOCK_MILLISECOND)
#define OFFER_PERIOD (10 * CLOCK_SECOND) /* in which what was not answered is offered again */
#define TURN_MAX CLOCK_SECOND            /* a longer turn of the loop: the process was stopped */
#define STEP_TIME (10 * CLOCK_SECOND)    /* after a signal, for the step in hand */
#define SAVE_TIME 60                     /* seconds, for each checkpoint after it */

void coordinator_warn(struct coordinator *self, const char *text) {
    struct notices *warnings = &self->summary.warnings;
    if (notices_add(warnings, "%s", text))
        log_warning(self->log, "%s", warnings->texts[warnings->count - 1]);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Binds one socket, and writes what joiners are told: for tcp the port alone, on whatever host they
 * reached us by. */
static int bind_one(void *socket, const char *address, char bound[static ENDPOINT_MAX],
                    char announced[static ENDPOINT_MAX], struct error *error) {
    if (endpoint_bind(socket, address, bound, error) != 0)
        return -1;
    if (strncmp(bound, "tcp://", 6) == 0)
        snprintf(announced, ENDPOINT_MAX, "tcp://*%s", strrchr(bound, ':'));
    else
        snprintf(announced, ENDPOINT_MAX, "%s", bound);
    return 0;
}

/* What people need to join: the port may be the system's choice. */
static void tell_address(const struct coordinator *self, const char *bound) {
    char here[ENDPOINT_MAX];
    struct error ignored;
    if (endpoint_announce(bound, NULL, "tcp://127.0.0.1:1", here, &ignored) != 0)
        return;
    if (strcmp(here, bound) == 0)
        log_info(self->log, "listening at %s%s", bound,
                 strncmp(bound, "tcp:", 4) == 0 && endpoint_is_local(bound) ? " (this machine only)"
                                                                            : "");
    else
        log_info(self->log,
                 "listening at %s, all addresses of this machine: --join %s here, tcp://HOST%s "
                 "elsewhere",
                 bound, here, strrchr(bound, ':'));
}

static int open_sockets(struct coordinator *self, struct error *error) {
    const char *bind = self->settings.settings->bind;
    char next[ENDPOINT_MAX], control[ENDPOINT_MAX], bound[ENDPOINT_MAX];
    int mandatory = 1, handover = 1;
    self->context = zmq_ctx_new();
    if (!self->context)
        return error_set(error, ERROR_IO, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    self->control = peer_new_socket(self->context, ZMQ_ROUTER, CONTROL_QUEUE, error);
    self->data = peer_new_data_socket(self->context, ZMQ_PULL, DATA_QUEUE, error);
    if (!self->control || !self->data)
        return -1;
    zmq_setsockopt(self->control, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory);
    zmq_setsockopt(self->control, ZMQ_ROUTER_HANDOVER, &handover, sizeof handover);
    if (bind_one(self->control, bind, control, self->control_address, error) != 0 ||
        endpoint_next(bind, 1, "pairs", next, error) != 0 ||
        bind_one(self->data, next, bound, self->data_address, error) != 0)
        return -1;
    tell_address(self, control);
    return 0;
}

/* The record goes on where the checkpoint does. */
static int open_record(struct coordinator *self, struct error *error) {
    const struct checkpoint *start = self->settings.start;
    char path[PATH_MAX];
    bool lost;
    if (path_join(path, self->settings.settings->run_dir, "batches.txt", error) != 0)
        return -1;
    self->record = record_open(path, start->step, start->chain, &lost, error);
    if (self->record && lost)
        log_warning(self->log, "%s does not match step %" PRIu64 ": earlier batches are unknown",
                    path, start->step);
    return self->record ? 0 : -1;
}

struct coordinator *coordinator_create(const struct coordinator_settings *settings,
                                       const struct log *log, struct error *error) {
    struct coordinator *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for the coordinator");
        return NULL;
    }
    self->settings = *settings;
    self->log = log;
    self->wake = -1;
    self->summary = (struct summary)SUMMARY_INIT;
    self->summary.seconds_to_target = settings->seconds_to_target;
    for (int i = 0; settings->notices && i < settings->notices->count; i++)
        coordinator_warn(self, settings->notices->texts[i]);
    char folder[PATH_MAX];
    if (path_join(folder, settings->settings->run_dir ? settings->settings->run_dir : ".",
                  "checkpoints", error) != 0)
        goto failed;
    if (RAND_bytes((unsigned char *)&self->run, sizeof self->run) != 1 || self->run == 0) {
        error_set(error, ERROR_IO, "the system has no random numbers for a run id");
        goto failed;
    }
    if (open_sockets(self, error) != 0)
        goto failed;
    if (settings->settings->run_dir && file_make_folder(folder, error) != 0)
        goto failed;
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->members = calloc(1, sizeof *self->members);
    self->feed = feed_create(FEED_CAPACITY);
    self->publisher =
        publisher_create((int)settings->settings->keep, (int)settings->settings->unscored, log);
    if (self->wake < 0 || !self->members || !self->feed || !self->publisher) {
        error_set(error, ERROR_MEMORY, "no memory for the coordinator");
        goto failed;
    }
    if (settings->settings->expect_evaluator)
        publisher_expect(self->publisher, false);
    for (size_t i = 0; settings->dataset[0] && i < SHA256_SIZE; i++)
        sscanf(settings->dataset + 2 * i, "%2hhx", &self->members->dataset.sha256[i]);
    if (settings->settings->run_dir) {
        /* What an earlier incarnation was writing when it was killed. */
        file_sweep(folder, settings->alone);
        file_sweep(settings->settings->run_dir, settings->alone);
        if (scoring_restore(self, folder, error) != 0 || open_record(self, error) != 0)
            goto failed;
    }
    self->saver = saver_start(folder, self->wake, error);
    if (!self->saver)
        goto failed;
    self->train = train_start(settings->ops, settings->net, &settings->config, settings->start,
                              self->feed, self->saver, self->wake, log, error);
    if (!self->train)
        goto failed;
    return self;
failed:
    coordinator_destroy(&self);
    return NULL;
}

static void remove_sockets(const struct coordinator *self) {
    endpoint_remove(self->control_address);
    endpoint_remove(self->data_address);
}

bool coordinator_stuck(const struct coordinator *self) {
    return self->stuck;
}

void coordinator_destroy(struct coordinator **pointer) {
    struct coordinator *self = *pointer;
    if (!self)
        return;
    if (self->stuck) {
        remove_sockets(self);
        *pointer = NULL;
        return;
    }
    if (self->feed)
        feed_close(self->feed);
    train_destroy(&self->train);
    record_close(&self->record);
    saver_destroy(&self->saver);
    feed_destroy(&self->feed);
    for (uint32_t i = 0; self->window && i < self->window_size; i++)
        wire_release(&self->window[i]);
    free(self->window);
    ledger_destroy(&self->ledger);
    publisher_destroy(&self->publisher);
    evaluations_free(&self->scores);
    free(self->members);
    void *sockets[] = {self->control, self->data};
    for (int i = 0; i < 2; i++)
        if (sockets[i])
            zmq_close(sockets[i]);
    if (self->context)
        zmq_ctx_term(self->context);
    remove_sockets(self);
    if (self->wake >= 0)
        close(self->wake);
    free(self);
    *pointer = NULL;
}

/* --- what the threads report ------------------------------------------------------------------ */

static void take_progress(struct coordinator *self) {
    struct train_progress *seen = &self->seen, *sums = &self->sums;
    train_look(self->train, seen);
    sums->images += seen->images;
    sums->loss += seen->loss;
    sums->digit_hits += seen->digit_hits;
    sums->sum_hits += seen->sum_hits;
    if (seen->images > 0) {
        self->moved = clock_now();
        self->images += seen->images;
        self->last_batch = clock_seconds();
    }
    if (seen->trouble[0])
        coordinator_warn(self, seen->trouble);
    if (seen->finished && !self->training_over) {
        self->training_over = self->ending = true;
        self->drain_left = self->settings.settings->drain * CLOCK_SECOND;
        if (seen->failed)
            self->failure = seen->error;
    }
}

/* What was not written, or will not be scored because nobody hears of it, ends the run. */
static void fail_save(struct coordinator *self, const struct saved *saved,
                      const struct error *error) {
    log_error(self->log, "checkpoint of step %" PRIu64 " could not be written: %s", saved->step,
              error->text);
    self->failure = *error;
    error_prefix(&self->failure, "checkpoint of step %" PRIu64, saved->step);
    self->save_failed = self->ending = true;
    train_stop(self->train);
    feed_close(self->feed);
}

static void take_saved(struct coordinator *self) {
    struct saved saved;
    while (saver_take(self->saver, &saved)) {
        if (self->interrupted)
            signals_grace(SAVE_TIME);
        struct error error;
        if (saved.failed) {
            fail_save(self, &saved, &saved.error);
            continue;
        }
        log_info(self->log, "checkpoint %s: %" PRIu64 " bytes", saved.path, saved.size);
        memcpy(self->summary.weights_sha256, saved.weights, sizeof saved.weights);
        sha256_hex(saved.chain, self->summary.chain_sha256);
        if (!publisher_add(self->publisher, &saved, control_evaluators(self), &error)) {
            fail_save(self, &saved, &error);
            continue;
        }
        control_offer(self);
    }
    publisher_tidy(self->publisher);
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static void do_periodic(struct coordinator *self) {
    int64_t now = clock_now();
    if (now >= self->next_progress) {
        self->next_progress = now + PROGRESS_PERIOD;
        reporting_progress(self, now);
    }
    if (now >= self->next_check) {
        self->next_check = now + CHECK_PERIOD;
        control_check_silence(self, now);
        flow_check_stalls(self, now);
        reporting_waiting(self, now);
    }
    if (now >= self->next_offer) {
        self->next_offer = now + OFFER_PERIOD;
        control_offer_again(self);
    }
}

bool rest_note(struct rest *rest, bool good) {
    rest->bad = good ? 0 : rest->bad + 1;
    if (rest->bad < REST_AFTER)
        return false;
    rest->bad = 0;
    rest->until = clock_now() + REST_MS * CLOCK_MILLISECOND;
    return true;
}

bool rest_over(const struct rest *rest, int64_t now) {
    return now >= rest->until;
}

/* Milliseconds that the loop may sleep. */
static long sleep_time(const struct coordinator *self) {
    int64_t now = clock_now();
    int64_t until = self->next_progress < self->next_check ? self->next_progress : self->next_check;
    if (self->ledger && !self->ending && !self->full &&
        members_of_role(self->members, DIGITSUM__ROLE__LOADER) &&
        members_of_role(self->members, DIGITSUM__ROLE__AUGMENT)) {
        int64_t deadline = ledger_deadline(self->ledger);
        if (deadline < until)
            until = deadline;
    }
    const struct rest *rests[] = {&self->control_rest, &self->data_rest};
    for (int i = 0; i < 2; i++)
        if (!rest_over(rests[i], now) && rests[i]->until < until)
            until = rests[i]->until;
    return until <= now ? 0 : (long)((until - now) / CLOCK_MILLISECOND) + 1;
}

/* The run goes on until training has ended, and its checkpoints are on disk and scored. */
static bool run_is_over(struct coordinator *self) {
    if (!self->training_over || !saver_idle(self->saver))
        return false;
    if (self->failure.code != ERROR_NONE || self->interrupted)
        return true;
    return !scoring_waits(self) || self->drain_left <= 0;
}

/* Time in which the process was stopped, or its machine asleep, is nobody's silence: of a turn that
 * took too long only TURN_MAX counts. */
static void take_time(struct coordinator *self) {
    int64_t now = clock_now(), spent = now - self->turn;
    self->turn = now;
    if (spent > TURN_MAX) {
        control_forgive(self, spent - TURN_MAX);
        spent = TURN_MAX;
    }
    if (self->training_over)
        self->drain_left -= spent;
}

static int wait_for_events(struct coordinator *self, struct error *error) {
    int64_t now = clock_now();
    short hear = rest_over(&self->control_rest, now) ? ZMQ_POLLIN : 0;
    short take = rest_over(&self->data_rest, now) ? ZMQ_POLLIN : 0;
    zmq_pollitem_t items[] = {{self->control, 0, hear, 0},
                              {self->data, 0, take, 0},
                              {NULL, self->wake, ZMQ_POLLIN, 0},
                              {NULL, signals_descriptor(), ZMQ_POLLIN, 0}};
    /* After the signal its descriptor stays readable: it must not keep the loop awake. */
    int count = self->interrupted ? 3 : 4;
    if (zmq_poll(items, count, sleep_time(self)) < 0 && errno != EINTR)
        return error_set(error, ERROR_IO, "waiting for messages: %s", zmq_strerror(errno));
    uint64_t ignored;
    if (items[2].revents && read(self->wake, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
        return error_set_errno(error, "reading the wake-up counter");
    return 0;
}

/* A reason to end early: a signal, or a goal that an evaluation reached. */
static void check_early_end(struct coordinator *self) {
    bool interrupted = signals_stop() && !self->interrupted;
    if (interrupted) {
        log_info(self->log, "stopping: saving a checkpoint (again to exit at once)");
        self->moved = clock_now();
        signals_grace(SAVE_TIME);
    }
    if (interrupted || (self->goal_reached && !self->ending)) {
        self->interrupted |= interrupted;
        self->ending = true;
        train_stop(self->train);
        feed_close(self->feed);
    }
}

/* A step that was in hand when a signal came, and does not end. While a checkpoint is being written
 * the thread may wait for that. */
static bool step_hangs(const struct coordinator *self) {
    return self->interrupted && !self->training_over && saver_idle(self->saver) &&
           clock_now() - self->moved > STEP_TIME;
}

static int loop(struct coordinator *self, struct error *error) {
    self->sums_since = self->turn = clock_now();
    while (!run_is_over(self)) {
        if (wait_for_events(self, error) != 0 || control_receive(self, error) != 0 ||
            flow_receive(self, error) != 0)
            return -1;
        take_time(self);
        take_progress(self);
        take_saved(self);
        flow_advance(self);
        do_periodic(self);
        check_early_end(self);
        if (step_hangs(self)) {
            self->stuck = true;
            return 0;
        }
    }
    return 0;
}

/* --- the end -----------------------------------------------------------------------------------
 */

/* Members hear that it is over and may say goodbye, so that nobody mistakes the end for a fault. */
static void dismiss(struct coordinator *self, const char *reason, bool failed) {
    struct error ignored;
    int64_t until = clock_now() + LEAVE_MS * CLOCK_MILLISECOND, again = 0;
    reporting_progress(self, clock_now());
    self->over.reason = reason;
    self->over.failed = failed;
    for (;;) {
        int i = 0;
        int64_t now = clock_now();
        if (!members_next(self->members, &i) || now > until)
            return;
        if (now >= again) {
            again = now + REPEAT_MS * CLOCK_MILLISECOND;
            control_stop(self);
        }
        zmq_pollitem_t item = {self->control, 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, 50);
        if (control_receive(self, &ignored) != 0)
            return;
    }
}

int coordinator_run(struct coordinator *self, struct summary *summary, struct error *error) {
    int status = loop(self, error);
    if (status == 0 && self->failure.code != ERROR_NONE) {
        *error = self->failure;
        status = -1;
    } else if (self->stuck) {
        status = error_set(error, ERROR_INTERRUPTED,
                           "stopped after step %" PRIu64 " of %" PRIu64
                           ": the next one did not end within %d s and was given up",
                           self->seen.step, self->steps, (int)(STEP_TIME / CLOCK_SECOND));
    } else if (status == 0 && self->interrupted && self->steps == 0) {
        status = error_set(error, ERROR_INTERRUPTED, "stopped before a loader joined");
    } else if (status == 0 && self->interrupted) {
        status = error_set(error, ERROR_INTERRUPTED, "stopped at step %" PRIu64 " of %" PRIu64,
                           self->seen.step, self->steps);
    } else if (status == 0) {
        status = scoring_check(self, error);
    }
    reporting_summary(self, summary);
    dismiss(self, status == 0 ? "all steps are trained" : error->text, status != 0);
    return status;
}
