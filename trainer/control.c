/* The trainer's side of the control dialogue (proto/digitsum.proto): who joins, what they are told,
 * what they ask for. */
#include "trainer/coordinator_private.h"

#include <inttypes.h>
#include <string.h>

enum { MESSAGES_AT_ONCE = 256, HEARTBEAT_MS = 500, VISITS = 30 };

static bool send_to(struct coordinator *self, const struct wire_address *to,
                    Digitsum__Header *header) {
    struct error error;
    header->run = self->run;
    bool sent = wire_send(self->control, to, header, NULL, 0, &error) == 1;
    if (!sent)
        log_debug(self->log, "%s was not sent: the peer is gone or slow",
                  wire_type_name(header->type));
    return sent;
}

static void refuse(struct coordinator *self, const struct wire_address *to, const char *reason) {
    Digitsum__Refusal body = DIGITSUM__REFUSAL__INIT;
    body.reason = (char *)reason;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__REFUSED;
    header.refused = &body;
    send_to(self, to, &header);
}

/* --- what members are told -------------------------------------------------------------------- */

static void welcome(struct coordinator *self, const struct member *member) {
    const struct settings *settings = self->settings.settings;
    Digitsum__Warps warps;
    const struct warps limits = settings_warps(settings);
    warps_to_message(&limits, &warps);
    Digitsum__Welcome body = DIGITSUM__WELCOME__INIT;
    body.run = self->run;
    body.seed = (uint64_t)settings->seed;
    body.batch = (uint32_t)settings->batch;
    body.warps = &warps;
    body.pairs_endpoint = self->data_address;
    body.heartbeat_ms = HEARTBEAT_MS;
    body.silence_ms = MEMBERS_SILENCE_MS;
    body.steps = self->steps;
    int kept = publisher_count(self->publisher);
    body.made = kept > 0 ? publisher_at(self->publisher, kept - 1)->saved.step : 0;
    Digitsum__Dataset dataset;
    if (members_describe(self->members, &dataset))
        body.dataset = &dataset;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__WELCOME;
    header.welcome = &body;
    send_to(self, &member->address, &header);
}

/* Which role's endpoints a role needs, and which of them. */
static bool needed_by(Digitsum__Role role, Digitsum__Role *of, int *which) {
    switch (role) {
    case DIGITSUM__ROLE__AUGMENT:
        *of = DIGITSUM__ROLE__LOADER, *which = 0; /* samples */
        return true;
    case DIGITSUM__ROLE__EVALUATOR:
        *of = DIGITSUM__ROLE__LOADER, *which = 1; /* the test split */
        return true;
    default:
        return false;
    }
}

static void send_peers(struct coordinator *self, const struct member *member) {
    enum { MOST = 128 };
    Digitsum__Endpoint list[MOST], *pointers[MOST];
    Digitsum__Role of;
    int which, i = 0;
    if (!needed_by(member->role, &of, &which))
        return;
    Digitsum__Peers body = DIGITSUM__PEERS__INIT;
    body.endpoints = pointers;
    body.pairs_renewals = self->pairs_renewals;
    for (struct member *other;
         body.n_endpoints < MOST && (other = members_next(self->members, &i));) {
        if (other->role != of)
            continue;
        Digitsum__Endpoint *endpoint = &list[body.n_endpoints];
        *endpoint = (Digitsum__Endpoint)DIGITSUM__ENDPOINT__INIT;
        endpoint->role = of;
        endpoint->name = other->name;
        endpoint->address = other->endpoints[which];
        endpoint->renewals = other->renewals;
        pointers[body.n_endpoints++] = endpoint;
    }
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__PEERS;
    header.peers = &body;
    send_to(self, &member->address, &header);
}

void control_announce(struct coordinator *self, Digitsum__Role role) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));) {
        Digitsum__Role of;
        int which;
        if (needed_by(member->role, &of, &which) && of == role)
            send_peers(self, member);
    }
}

static bool send_checkpoint(struct coordinator *self, const struct member *member,
                            const struct published *entry) {
    uint8_t weights[SHA256_SIZE];
    Digitsum__CheckpointInfo body = DIGITSUM__CHECKPOINT_INFO__INIT;
    body.size = entry->saved.size;
    body.sha256 = (ProtobufCBinaryData){SHA256_SIZE, (uint8_t *)entry->saved.sha256};
    if (sha256_parse(entry->saved.weights, weights))
        body.weights = (ProtobufCBinaryData){SHA256_SIZE, weights};
    body.epoch = entry->saved.epoch;
    body.samples = entry->saved.samples;
    body.epoch_end = entry->saved.epoch_end;
    body.final = entry->saved.final;
    body.sequence = entry->sequence;
    body.seconds = clock_seconds() - self->settings.began;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__CHECKPOINT;
    header.step = entry->saved.step;
    header.checkpoint = &body;
    return send_to(self, &member->address, &header);
}

