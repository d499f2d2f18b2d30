/* Fuzz target: an event file that an evaluator finds in a run's folder. The first byte says whether
 * the rest is a whole file, or messages with two bytes of length before each, which are framed
 * here: no fuzzer finds a CRC. What was cleaned once must be clean. */
#include "evaluator/event_record.h"
#include "evaluator/old_events.h"
#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[INPUT_FOLDER], path[128];

/* Messages into records; returns their size. */
static size_t frame_all(const uint8_t *bytes, size_t size, uint8_t *to, size_t room) {
    size_t used = 0;
    while (size >= 2) {
        size_t length = (size_t)bytes[0] | (size_t)bytes[1] << 8;
        size_t whole = EVENT_RECORD_HEAD + length + EVENT_RECORD_TAIL;
        if (length > size - 2 || whole > room - used)
            break;
        memcpy(to + used + EVENT_RECORD_HEAD, bytes + 2, length);
        event_record_frame(to + used, length);
        used += whole;
        bytes += 2 + length;
        size -= 2 + length;
    }
    return used;
}

static off_t clean(void) {
    static const struct evaluation list[] = {{.step = 100}, {.step = 200}, {.step = 300}};
    struct error error;
    struct old_events old;
    struct stat status;
    if (old_events_clean(folder, list, 3, &old, &error) != 0)
        abort();
    return stat(path, &status) == 0 ? status.st_size : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static uint8_t framed[1 << 20];
    if (!folder[0]) {
        input_folder("events", folder);
        snprintf(path, sizeof path, "%s/%s0000001000.here.1.0", folder, OLD_EVENTS_PREFIX);
    }
    if (size < 1)
        return 0;
    if (bytes[0] & 1) {
        size = frame_all(bytes + 1, size - 1, framed, sizeof framed);
        bytes = framed;
    } else {
        bytes++;
        size--;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    close(file);
    off_t left = clean();
    if (left > (off_t)size || clean() != left)
        abort();
    return 0;
}
