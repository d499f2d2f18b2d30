/* See events.h. */
#include "evaluator/events.h"
#include "common/file.h"

#include "evaluator/event_record.h"
#include "evaluator/old_events.h"
#include "proto/tensorboard.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 100 };

static const double tick = 1e-6; /* seconds: two events are so far apart, however the clock jumps */

struct events {
    int descriptor; /* -1 while it is not open */
    char *path;
    uint64_t end;     /* bytes in the file */
    double wall_time; /* of the newest event in the folder */
};

/* Gives the event a time after that of the one before, and appends it. */
static int append_event(struct events *self, Tensorboard__Event *event, double wall_time,
                        struct error *error) {
    event->wall_time = wall_time > self->wall_time + tick ? wall_time : self->wall_time + tick;
    size_t size = tensorboard__event__get_packed_size(event);
    size_t whole = EVENT_RECORD_HEAD + size + EVENT_RECORD_TAIL;
    uint8_t *record = malloc(whole);
    if (!record)
        return error_set(error, ERROR_MEMORY, "%s: no memory for an event of %zu bytes", self->path,
                         size);
    tensorboard__event__pack(event, record + EVENT_RECORD_HEAD);
    event_record_frame(record, size);
    int result = file_append(self->descriptor, self->path, record, whole, &self->end, error);
    if (result == 0)
        self->wall_time = event->wall_time;
    free(record);
    return result;
}

/* A name that nobody has yet: after a quick restart in a container, where the process id is always
 * the same, only the last number differs. */
static int create_file(struct events *self, const char *folder, int64_t seconds,
                       struct error *error) {
    char host[64] = "localhost";
    if (gethostname(host, sizeof host - 1))
        strcpy(host, "localhost");
    for (int n = 0; n < NAMES; n++) {
        free(self->path);
        if (asprintf(&self->path, "%s/events.out.tfevents.%010" PRId64 ".%s.%d.%d", folder, seconds,
                     host, (int)getpid(), n) < 0) {
            self->path = NULL;
            return error_set(error, ERROR_MEMORY, "%s: no memory for a file name", folder);
        }
        self->descriptor = open(self->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (self->descriptor >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return error_set_errno(error, "%s: cannot create", self->path);
}

/* The first two records of a file: its version, and that a session starts, whose points are of
 * later steps than those that count so far. */
static int begin_file(struct events *self, uint64_t step, double wall_time, struct error *error) {
    Tensorboard__Event version = TENSORBOARD__EVENT__INIT, start = TENSORBOARD__EVENT__INIT;
    Tensorboard__SessionLog log = TENSORBOARD__SESSION_LOG__INIT;
    version.what_case = TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    version.file_version = (char *)"brain.Event:2";
    log.status = TENSORBOARD__SESSION_LOG__STATUS__START;
    start.what_case = TENSORBOARD__EVENT__WHAT_SESSION_LOG;
    start.session_log = &log;
    start.step = (int64_t)step;
    if (append_event(self, &version, wall_time, error) == 0 &&
        append_event(self, &start, wall_time, error) == 0 &&
        file_sync_folder(self->path, error) == 0)
        return 0;
    unlink(self->path);
    return -1;
}

struct events *events_open(const char *folder, double wall_time, const struct evaluation *list,
                           size_t count, struct error *error) {
    struct old_events old;
    struct events *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "%s: no memory for an event file", folder);
        return NULL;
    }
    self->descriptor = -1;
    if (old_events_clean(folder, list, count, &old, error) != 0)
        goto failed;
    self->wall_time = old.wall_time;
    /* By its name it comes after all that are there, however quick the restart. */
    int64_t seconds = (int64_t)wall_time > old.seconds ? (int64_t)wall_time : old.seconds + 1;
    if (create_file(self, folder, seconds, error) == 0 &&
        begin_file(self, count > 0 ? list[count - 1].step + 1 : 0, wall_time, error) == 0)
        return self;
failed:
    events_close(&self);
    return NULL;
}

const char *events_path(const struct events *self) {
    return self->path;
}

int events_append(struct events *self, const struct evaluation *evaluation, double wall_time,
                  struct error *error) {
    assert(!evaluation->error[0]);
    Tensorboard__Summary__Value values[EVALUATION_SCALARS];
    Tensorboard__Summary__Value *pointers[EVALUATION_SCALARS];
    const char *tag;
    double scalar;
    int count = 0;
    for (; (tag = evaluation_scalar(evaluation, count, &scalar)); count++) {
        assert(count < EVALUATION_SCALARS);
        tensorboard__summary__value__init(&values[count]);
        values[count].tag = (char *)tag;
        values[count].value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        values[count].simple_value = (float)scalar;
        pointers[count] = &values[count];
    }
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    summary.n_value = (size_t)count;
    summary.value = pointers;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.step = (int64_t)evaluation->step;
    event.what_case = TENSORBOARD__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return append_event(self, &event, wall_time, error);
}

void events_close(struct events **self) {
    if (!self || !*self)
        return;
    if ((*self)->descriptor >= 0)
        close((*self)->descriptor);
    free((*self)->path);
    free(*self);
    *self = NULL;
}
