/* See signals.h. The flag and the descriptor are global because a signal handler can reach nothing
 * else: the one such state in the project. */
#include "common/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int count;
static atomic_uint grace = 10;
static int descriptor = -1;

static void handle(int number) {
    (void)number;
    if (atomic_fetch_add(&count, 1) > 0)
        _exit(130);
    int kept = errno; /* of what was interrupted */
    uint64_t one = 1;
    alarm(atomic_load(&grace));
    if (write(descriptor, &one, sizeof one) < 0)
        _exit(130); /* nobody would wake up */
    errno = kept;
}

/* Only what is safe in a handler: the process may be in the middle of anything. */
static void give_up(int number) {
    static const char words[] =
        ": asked to stop by a signal, it did not end in time: ended at once\n";
    const char *name = program_invocation_short_name;
    (void)number;
    if (write(2, name, strlen(name)) < 0 || write(2, words, sizeof words - 1) < 0)
        _exit(130); /* nobody reads it */
    _exit(130);
}

int signals_install(struct error *error) {
    struct sigaction action = {.sa_handler = handle}, ignore = {.sa_handler = SIG_IGN};
    struct sigaction late = {.sa_handler = give_up};
    descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor < 0 || sigaction(SIGINT, &action, NULL) != 0 ||
        sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0 ||
        sigaction(SIGALRM, &late, NULL) != 0)
        return error_set_errno(error, "installing signal handlers");
    return 0;
}

void signals_grace(unsigned seconds) {
    atomic_store(&grace, seconds);
    if (signals_stop())
        alarm(seconds);
}

int signals_descriptor(void) {
    return descriptor;
}

bool signals_stop(void) {
    return atomic_load(&count) > 0;
}
