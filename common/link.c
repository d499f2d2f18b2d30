/* See link.h. */
#include "common/link.h"

#include "common/clock.h"
#include "common/resolve.h"
#include "common/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define FIRST_LOOK (500 * CLOCK_MILLISECOND)
#define FIRST_DATA_LOOK (2 * CLOCK_SECOND)
#define LOOK_EVERY (3 * CLOCK_SECOND)
#define LOOK_LATER (10 * CLOCK_SECOND) /* when it was not there for a minute */
#define NAME_EVERY (30 * CLOCK_SECOND) /* of a good connection: its name may lead elsewhere now */
#define NEVER INT64_MAX

enum { TICK_MS = 20, WAIT_MOST_MS = 60000, FIRST_SAID = 3 };

struct link {
    void *socket; /* borrowed; NULL: the address alone is wanted */
    const struct log *log;
    char address[ENDPOINT_MAX], who[ENDPOINT_MAX];
    bool answers, named;
    const char *wanted;           /* type of the other side's socket */
    char connected[ENDPOINT_MAX]; /* "": not yet */
    char reason[REACH_REASON];
    struct reach_pool *pool;
    struct reach *reach; /* a look under way, or NULL */
    bool sure;           /* that look tries a connection */
    bool reached, resting;
    int64_t since, next_look; /* since: when it began to be out of reach */
    int said;                 /* lines about that */
};

/* --- the connection --------------------------------------------------------------------------- */

static const char *counterpart(void *socket) {
    int type = ZMQ_DEALER;
    size_t size = sizeof type;
    if (socket)
        zmq_getsockopt(socket, ZMQ_TYPE, &type, &size);
    return type == ZMQ_PULL ? "PUSH" : type == ZMQ_PUSH ? "PULL" : "ROUTER";
}

static int attach(struct link *self, const char *address, struct error *error) {
    if (self->socket && zmq_connect(self->socket, address) != 0)
        return error_set(error, ERROR_IO, "cannot connect to %s: %s", address, zmq_strerror(errno));
    snprintf(self->connected, sizeof self->connected, "%s", address);
    return 0;
}

static void detach(struct link *self) {
    if (self->socket && self->connected[0])
        zmq_disconnect(self->socket, self->connected);
    self->connected[0] = '\0';
}

struct link *link_create(const struct link_spec *spec, struct error *error) {
    if (endpoint_check(spec->address, false, error) != 0)
        return NULL;
    struct link *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory to connect to %s", spec->address);
        return NULL;
    }
    int64_t now = clock_now();
    self->socket = spec->socket;
    self->log = spec->log;
    self->pool = spec->pool;
    self->answers = spec->answers;
    self->wanted = counterpart(spec->socket);
    self->since = now;
    snprintf(self->address, sizeof self->address, "%s", spec->address);
    if (spec->who)
        snprintf(self->who, sizeof self->who, "%.200s at ", spec->who);
    self->named = resolve_needed(spec->address);
    self->next_look = self->named ? now : now + (spec->answers ? FIRST_LOOK : FIRST_DATA_LOOK);
    if (!self->named && attach(self, self->address, error) != 0)
        link_destroy(&self);
    return self;
}

/* --- looking ---------------------------------------------------------------------------------- */

static void look_again(struct link *self, int64_t now) {
    if (self->reached)
        self->next_look = self->named && !self->answers ? now + NAME_EVERY : NEVER;
    else if (!self->connected[0])
        self->next_look =
            now + (now - self->since < 5 * CLOCK_SECOND ? CLOCK_SECOND / 4 : CLOCK_SECOND);
    else
        self->next_look = now + (now - self->since > 60 * CLOCK_SECOND ? LOOK_LATER : LOOK_EVERY);
}

static void set_reached(struct link *self, int64_t now) {
    if (!self->reached && self->said > 0)
        log_warning(self->log, "reached %s%s after %lld s", self->who, self->address,
                    (long long)((now - self->since) / CLOCK_SECOND));
    self->reached = true;
    self->said = 0;
    self->reason[0] = '\0';
}

/* A look has found an address. True: it is another than before. */
static bool take_found(struct link *self, const char *found, int64_t now) {
    bool fresh = self->named && strcmp(found, self->connected) != 0;
    struct error error = {0};
    if (fresh) {
        detach(self);
        if (attach(self, found, &error) != 0) {
            snprintf(self->reason, sizeof self->reason, "%.*s", REACH_REASON - 1, error.text);
            return false;
        }
    }
    if (!self->sure)
        self->reason[0] = '\0';
    else if (!self->answers)
        set_reached(self, now);
    else if (!self->reached)
        snprintf(self->reason, sizeof self->reason,
                 "a ZeroMQ socket accepts connections there, but no trainer answers");
    return fresh;
}

static bool take_look(struct link *self, int64_t now) {
    char found[ENDPOINT_MAX], reason[REACH_REASON];
    bool fresh = false;
    enum reach_state state = reach_look(self->reach, found, reason);
    if (state != REACH_FOUND && !self->reached && (state == REACH_FAILED || !self->reason[0]))
        memcpy(self->reason, reason, sizeof reason);
    if (state == REACH_BUSY)
        return false;
    reach_destroy(&self->reach);
    if (state == REACH_FOUND)
        fresh = take_found(self, found, now);
    look_again(self, now);
    if (state == REACH_FOUND && !self->sure)
        self->next_look = now + FIRST_LOOK; /* whether anybody is there */
    return fresh;
}

