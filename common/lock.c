/* See lock.h. flock() rather than a record lock: it belongs to this opening of the file, so that no
 * other code that opens and closes it gives it back; on NFS the kernel makes the other kind of it.
 */
#include "common/lock.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const struct timespec between = {.tv_nsec = 20 * CLOCK_MILLISECOND};

static void write_holder(int descriptor) {
    char host[64] = "localhost", text[LOCK_HOLDER];
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "localhost");
    int size = snprintf(text, sizeof text, "process %d on %s\n", (int)getpid(), host);
    /* For people alone: a full disk does not matter. */
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, text, (size_t)size, 0) != size)
        return;
}

/* What the holder wrote; anyone may have written into the file since. */
static void read_holder(int descriptor, char holder[static LOCK_HOLDER]) {
    ssize_t size = pread(descriptor, holder, LOCK_HOLDER - 1, 0);
    holder[size > 0 ? size : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    for (char *c = holder; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    if (!holder[0])
        strcpy(holder, "another process");
}

int lock_take(struct lock *self, const char *path, int patience, struct error *error) {
    char holder[LOCK_HOLDER];
    int64_t until = clock_now() + patience * CLOCK_MILLISECOND;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (descriptor < 0)
        return error_set_errno(error, "%s: cannot be opened", path);
    while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK) {
            error_set_errno(error, "%s: cannot be locked", path);
            error->code = errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK
                              ? ERROR_UNSUPPORTED
                              : ERROR_IO;
            goto failed;
        }
        if (clock_now() >= until) {
            read_holder(descriptor, holder);
            error_set(error, ERROR_REFUSED, "%s has it", holder);
            goto failed;
        }
        nanosleep(&between, NULL);
    }
    write_holder(descriptor);
    *self = (struct lock){.held = true, .descriptor = descriptor};
    return 0;
failed:
    close(descriptor);
    return -1;
}

void lock_release(struct lock *self) {
    if (self->held)
        close(self->descriptor);
    *self = (struct lock){0};
}
