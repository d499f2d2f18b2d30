/* See supervise.h. */
#include "deploy/supervise.h"

#include "common/clock.h"
#include "deploy/backoff.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const int64_t after_leaving = 2 * CLOCK_SECOND;
static const int64_t pause_time = 2 * CLOCK_SECOND;

struct child {
    struct process process;
    struct backoff backoff;
    bool essential;
    int64_t due;        /* when to start again; 0: not due */
    char *name, *log;   /* owned, as are the words of the next two */
    char **argv;        /* NULL-ended */
    char **environment; /* NULL-ended, or NULL */
};

struct supervisor {
    struct child *children;
    int count;
    bool released; /* nothing is started again */
};

struct supervisor *supervisor_create(struct error *error) {
    struct supervisor *self = calloc(1, sizeof *self);
    if (!self)
        error_set(error, ERROR_MEMORY, "no memory for the list of processes");
    return self;
}

static void free_words(char **words) {
    for (int i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static char **copy_words(const char *const *words) {
    size_t count = 0;
    while (words[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(words[i]);
        if (!copy[i]) {
            free_words(copy);
            return NULL;
        }
    }
    return copy;
}

static void child_free(struct child *child) {
    free(child->name);
    free(child->log);
    free_words(child->argv);
    free_words(child->environment);
}

static struct process_spec spec_of(const struct child *child) {
    return (struct process_spec){.name = child->name,
                                 .argv = (const char *const *)child->argv,
                                 .environment = (const char *const *)child->environment,
                                 .log = child->log};
}

int supervisor_start(struct supervisor *self, const struct process_spec *spec, bool essential,
                     struct error *error) {
    size_t size = ((size_t)self->count + 1) * sizeof *self->children;
    struct child *children = realloc(self->children, size);
    if (!children)
        return error_set(error, ERROR_MEMORY, "no memory to start %s", spec->name);
    self->children = children;
    struct child *child = &children[self->count];
    *child =
        (struct child){.essential = essential,
                       .name = strdup(spec->name),
                       .log = strdup(spec->log),
                       .argv = copy_words(spec->argv),
                       .environment = spec->environment ? copy_words(spec->environment) : NULL};
    if (!child->name || !child->log || !child->argv || (spec->environment && !child->environment)) {
        child_free(child);
        return error_set(error, ERROR_MEMORY, "no memory to start %s", spec->name);
    }
    struct process_spec own = spec_of(child);
    if (process_start(&child->process, &own, error) != 0) {
        child_free(child);
        return -1;
    }
    self->count++;
    return 0;
}

/* Whether trying again is vain: a setting that makes no sense, data that fails its checks, a
 * trainer that refuses us. Not where somebody has taken a name that is ours: a new start takes it
 * back. */
static bool is_vain(const struct supervise_event *event) {
    if (event->status == error_exit_status(ERROR_REFUSED))
        return !strstr(event->words, "has joined under the name");
    return event->status == error_exit_status(ERROR_INVALID) ||
           event->status == error_exit_status(ERROR_CORRUPT);
}

/* What the end of a worker means: fills in event->what and, where it comes back, when. */
static void judge(struct child *child, int64_t now, struct supervise_event *event) {
    if (event->status == 0) {
        event->what = SUPERVISE_LEFT;
        child->due = now + after_leaving;
        return;
    }
    event->delay = backoff_note(&child->backoff, now);
    if (event->delay < 0 || is_vain(event)) {
        event->what = SUPERVISE_GAVE_UP;
        return;
    }
    event->what = SUPERVISE_DIED;
    child->due = now + event->delay;
}

/* The child's last words, without its own name in front: who reads them is told it anyway. */
static void take_words(const struct child *child, char words[static PROCESS_WORDS]) {
    process_last_words(&child->process, child->log, words);
    const char *slash = strrchr(child->argv[0], '/'), *program = slash ? slash + 1 : child->argv[0];
    size_t length = strlen(program);
    if (strncmp(words, program, length) == 0 && strncmp(words + length, ": ", 2) == 0)
        memmove(words, words + length + 2, strlen(words + length + 2) + 1);
}

static void start_again(struct child *child, struct supervise_event *event) {
    struct error error = {0};
    struct process_spec spec = spec_of(child);
    child->due = 0;
    if (process_start(&child->process, &spec, &error) == 0) {
        event->what = SUPERVISE_STARTED;
        return;
    }
    event->what = SUPERVISE_GAVE_UP;
    event->status = error_exit_status(error.code);
    snprintf(event->words, sizeof event->words, "%.*s", PROCESS_WORDS - 1, error.text);
}

int supervisor_next(struct supervisor *self, int64_t now, struct supervise_event *event) {
    for (int i = 0; i < self->count; i++) {
        struct child *child = &self->children[i];
        *event = (struct supervise_event){.name = child->name, .log = child->log};
        if (process_reap(&child->process, &event->status)) {
            take_words(child, event->words);
            if (child->essential)
                event->what = SUPERVISE_FINISHED;
            else if (self->released)
                event->what = SUPERVISE_LEFT;
            else
                judge(child, now, event);
            return 1;
        }
        if (child->due && child->due <= now && !self->released) {
            start_again(child, event);
            return 1;
        }
    }
    return 0;
}

int64_t supervisor_wait(const struct supervisor *self, int64_t now) {
    int64_t least = -1;
    for (int i = 0; i < self->count && !self->released; i++) {
        int64_t due = self->children[i].due;
        if (!due)
            continue;
        int64_t left = due > now ? due - now : 0;
        if (least < 0 || left < least)
            least = left;
    }
    return least;
}

void supervisor_release(struct supervisor *self) {
    self->released = true;
}

void supervisor_signal_essential(const struct supervisor *self, int signal) {
    for (int i = 0; i < self->count; i++)
        if (self->children[i].essential)
            process_signal(&self->children[i].process, signal, false);
}

void supervisor_signal_all(const struct supervisor *self, int signal) {
    for (int i = 0; i < self->count; i++)
        process_signal(&self->children[i].process, signal, true);
}

/* Whoever does not stop by itself in time is stopped. */
void supervisor_pause(const struct supervisor *self) {
    int64_t until = clock_now() + pause_time;
    supervisor_signal_all(self, SIGTSTP);
    for (int i = 0; i < self->count; i++)
        if (!process_await_stop(&self->children[i].process, until))
            process_signal(&self->children[i].process, SIGSTOP, true);
}

void supervisor_go_on(const struct supervisor *self) {
    supervisor_signal_all(self, SIGCONT);
}

int supervisor_running(const struct supervisor *self) {
    int running = 0;
    for (int i = 0; i < self->count; i++)
        running += self->children[i].process.pid != 0;
    return running;
}

void supervisor_destroy(struct supervisor **pointer) {
    struct supervisor *self = *pointer;
    if (!self)
        return;
    supervisor_signal_all(self, SIGKILL);
    for (int i = 0; i < self->count; i++) {
        if (self->children[i].process.pid)
            waitpid(self->children[i].process.pid, NULL, 0);
        child_free(&self->children[i]);
    }
    free(self->children);
    free(self);
    *pointer = NULL;
}