/* As many as the evaluator may have before it, in their order; one that is not sent, or no longer
 * fits, is offered after the next report, or by control_offer_again. */
static void offer_to(struct coordinator *self, const struct member *member) {
    const struct published *entry;
    while ((entry = publisher_to_offer(self->publisher, member->evaluator)) &&
           send_checkpoint(self, member, entry))
        publisher_offered(self->publisher, member->evaluator, entry->saved.step);
}

void control_offer(struct coordinator *self) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        if (member->evaluator >= 0)
            offer_to(self, member);
}

void control_offer_again(struct coordinator *self) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        if (member->evaluator >= 0) {
            publisher_offer_again(self->publisher, member->evaluator);
            offer_to(self, member);
        }
}

uint32_t control_evaluators(const struct coordinator *self) {
    uint32_t bits = 0;
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        if (member->evaluator >= 0)
            bits |= UINT32_C(1) << member->evaluator;
    return bits;
}

/* Tells one peer, joined or not, that the run is over. */
static void send_stop(struct coordinator *self, const struct wire_address *to) {
    Digitsum__Stop body = DIGITSUM__STOP__INIT;
    body.reason = (char *)self->over.reason;
    body.failed = self->over.failed;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__STOP;
    header.stop = &body;
    send_to(self, to, &header);
}

void control_tell_watchers(struct coordinator *self, Digitsum__Header *header) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        if (member->role == DIGITSUM__ROLE__WATCH)
            send_to(self, &member->address, header);
}

void control_stop(struct coordinator *self) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        send_stop(self, &member->address);
}

/* Whether a line about something that this peer asked for or did wrong may be written. */
static bool may_complain(struct coordinator *self, const char *peer, uint64_t *held) {
    return log_limits_pass(&self->bad_control, peer, clock_now(), LOG_PERIOD, 1, held);
}

/* The same for one that comes or goes: whoever restarts its workers wants to see it, but one that
 * does so all the time must not fill the log. */
static bool may_mention(struct coordinator *self, const char *peer) {
    uint64_t held;
    return log_limits_pass(&self->visits, peer, clock_now(), LOG_PERIOD, VISITS, &held);
}

/* --- coming and going ------------------------------------------------------------------------- */

/* Frees what a member (or what it was before it restarted) held. */
static void forget(struct coordinator *self, struct member *member) {
    if (member->loader >= 0)
        ledger_leave(self->ledger, member->loader);
    if (member->evaluator >= 0)
        publisher_leave(self->publisher, member->evaluator);
    member->loader = member->evaluator = -1;
}

static void depart(struct coordinator *self, struct member *member, const char *how) {
    Digitsum__Role role = member->role;
    if (may_mention(self, member->peer))
        log_info(self->log, "%s %s %s", wire_role_name(role), member->name, how);
    forget(self, member);
    members_leave(self->members, member);
    control_announce(self, role);
}

static int settle_loader(struct coordinator *self, struct member *member, struct error *error) {
    if (!self->ledger && flow_begin(self, error) != 0)
        return -1;
    member->loader = ledger_join(self->ledger);
    return 0;
}

static int settle_evaluator(struct coordinator *self, struct member *member) {
    uint32_t taken = control_evaluators(self);
    int bit = 0;
    while (bit < MEMBERS_EVALUATORS && (taken >> bit & 1))
        bit++;
    if (bit == MEMBERS_EVALUATORS)
        return -1;
    member->evaluator = bit;
    publisher_join(self->publisher, bit, member->records);
    return 0;
}

/* Several loaders of one dataset say the same: coordinator_warn keeps it once, and bounded. */
static void take_notices(struct coordinator *self, const Digitsum__Hello *hello) {
    for (size_t i = 0; i < hello->n_notices && i < NOTICES_MAX; i++)
        if (hello->notices[i][0])
            coordinator_warn(self, hello->notices[i]);
}

