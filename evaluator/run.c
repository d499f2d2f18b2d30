/* See run.h. */
#include "evaluator/run.h"
#include "common/file.h"

#include "common/clock.h"
#include "common/evaluation.h"
#include "common/peer.h"
#include "common/signals.h"
#include "evaluator/events.h"
#include "evaluator/follow.h"
#include "evaluator/judge.h"
#include "evaluator/report_file.h"
#include "evaluator/test_split.h"
#include "model/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct run_settings *settings;
    const struct log *log;
    void *context;
    struct peer *peer;
    int generation;
    uint64_t run; /* id of the trainer that was joined last */
    struct follow *follow;
    struct test_split *split;
    struct judge *judge;      /* engine and scoring of one checkpoint at a time */
    struct report_file *file; /* NULL without a run folder */
    struct events *events;
    double began; /* clock_seconds() at which the trainer began, as it told */
    bool more;    /* there is something to score at once */
    struct log_limit bad;
};

/* --- life ------------------------------------------------------------------------------------- */

/* A new event file, beside those of before without what counts no more. */
static int open_events(struct run *self, struct error *error) {
    char folder[PATH_MAX];
    size_t count;
    const struct evaluation *list = report_list(self->file, &count);
    events_close(&self->events);
    if (path_join(folder, self->settings->run_dir, "events", error) != 0 ||
        file_make_folder(folder, error) != 0)
        return -1;
    self->events = events_open(folder, clock_wall(), list, count, error);
    return self->events ? 0 : -1;
}

static int open_files(struct run *self, struct error *error) {
    char path[PATH_MAX];
    if (!self->settings->run_dir)
        return 0;
    if (path_join(path, self->settings->run_dir, "evaluations.jsonl", error) != 0 ||
        file_make_folder(self->settings->run_dir, error) != 0)
        return -1;
    self->file = report_open(path, error);
    if (!self->file)
        return -1;
    if (report_cut(self->file))
        log_warning(self->log, "%s ended in a torn line of %zu bytes: cut off", path,
                    report_cut(self->file));
    return open_events(self, error);
}

static int open_peer(struct run *self, struct error *error) {
    const struct run_settings *settings = self->settings;
    self->context = zmq_ctx_new();
    if (!self->context)
        return error_set(error, ERROR_IO, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    struct peer_hello hello = {.trainer = settings->join,
                               .role = DIGITSUM__ROLE__EVALUATOR,
                               .name = settings->name,
                               .records = self->file,
                               .patience = (int)settings->patience};
    self->peer = peer_create(self->context, &hello, self->log, error);
    return self->peer ? 0 : -1;
}

/* A precision that was named is refused at once, not at each checkpoint. */
static int check_precision(const struct run_settings *settings, struct error *error) {
    bool bf16 = strcmp(settings->precision, "bf16") == 0;
    bool tf32 = strcmp(settings->precision, "tf32") == 0;
    struct engine_config config = {.precision = bf16 ? PRECISION_BF16 : PRECISION_F32,
                                   .tf32 = tf32,
                                   .batch = (int)settings->batch,
                                   .threads = (int)settings->threads};
    char reason[ENGINE_REASON];
    struct error why;
    if ((!bf16 && !tf32) ||
        engine_choose(settings->device, &config, NULL, reason, sizeof reason, &why))
        return 0;
    return error_set(error, why.code == ERROR_UNSUPPORTED ? ERROR_INVALID : why.code,
                     "--precision=%s: %s", settings->precision, why.text);
}

struct run *run_create(const struct run_settings *settings, const struct log *log,
                       struct error *error) {
    if (check_precision(settings, error) != 0)
        return NULL;
    struct run *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for the evaluator");
        return NULL;
    }
    self->settings = settings;
    self->log = log;
    if (open_files(self, error) != 0 || open_peer(self, error) != 0)
        goto failed;
    self->follow = follow_create();
    self->split = test_split_create(self->context, log);
    self->judge = judge_create(settings, log);
    if (!self->follow || !self->split || !self->judge) {
        error_set(error, ERROR_MEMORY, "no memory for the evaluator");
        goto failed;
    }
    return self;
failed:
    run_destroy(&self);
    return NULL;
}

