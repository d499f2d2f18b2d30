/* See reach.h. */
#include "common/reach.h"

#include "common/clock.h"
#include "common/resolve.h"
#include "common/signals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GREETING = 64, HEARD_MAX = 256, WHY = 128, OWN_TICK_MS = 5 };

#define HEAD_START (250 * CLOCK_MILLISECOND) /* RFC 8305, 5: Connection Attempt Delay */
#define LOOK_MAX (2250 * CLOCK_MILLISECOND)
#define LOOKUP_TIME (20 * CLOCK_SECOND) /* the resolver itself gives up sooner, as a rule */

/* Shared by its owner and the thread; the last of the two to leave frees it. */
struct reach {
    pthread_mutex_t lock;
    int users;
    enum reach_state state;
    char found[ENDPOINT_MAX], reason[REACH_REASON];
    struct reach_pool *pool; /* the thread counts in it; may be NULL */
    /* Below: set before the thread starts, then read alone. */
    char address[ENDPOINT_MAX], current[ENDPOINT_MAX], wanted[16];
};

/* Shared by its owner and the threads that count in it. */
struct reach_pool {
    pthread_mutex_t lock;
    int users, most; /* users: the owner and the threads */
};

/* A connection that is tried. */
struct attempt {
    const struct resolved_address *address;
    enum { WAITING, CONNECTING, LISTENING, FAILED, ANSWERED } state;
    int descriptor; /* -1: closed */
    char heard[HEARD_MAX];
    size_t size;
    char why[WHY];
};