static int handle_hello(struct coordinator *self, const struct wire_message *message,
                        struct error *error) {
    const Digitsum__Hello *hello = message->header->hello;
    struct member replaced;
    struct error reason;
    struct member *member =
        members_join(self->members, &message->from, hello, clock_now(), &replaced, &reason);
    if (!member) {
        if (may_mention(self, message->peer))
            log_warning(self->log, "refused %s %.63s of %s: %s", wire_role_name(hello->role),
                        hello->name, message->peer, reason.text);
        refuse(self, &message->from, reason.text);
        return 0;
    }
    memcpy(member->peer, message->peer, sizeof member->peer);
    if (replaced.present)
        forget(self, &replaced);
    if (member->role == DIGITSUM__ROLE__LOADER && settle_loader(self, member, error) != 0)
        return -1;
    if ((member->role == DIGITSUM__ROLE__LOADER && member->loader < 0) ||
        (member->role == DIGITSUM__ROLE__EVALUATOR && settle_evaluator(self, member) != 0)) {
        refuse(self, &member->address, "too many peers of this role");
        members_leave(self->members, member);
        return 0;
    }
    if (may_mention(self, member->peer))
        log_info(self->log, "%s %s %s", wire_role_name(member->role), member->name,
                 replaced.present ? "joined again" : "joined");
    if (member->role == DIGITSUM__ROLE__LOADER)
        take_notices(self, hello);
    welcome(self, member);
    send_peers(self, member);
    control_announce(self, member->role);
    if (member->role == DIGITSUM__ROLE__EVALUATOR)
        offer_to(self, member);
    return 0;
}

void control_forgive(struct coordinator *self, int64_t span) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        member->heard += span;
}

void control_check_silence(struct coordinator *self, int64_t now) {
    int i = 0;
    for (struct member *member; (member = members_next(self->members, &i));)
        if (members_silent(member, now))
            depart(self, member, "is silent: removed");
}

/* --- what members ask ------------------------------------------------------------------------- */

/* It would be asked for again and again otherwise, and nothing after it would be scored. */
static void send_gone(struct coordinator *self, const struct member *member, uint64_t step,
                      const char *reason) {
    Digitsum__Gone body = DIGITSUM__GONE__INIT;
    body.reason = (char *)reason;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.type = DIGITSUM__TYPE__GONE;
    header.step = step;
    header.gone = &body;
    send_to(self, &member->address, &header);
}

static void handle_fetch(struct coordinator *self, struct member *member,
                         const Digitsum__Header *asked) {
    struct error error;
    zmq_msg_t chunk;
    uint64_t held;
    uint32_t size = asked->fetch->size;
    if (size < 1 || size > WIRE_CHUNK_MAX || zmq_msg_init_size(&chunk, size) != 0)
        return;
    if (publisher_read(self->publisher, asked->step, asked->fetch->offset, size,
                       zmq_msg_data(&chunk), &error) != 0) {
        if (may_complain(self, member->peer, &held))
            log_warning(self->log, "%s asked for %s (%" PRIu64 " more)", member->name, error.text,
                        held);
        if (error.code == ERROR_CORRUPT)
            send_gone(self, member, asked->step, error.text);
        zmq_msg_close(&chunk);
        return;
    }
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.run = self->run;
    header.type = DIGITSUM__TYPE__CHUNK;
    header.step = asked->step;
    header.fetch = asked->fetch;
    /* What does not get through is asked for again. */
    if (wire_send(self->control, &member->address, &header, &chunk, 1, &error) != 1)
        zmq_msg_close(&chunk);
}

static bool reaches(const struct goal *goal, struct scored scored) {
    return 100.0 * scored.digit >= goal->digit && 100.0 * scored.sum >= goal->sum;
}

/* What the first report of a good enough checkpoint sets off. */
static void check_goal(struct coordinator *self, struct scored scored) {
    static const struct goal usual = {99.0, 98.9};
    const struct goal *asked = &self->settings.goal;
    struct summary *summary = &self->summary;
    bool any = asked->digit > 0 || asked->sum > 0;
    if (isnan(summary->seconds_to_target) && reaches(any ? asked : &usual, scored))
        summary->seconds_to_target = clock_seconds() - self->settings.began;
    if (any && reaches(asked, scored) && !self->goal_reached) {
        log_info(self->log, "the goal is reached at step %" PRIu64, scored.step);
        self->goal_reached = true;
    }
}