void run_destroy(struct run **pointer) {
    struct run *self = *pointer;
    if (!self)
        return;
    judge_destroy(&self->judge);
    follow_destroy(&self->follow);
    test_split_destroy(&self->split);
    events_close(&self->events);
    report_close(&self->file);
    peer_destroy(&self->peer);
    if (self->context)
        zmq_ctx_term(self->context);
    free(self);
    *pointer = NULL;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* To the trainer, which passes it on to whoever watches. */
static int tell(struct run *self, const struct evaluation *evaluation, struct error *error) {
    struct evaluation_message message;
    evaluation_to_message(evaluation, &message);
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__REPORT;
    header.step = evaluation->step;
    header.report = &message.report;
    return peer_send(self->peer, &header, error) < 0 ? -1 : 0;
}

/* Takes this step and later ones of a run that went back out of the two files: they are made again,
 * or never will be. A crash in between costs nothing that is not made again. */
static int forget_from(struct run *self, uint64_t step, struct error *error) {
    size_t dropped;
    if (report_rewind(self->file, step, &dropped, error) != 0)
        return -1;
    if (dropped == 0)
        return 0;
    log_info(self->log,
             "the run was rewound: its evaluations from step %" PRIu64
             " on, %zu in all, are dropped",
             step, dropped);
    return open_events(self, error);
}

/* Into the two files. */
static int keep(struct run *self, const struct evaluation *evaluation, struct error *error) {
    if (forget_from(self, evaluation->step, error) != 0)
        return -1;
    if (events_append(self->events, evaluation, clock_wall(), error) != 0)
        return -1;
    return report_append(self->file, evaluation, error);
}

/* An evaluation that was just made: kept, shown, told. */
static int record(struct run *self, const struct evaluation *evaluation, struct error *error) {
    char line[EVALUATION_LINE];
    if (self->file && !evaluation->error[0] && keep(self, evaluation, error) != 0)
        return -1;
    printf("%s\n", evaluation_line(evaluation, INT_MAX, true, line));
    fflush(stdout);
    return tell(self, evaluation, error);
}

/* --- hearing ---------------------------------------------------------------------------------- */

/* Says who made it, and when. */
static void sign(const struct run *self, struct evaluation *evaluation) {
    evaluation->seconds = clock_seconds() - self->began;
    snprintf(evaluation->evaluator, sizeof evaluation->evaluator, "%s", self->settings->name);
}

/* Whether this very checkpoint was scored before we restarted; then the trainer is told again,
 * since it may not have heard. */
static bool scored_before(struct run *self, const Digitsum__Header *header, int *status,
                          struct error *error) {
    const Digitsum__CheckpointInfo *info = header->checkpoint;
    const struct evaluation *known = self->file ? report_find(self->file, header->step) : NULL;
    char weights[SHA256_HEX] = "";
    if (info->weights.len == SHA256_SIZE)
        sha256_hex(info->weights.data, weights);
    if (!known || !evaluation_is_of(known, weights, info->sha256.data))
        return false;
    struct evaluation again = *known;
    report_confirm(self->file, again.step);
    again.epoch_end = header->checkpoint->epoch_end;
    again.final = header->checkpoint->final;
    *status = 0;
    if (again.final) /* a run that went back may end before it comes to its old lines */
        *status = forget_from(self, again.step + 1, error);
    if (*status == 0)
        *status = tell(self, &again, error);
    return true;
}

/* A checkpoint that cannot be scored is told as such: it must not hold up the ones after it. */
static int report_failure(struct run *self, struct evaluation *failed, const char *why,
                          struct error *error) {
    sign(self, failed);
    snprintf(failed->error, sizeof failed->error, "%s", why);
    log_warning(self->log, "step %" PRIu64 " cannot be scored: %s", failed->step, why);
    return record(self, failed, error);
}

static int refuse_offer(const struct run *self, const Digitsum__Header *header, const char *why) {
    log_warning(self->log, "checkpoint of step %" PRIu64 " refused: %s", header->step, why);
    return 0;
}

static int handle_offer(struct run *self, const Digitsum__Header *header, struct error *error) {
    uint32_t gap;
    uint64_t given_up;
    struct error bad;
    int status = 0;
    if (follow_check(header, &bad) != 0)
        return refuse_offer(self, header, bad.text);
    double began = clock_seconds() - header->checkpoint->seconds;
    if (self->began == 0 || began < self->began)
        self->began = began; /* the message that travelled fastest tells best */
    if (scored_before(self, header, &status, error))
        return status;
    if (follow_offer(self->follow, header, &gap, &given_up, &bad) < 0)
        return refuse_offer(self, header, bad.text);
    if (gap)
        log_warning(self->log, "gap: %u checkpoints before step %" PRIu64 " were not offered to us",
                    gap, header->step);
    if (given_up == UINT64_MAX)
        return 0;
    struct evaluation skipped = {.step = given_up};
    sign(self, &skipped);
    snprintf(skipped.error, sizeof skipped.error, "skipped: %d others wait", FOLLOW_QUEUE);
    log_warning(self->log, "gap: step %" PRIu64 " goes unscored, we are too far behind", given_up);
    return tell(self, &skipped, error);
}

/* It is reported as it would be if its bytes were broken, and the next one's turn comes. */
static int handle_gone(struct run *self, const Digitsum__Header *header, struct error *error) {
    struct evaluation gone;
    if (!follow_gone(self->follow, header->step, &gone))
        return 0;
    return report_failure(self, &gone, header->gone->reason, error);
}

static void handle_chunk(struct run *self, const struct wire_message *message) {
    struct error bad;
    uint64_t held;
    const Digitsum__Header *header = message->header;
    if (follow_piece(self->follow, header->step, header->fetch->offset, wire_frame(message, 0),
                     header->fetch->size, &bad) != 0 &&
        log_limit_pass(&self->bad, clock_now(), 60 * CLOCK_SECOND, &held))
        log_warning(self->log, "chunk dropped: %s (%" PRIu64 " more)", bad.text, held);
}

/* 0 go on, -1 end (ERROR_CLOSED: in good order). */
static int hear(struct run *self, struct error *error) {
    struct wire_message message;
    int status;
    while ((status = peer_receive(self->peer, &message, error)) == 1) {
        const struct peer_run *run = peer_run(self->peer);
        if (run && run->generation != self->generation) {
            self->generation = run->generation;
            self->began = 0;
            if (self->file && self->run != run->run)
                report_doubt(self->file, run->made);
            self->run = run->run;
            follow_reset(self->follow);
            judge_drop(self->judge);
        }
        int handled = 0;
        if (message.header->type == DIGITSUM__TYPE__PEERS)
            test_split_follow(self->split, message.header->peers);
        else if (message.header->type == DIGITSUM__TYPE__CHECKPOINT)
            handled = handle_offer(self, message.header, error);
        else if (message.header->type == DIGITSUM__TYPE__CHUNK)
            handle_chunk(self, &message);
        else if (message.header->type == DIGITSUM__TYPE__GONE)
            handled = handle_gone(self, message.header, error);
        wire_release(&message);
        if (handled != 0)
            return -1;
    }
    return status;
}

/* --- working ---------------------------------------------------------------------------------- */

static int fetch(struct run *self, struct error *error) {
    uint64_t step, offset;
    uint32_t size;
    while (peer_run(self->peer) &&
           follow_request(self->follow, clock_now(), &step, &offset, &size)) {
        Digitsum__Fetch body = DIGITSUM__FETCH__INIT;
        body.offset = offset;
        body.size = size;
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.type = DIGITSUM__TYPE__FETCH;
        header.step = step;
        header.fetch = &body;
        if (peer_send(self->peer, &header, error) < 0)
            return -1;
    }
    return 0;
}

static int give_up(struct run *self, struct evaluation *failed, const char *why,
                   struct error *error) {
    judge_drop(self->judge);
    follow_done(self->follow);
    return report_failure(self, failed, why, error);
}

static int cannot_judge(struct run *self, struct evaluation *failed, const struct error *bad,
                        struct error *error) {
    if (!judge_is_short(bad))
        return give_up(self, failed, bad->text, error);
    *error = *bad;
    return error_prefix(error, "step %" PRIu64 " is not scored", failed->step);
}

/* One piece of scoring. 1: there is more to do at once, 0: wait for messages. */
static int judge_one_piece(struct run *self, struct error *error) {
    struct evaluation evaluation;
    const uint8_t *bytes;
    size_t size;
    struct error bad;
    const struct peer_run *run = peer_run(self->peer);
    int status = follow_take(self->follow, &evaluation, &bytes, &size, &bad);
    if (status < 0)
        return cannot_judge(self, &evaluation, &bad, error);
    if (status == 0 || !run || !test_split_whole(self->split))
        return 0;
    if (!judge_busy(self->judge) &&
        judge_begin(self->judge, bytes, size, evaluation.step, self->split, run->seed, &bad) != 0)
        return cannot_judge(self, &evaluation, &bad, error);
    status = judge_next(self->judge, &evaluation, &bad);
    if (status == 1)
        return 1;
    if (status < 0)
        return cannot_judge(self, &evaluation, &bad, error);
    sign(self, &evaluation);
    follow_done(self->follow);
    return record(self, &evaluation, error) == 0 ? 1 : -1;
}

int run_turn(struct run *self, long most, struct error *error) {
    void *split = test_split_socket(self->split);
    zmq_pollitem_t items[] = {{peer_socket(self->peer), 0, ZMQ_POLLIN, 0},
                              {NULL, signals_descriptor(), ZMQ_POLLIN, 0},
                              {split, 0, ZMQ_POLLIN, 0}};
    long wait = self->more ? 0 : peer_wait(self->peer), due = test_split_wait(self->split);
    wait = due < wait ? due : wait;
    if (zmq_poll(items, split ? 3 : 2, wait < most ? wait : most) < 0 && errno != EINTR)
        return error_set(error, ERROR_IO, "waiting for messages: %s", zmq_strerror(errno));
    if (hear(self, error) != 0 || test_split_work(self->split, clock_now(), error) != 0 ||
        fetch(self, error) != 0)
        return -1;
    int status = judge_one_piece(self, error);
    self->more = status == 1;
    return status < 0 ? -1 : 0;
}

int run_loop(struct run *self, struct error *error) {
    while (!signals_stop())
        if (run_turn(self, LONG_MAX, error) != 0)
            return error->code == ERROR_CLOSED ? 0 : -1;
    return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
}
