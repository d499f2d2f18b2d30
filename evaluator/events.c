/* Event records as TensorFlow frames them (TFRecord): length, its masked CRC-32C, the message, its
 * masked CRC-32C; all numbers little-endian. */
#include "evaluator/events.h"

#include "common/crc32c.h"
#include "evaluator/file.h"
#include "proto/tensorboard.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, CRC_BYTES = 4, NAMES = 100 };

struct events {
    int descriptor; /* -1 while it is not open */
    char *path;
    uint64_t end; /* bytes in the file */
};

static void put_little_endian(uint8_t *bytes, uint64_t value, int size) {
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* TensorFlow masks a CRC that is stored beside its data, because the CRC of data that holds its
 * own CRC is a poor check. */
static uint32_t masked_crc(const uint8_t *bytes, size_t size) {
    uint32_t crc = crc32c(0, bytes, size);
    return ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);
}

static int append_event(struct events *self, const Tensorboard__Event *event, struct error *error) {
    size_t size = tensorboard__event__get_packed_size(event);
    size_t whole = LENGTH_BYTES + CRC_BYTES + size + CRC_BYTES;
    uint8_t *record = malloc(whole);
    if (!record)
        return error_set(error, ERROR_MEMORY, "%s: no memory for an event of %zu bytes", self->path,
                         size);
    uint8_t *message = record + LENGTH_BYTES + CRC_BYTES;
    put_little_endian(record, size, LENGTH_BYTES);
    put_little_endian(record + LENGTH_BYTES, masked_crc(record, LENGTH_BYTES), CRC_BYTES);
    tensorboard__event__pack(event, message);
    put_little_endian(message + size, masked_crc(message, size), CRC_BYTES);
    int result = file_append(self->descriptor, self->path, record, whole, &self->end, error);
    free(record);
    return result;
}

/* A name that nobody has yet: after a quick restart in a container, where the process id is always
 * the same, only the last number differs. */
static int create_file(struct events *self, const char *folder, double wall_time,
                       struct error *error) {
    char host[64] = "localhost";
    if (gethostname(host, sizeof host - 1))
        strcpy(host, "localhost");
    for (int n = 0; n < NAMES; n++) {
        free(self->path);
        if (asprintf(&self->path, "%s/events.out.tfevents.%010" PRId64 ".%s.%d.%d", folder,
                     (int64_t)wall_time, host, (int)getpid(), n) < 0) {
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

struct events *events_open(const char *folder, double wall_time, struct error *error) {
    struct events *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "%s: no memory for an event file", folder);
        return NULL;
    }
    self->descriptor = -1;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = wall_time;
    event.what_case = TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    event.file_version = (char *)"brain.Event:2";
    if (create_file(self, folder, wall_time, error))
        goto failed;
    if (append_event(self, &event, error) || file_sync_folder(self->path, error)) {
        unlink(self->path);
        goto failed;
    }
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
    const struct {
        const char *tag;
        double value;
    } scalars[] = {{"digit/accuracy", evaluation_digit_accuracy(evaluation)},
                   {"sum/accuracy", evaluation_sum_accuracy(evaluation)},
                   {"loss", evaluation->loss}};
    enum { SCALARS = sizeof scalars / sizeof *scalars };
    Tensorboard__Summary__Value values[SCALARS];
    Tensorboard__Summary__Value *pointers[SCALARS];
    for (int i = 0; i < SCALARS; i++) {
        tensorboard__summary__value__init(&values[i]);
        values[i].tag = (char *)scalars[i].tag;
        values[i].value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        values[i].simple_value = (float)scalars[i].value;
        pointers[i] = &values[i];
    }
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    summary.n_value = SCALARS;
    summary.value = pointers;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = wall_time;
    event.step = (int64_t)evaluation->step;
    event.what_case = TENSORBOARD__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return append_event(self, &event, error);
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