static void handle_report(struct coordinator *self, struct member *member,
                          const Digitsum__Header *header) {
    struct evaluation evaluation;
    struct error bad;
    bool good =
        evaluation_from_message(&evaluation, header->report, header->step, member->name, &bad) == 0;
    const char *failure = good ? evaluation.error : bad.text;
    if (member->evaluator < 0)
        return;
    Digitsum__Header passed = DIGITSUM__HEADER__INIT;
    passed.type = DIGITSUM__TYPE__REPORT;
    passed.step = header->step;
    passed.report = header->report;
    control_tell_watchers(self, &passed);
    if (!publisher_report(self->publisher, member->evaluator, header->step, member->records,
                          failure[0]))
        return;
    self->drain_left = self->settings.settings->drain * CLOCK_SECOND;
    offer_to(self, member);
    if (failure[0]) {
        log_warning(self->log, "evaluator %s could not score step %" PRIu64 ": %.200s",
                    member->name, header->step, failure);
        return;
    }
    struct scored scored = scored_of(&evaluation);
    log_info(self->log,
             "step %" PRIu64 " scored by %s: digit %.2f %%, sum %.2f %% of %u, at %.2f s",
             header->step, member->name, 100 * scored.digit, 100 * scored.sum, evaluation.count,
             clock_seconds() - self->settings.began);
    scoring_take(self, scored);
    check_goal(self, scored);
    /* Where one keeps evaluations.jsonl, its figures are what best.safetensors goes by. */
    if (member->records || publisher_hears_all(self->publisher))
        best_consider(&self->best, self->publisher, scored);
}

static int handle(struct coordinator *self, const struct wire_message *message,
                  struct error *error) {
    const Digitsum__Header *header = message->header;
    if (header->type == DIGITSUM__TYPE__HELLO && self->over.reason) {
        send_stop(self, &message->from);
        return 0;
    }
    if (header->type == DIGITSUM__TYPE__HELLO)
        return handle_hello(self, message, error);
    struct member *member = members_find(self->members, &message->from);
    Digitsum__Header answer = DIGITSUM__HEADER__INIT;
    if (!member) {
        answer.type = DIGITSUM__TYPE__UNKNOWN;
        if (header->type != DIGITSUM__TYPE__GOODBYE)
            send_to(self, &message->from, &answer);
        return 0;
    }
    member->heard = clock_now();
    switch (header->type) {
    case DIGITSUM__TYPE__HEARTBEAT:
        answer.type = DIGITSUM__TYPE__HEARTBEAT;
        send_to(self, &member->address, &answer);
        break;
    case DIGITSUM__TYPE__GOODBYE:
        depart(self, member, "left");
        break;
    case DIGITSUM__TYPE__FETCH:
        handle_fetch(self, member, header);
        break;
    case DIGITSUM__TYPE__REPORT:
        handle_report(self, member, header);
        break;
    default:
        log_debug(self->log, "%s from %s: not for a trainer", wire_type_name(header->type),
                  member->name);
    }
    return 0;
}

/* A message that failed its checks. Its sender may be a worker of an earlier run, which should join
 * anew, or speak another protocol, which it should hear; or it is noise. */
static void handle_bad(struct coordinator *self, const struct wire_message *message,
                       const struct error *bad) {
    uint64_t held;
    const struct wire_address *from = &message->from;
    const struct member *member = from->size ? members_find(self->members, from) : NULL;
    self->rejected++;
    if (may_complain(self, message->peer, &held))
        log_warning(self->log, "bad message from %s dropped: %s (%" PRIu64 " more)",
                    member ? member->name : message->peer, bad->text, held);
    if (!from->size)
        return;
    /* A worker whose message was damaged joins again: it may have been a report that is missed.
     * Once a second, so that babble is not answered word for word. */
    int64_t now = clock_now();
    if (member && now - self->told_unknown < CLOCK_SECOND)
        return;
    if (member)
        self->told_unknown = now;
    Digitsum__Header answer = DIGITSUM__HEADER__INIT;
    answer.type = DIGITSUM__TYPE__UNKNOWN;
    if (bad->code == ERROR_UNSUPPORTED)
        refuse(self, from, bad->text);
    else
        send_to(self, from, &answer);
}

int control_receive(struct coordinator *self, struct error *error) {
    bool rest = !rest_over(&self->control_rest, clock_now());
    for (int i = 0; i < MESSAGES_AT_ONCE && !rest; i++) {
        struct wire_message message;
        struct error bad;
        int status = wire_receive(self->control, true, self->run, &message, &bad);
        if (status == 0)
            return 0;
        if (status < 0 && bad.code == ERROR_IO) {
            *error = bad;
            return -1;
        }
        if (status < 0) {
            handle_bad(self, &message, &bad);
            rest = rest_note(&self->control_rest, false);
            continue;
        }
        rest_note(&self->control_rest, true);
        status = handle(self, &message, error);
        wire_release(&message);
        if (status != 0)
            return -1;
    }
    return 0;
}