static void release(struct reach *self) {
    pthread_mutex_lock(&self->lock);
    bool last = --self->users == 0;
    pthread_mutex_unlock(&self->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static void leave_pool(struct reach_pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    bool last = --pool->users == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void enter_pool(struct reach_pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->users++;
    pthread_mutex_unlock(&pool->lock);
}

static void report(struct reach *self, enum reach_state state, const char *found,
                   const char *reason) {
    pthread_mutex_lock(&self->lock);
    self->state = state;
    snprintf(self->found, sizeof self->found, "%s", found);
    snprintf(self->reason, sizeof self->reason, "%.*s", REACH_REASON - 1, reason);
    pthread_mutex_unlock(&self->lock);
}

/* --- one connection --------------------------------------------------------------------------- */

static void hang_up(struct attempt *attempt) {
    if (attempt->descriptor >= 0)
        close(attempt->descriptor);
    attempt->descriptor = -1;
}

static void fail(struct attempt *attempt, const char *why) {
    hang_up(attempt);
    attempt->state = FAILED;
    snprintf(attempt->why, sizeof attempt->why, "%s", why);
}

static void fail_errno(struct attempt *attempt, int number) {
    bool ipc = attempt->address->socket.ss_family == AF_UNIX;
    if (ipc && number == ENOENT)
        fail(attempt, "there is no such socket: the run has ended or has not begun");
    else if (ipc && number == ECONNREFUSED)
        fail(attempt, "nobody listens on that socket any more: the run has ended");
    else
        fail(attempt, strerror(number));
}

/* ZMTP 3.0 with the mechanism NULL. The other side sends its part of the greeting and READY, which
 * names its type, without hearing more than this; ours never comes, so that it opens no pipe to us.
 */
static void greet(struct attempt *attempt) {
    unsigned char greeting[GREETING] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                        1,    0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    attempt->state = LISTENING;
    if (send(attempt->descriptor, greeting, sizeof greeting, MSG_NOSIGNAL) < 0)
        fail_errno(attempt, errno);
}

static void begin(struct attempt *attempt, const struct resolved_address *address) {
    attempt->address = address;
    attempt->descriptor =
        socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (attempt->descriptor < 0)
        fail_errno(attempt, errno);
    else if (connect(attempt->descriptor, (const struct sockaddr *)&address->socket,
                     address->size) == 0)
        greet(attempt);
    else if (errno == EINPROGRESS)
        attempt->state = CONNECTING;
    else
        fail_errno(attempt, errno);
}

/* What came is no greeting: its first line, as far as it can be shown. */
static void fail_stranger(struct attempt *attempt) {
    char line[48];
    size_t length = 0;
    while (length < attempt->size && length < sizeof line - 1 && attempt->heard[length] >= ' ' &&
           attempt->heard[length] <= '~') {
        line[length] = attempt->heard[length];
        length++;
    }
    line[length] = '\0';
    char why[WHY];
    snprintf(why, sizeof why,
             length > 0 ? "another program answers there: '%s'"
                        : "another program answers there, not digitsum",
             line);
    fail(attempt, why);
}

/* Looks for the type in what was heard, once it is there. */
static void judge(struct attempt *attempt, const char *wanted) {
    static const char key[] = "Socket-Type";
    char why[WHY];
    uint32_t length;
    if ((unsigned char)attempt->heard[0] != 0xff) {
        fail_stranger(attempt);
        return;
    }
    const char *end = attempt->heard + attempt->size;
    const char *place = memmem(attempt->heard, attempt->size, key, sizeof key - 1);
    if (!place || end - place < (ptrdiff_t)(sizeof key - 1 + 4)) {
        if (attempt->size == HEARD_MAX)
            fail_stranger(attempt);
        return;
    }
    place += sizeof key - 1;
    memcpy(&length, place, 4);
    length = ntohl(length);
    place += 4;
    if (length < 16 && end - place < (ptrdiff_t)length)
        return;
    if (length == strlen(wanted) && memcmp(place, wanted, length) == 0) {
        hang_up(attempt);
        attempt->state = ANSWERED;
        return;
    }
    snprintf(why, sizeof why, "a ZeroMQ %.*s socket is there, %s expected: is the port right?",
             (int)(length < 16 ? length : 0), place, wanted);
    fail(attempt, why);
}

static void listen_to(struct attempt *attempt, const char *wanted) {
    ssize_t got =
        recv(attempt->descriptor, attempt->heard + attempt->size, HEARD_MAX - attempt->size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0)
        fail_errno(attempt, errno);
    else if (got == 0)
        fail(attempt, "another program is there and closes the connection");
    else {
        attempt->size += (size_t)got;
        judge(attempt, wanted);
    }
}

static void go_on(struct attempt *attempt, const char *wanted) {
    int number = 0;
    socklen_t size = sizeof number;
    if (attempt->state == LISTENING) {
        listen_to(attempt, wanted);
        return;
    }
    if (getsockopt(attempt->descriptor, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    if (number)
        fail_errno(attempt, number);
    else
        greet(attempt);
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Waits until something happens to one of them, or for `most` ns, and follows it. */
static void wait_for(struct attempt *attempts, int count, const char *wanted, int64_t most) {
    struct pollfd items[RESOLVE_MAX];
    for (int i = 0; i < count; i++)
        items[i] = (struct pollfd){.fd = attempts[i].descriptor,
                                   .events = attempts[i].state == CONNECTING ? POLLOUT : POLLIN};
    int status = poll(items, (nfds_t)count, (int)(most / CLOCK_MILLISECOND) + 1);
    for (int i = 0; status > 0 && i < count; i++)
        if (items[i].fd >= 0 && items[i].revents)
            go_on(&attempts[i], wanted);
}

/* The one that answered, or -1 with a `why` in each. */
static int try_all(const struct resolved *resolved, const char *wanted, struct attempt *attempts) {
    int64_t now = clock_now(), end = now + LOOK_MAX, next = now;
    int begun = 0, answered = -1;
    for (; now < end && answered < 0; now = clock_now()) {
        bool open = false;
        for (int i = 0; i < begun; i++) {
            open = open || attempts[i].descriptor >= 0;
            answered = attempts[i].state == ANSWERED && answered < 0 ? i : answered;
        }
        if (answered >= 0 || (!open && begun == resolved->count))
            break;
        if (begun < resolved->count && (!open || now >= next)) {
            begin(&attempts[begun], &resolved->list[begun]);
            begun++;
            next = now + HEAD_START;
        } else {
            wait_for(attempts, begun, wanted,
                     (begun < resolved->count && next < end ? next : end) - now);
        }
    }
    for (int i = 0; i < resolved->count; i++) {
        if (i >= begun || attempts[i].state == CONNECTING || attempts[i].state == WAITING)
            fail(&attempts[i], "timed out");
        else if (attempts[i].state == LISTENING)
            fail(&attempts[i],
                 "accepts the connection but does not answer: stopped, or not digitsum");
        hang_up(&attempts[i]);
    }
    return answered;
}

/* "::1: Connection refused; 127.0.0.1: …", or the reason alone where the address says it already.
 */
static void join_reasons(const struct reach *self, const struct resolved *resolved,
                         const struct attempt *attempts, char reason[static REACH_REASON]) {
    size_t length = 0;
    if (resolved->count == 1 && !resolve_needed(self->address)) {
        snprintf(reason, REACH_REASON, "%s", attempts[0].why);
        return;
    }
    reason[0] = '\0';
    for (int i = 0; i < resolved->count && length < REACH_REASON; i++) {
        char host[ENDPOINT_MAX];
        resolve_host(&resolved->list[i], host);
        length += (size_t)snprintf(reason + length, REACH_REASON - length, "%s%s: %s",
                                   i > 0 ? "; " : "", host, attempts[i].why);
    }
}

static void put_first(struct resolved *resolved, const char *current) {
    char text[ENDPOINT_MAX];
    for (int i = 1; i < resolved->count; i++) {
        resolve_address(&resolved->list[i], text);
        if (strcmp(text, current) != 0)
            continue;
        struct resolved_address kept = resolved->list[0];
        resolved->list[0] = resolved->list[i];
        resolved->list[i] = kept;
    }
}

static void look(struct reach *self) {
    struct resolved resolved;
    struct error error = {0};
    char found[ENDPOINT_MAX], reason[REACH_REASON];
    struct attempt attempts[RESOLVE_MAX] = {0};
    bool own = !self->wanted[0];
    if ((own ? resolve_own : resolve_peers)(self->address, &resolved, &error) != 0 || own) {
        report(self, error.code == ERROR_NONE ? REACH_FOUND : REACH_FAILED, "", error.text);
        return;
    }
    report(self, REACH_BUSY, "", "no answer yet");
    for (int i = 0; i < RESOLVE_MAX; i++)
        attempts[i].descriptor = -1;
    put_first(&resolved, self->current);
    int answered = 0;
    if (self->current[0] || resolved.count > 1)
        answered = try_all(&resolved, self->wanted, attempts);
    if (answered < 0) {
        join_reasons(self, &resolved, attempts, reason);
        report(self, REACH_FAILED, "", reason);
        return;
    }
    resolve_address(&resolved.list[answered], found);
    report(self, REACH_FOUND, found, "");
}

static void *run(void *argument) {
    struct reach *self = argument;
    struct reach_pool *pool = self->pool;
    look(self);
    release(self);
    leave_pool(pool);
    return NULL;
}

/* --- its owner's side ------------------------------------------------------------------------- */

struct reach_pool *reach_pool_create(int most) {
    struct reach_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pool->most = most;
    pool->users = 1;
    return pool;
}

bool reach_pool_full(struct reach_pool *pool) {
    if (!pool)
        return false;
    pthread_mutex_lock(&pool->lock);
    bool full = pool->users > pool->most;
    pthread_mutex_unlock(&pool->lock);
    return full;
}

void reach_pool_destroy(struct reach_pool **pool) {
    leave_pool(*pool);
    *pool = NULL;
}

struct reach *reach_create(struct reach_pool *pool, const char *address, const char *wanted,
                           const char *current, struct error *error) {
    struct reach *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory to look for %s", address);
        return NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    self->users = 2;
    self->pool = pool;
    enter_pool(pool);
    snprintf(self->current, sizeof self->current, "%s", current);
    snprintf(self->address, sizeof self->address, "%s", address);
    snprintf(self->wanted, sizeof self->wanted, "%s", wanted);
    snprintf(self->reason, sizeof self->reason, "the name lookup has not answered yet");
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* signals are for the thread that waits for them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, &detached, run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (failure) {
        error_set(error, ERROR_IO, "no thread to look for %s: %s", address, strerror(failure));
        leave_pool(pool);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return NULL;
    }
    return self;
}

enum reach_state reach_look(struct reach *self, char found[static ENDPOINT_MAX],
                            char reason[static REACH_REASON]) {
    pthread_mutex_lock(&self->lock);
    enum reach_state state = self->state;
    memcpy(found, self->found, ENDPOINT_MAX);
    memcpy(reason, self->reason, REACH_REASON);
    pthread_mutex_unlock(&self->lock);
    return state;
}

void reach_destroy(struct reach **pointer) {
    if (*pointer)
        release(*pointer);
    *pointer = NULL;
}

int reach_check_own(const char *address, struct error *error) {
    char found[ENDPOINT_MAX], reason[REACH_REASON];
    struct resolved resolved;
    int64_t end = clock_now() + LOOKUP_TIME;
    enum reach_state state = REACH_BUSY;
    if (strncmp(address, "tcp://", 6) != 0)
        return 0;
    if (!resolve_needed(address))
        return resolve_own(address, &resolved, error);
    struct reach *self = reach_create(NULL, address, "", "", error);
    if (!self)
        return -1;
    while ((state = reach_look(self, found, reason)) == REACH_BUSY && !signals_stop() &&
           clock_now() < end) {
        struct pollfd item = {.fd = signals_descriptor(), .events = POLLIN};
        poll(&item, 1, OWN_TICK_MS);
    }
    reach_destroy(&self);
    if (state == REACH_FOUND)
        return 0;
    if (state == REACH_FAILED)
        return error_set(error, ERROR_INVALID, "%s", reason);
    if (signals_stop())
        return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
    return error_set(error, ERROR_TIMEOUT, "%s: the name lookup does not answer", address);
}