static void start_look(struct link *self, int64_t now) {
    struct error error = {0};
    if (reach_pool_full(self->pool)) {
        self->next_look = now + CLOCK_SECOND / 4;
        return;
    }
    self->sure = self->connected[0] != '\0';
    self->reach = reach_create(self->pool, self->address, self->wanted, self->connected, &error);
    if (self->reach)
        return;
    snprintf(self->reason, sizeof self->reason, "%.*s", REACH_REASON - 1, error.text);
    self->next_look = now + LOOK_LATER;
}

/* When the next line about an unreached address is due. */
static int64_t say_at(const struct link *self) {
    static const int seconds[FIRST_SAID] = {3, 10, 30};
    int after = self->said < FIRST_SAID ? seconds[self->said] : 30 + 60 * (self->said - 2);
    return self->since + after * CLOCK_SECOND;
}

static void say(struct link *self, int64_t now) {
    if (self->reached || !self->reason[0] || now < say_at(self))
        return;
    log_warning(self->log, "cannot reach %s%s (%s); trying again", self->who, self->address,
                self->reason);
    while (say_at(self) <= now)
        self->said++;
}

bool link_tend(struct link *self) {
    int64_t now = clock_now();
    bool fresh = false;
    if (self->resting)
        return false;
    if (self->reach)
        fresh = take_look(self, now);
    else if (now >= self->next_look)
        start_look(self, now);
    say(self, now);
    return fresh;
}

long link_wait(const struct link *self) {
    int64_t now = clock_now(), due = self->next_look;
    if (self->resting)
        return WAIT_MOST_MS;
    if (self->reach)
        return self->connected[0] ? 5 * TICK_MS : TICK_MS;
    if (!self->reached && self->reason[0] && say_at(self) < due)
        due = say_at(self);
    if (due <= now)
        return 0;
    return due - now > WAIT_MOST_MS * CLOCK_MILLISECOND
               ? WAIT_MOST_MS
               : (long)((due - now) / CLOCK_MILLISECOND) + 1;
}

/* --- what its user knows ---------------------------------------------------------------------- */

void link_heard(struct link *self) {
    int64_t now = clock_now();
    if (self->reached || !self->connected[0]) /* what was under way as we renewed it */
        return;
    set_reached(self, now);
    reach_destroy(&self->reach);
    look_again(self, now);
}

void link_renew(struct link *self) {
    int64_t now = clock_now();
    struct error error = {0};
    if (self->reached) {
        self->reached = false;
        self->since = now;
        self->next_look = now + FIRST_LOOK;
    }
    detach(self);
    if (self->named)
        self->next_look = now;
    else if (attach(self, self->address, &error) != 0)
        snprintf(self->reason, sizeof self->reason, "%.*s", REACH_REASON - 1, error.text);
}

void link_rest(struct link *self) {
    reach_destroy(&self->reach);
    self->resting = true;
}

const char *link_address(const struct link *self) {
    return self->connected;
}

const char *link_reason(const struct link *self) {
    return self->reason;
}

int link_give_up(const struct link *self, long long seconds, struct error *error) {
    if (self->reason[0])
        return error_set(error, ERROR_TIMEOUT, "cannot reach %s%s (%s): gave up after %lld s",
                         self->who, self->address, self->reason, seconds);
    return error_set(error, ERROR_TIMEOUT, "no word from the trainer at %s%s for %lld s", self->who,
                     self->address, seconds);
}

void link_cut(struct link **pointer) {
    if (*pointer)
        detach(*pointer);
    link_destroy(pointer);
}

void link_destroy(struct link **pointer) {
    struct link *self = *pointer;
    if (!self)
        return;
    reach_destroy(&self->reach);
    free(self);
    *pointer = NULL;
}

int link_find(const char *join, int patience, const struct log *log,
              char found[static ENDPOINT_MAX], struct error *error) {
    struct link *self =
        link_create(&(struct link_spec){.address = join, .answers = true, .log = log}, error);
    if (!self)
        return -1;
    int status = -1;
    while (status != 0) {
        char host[ENDPOINT_MAX];
        struct error unroutable = {0};
        snprintf(found, ENDPOINT_MAX, "%s", self->connected);
        if (found[0] &&
            (strncmp(found, "tcp://", 6) != 0 || endpoint_facing(found, host, &unroutable) == 0)) {
            if (self->sure) /* it was seen to answer */
                link_heard(self);
            status = 0;
            continue;
        }
        if (signals_stop()) {
            error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
            break;
        }
        if (clock_now() - self->since > patience * CLOCK_SECOND) {
            link_give_up(self, patience, error);
            break;
        }
        link_tend(self);
        long wait = link_wait(self);
        struct pollfd item = {.fd = signals_descriptor(), .events = POLLIN};
        poll(&item, 1, (int)(wait < 250 ? wait : 250));
    }
    link_destroy(&self);
    return status;
}
