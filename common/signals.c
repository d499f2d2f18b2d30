/* See signals.h. The counters and the descriptor are global because a signal handler can reach
 * nothing else: with the hold of clock.c the one such state in the project. */
#include "common/signals.h"

#include "common/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int asked, insisted;
static atomic_uint grace = 10; /* seconds */
static int descriptor = -1;

static void handle(int number) {
    /* A terminal that closes sends SIGHUP twice or more, and who logs out SIGTERM after it. */
    if (number != SIGHUP && atomic_fetch_add(&insisted, 1) > 0)
        _exit(130);
    if (atomic_exchange(&asked, 1))
        return;
    int kept = errno; /* of what was interrupted */
    uint64_t one = 1;
    alarm(atomic_load(&grace));
    if (write(descriptor, &one, sizeof one) < 0)
        _exit(130); /* nobody would wake up */
    errno = kept;
}

/* Only what is safe in a handler: the process may be in the middle of anything. */
static void give_up(int number) {
    static const char words[] = ": did not stop in time after a signal: exiting at once\n";
    const char *name = program_invocation_short_name;
    (void)number;
    if (write(2, name, strlen(name)) < 0 || write(2, words, sizeof words - 1) < 0)
        _exit(130); /* nobody reads it */
    _exit(130);
}

static void pause_job(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    int kept = errno;
    if (signals_may_pause(info->si_code))
        signals_pause();
    errno = kept;
}

bool signals_ignored(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_install(struct error *error) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction end = {.sa_handler = handle}, ignore = {.sa_handler = SIG_IGN},
                     late = {.sa_handler = give_up},
                     stop = {.sa_sigaction = pause_job, .sa_flags = SA_SIGINFO | SA_RESTART};
    descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool failed = descriptor < 0 || sigaction(SIGPIPE, &ignore, NULL) != 0 ||
                  sigaction(SIGTTOU, &ignore, NULL) != 0 || sigaction(SIGALRM, &late, NULL) != 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (!signals_ignored(ends[i]))
            failed = failed || sigaction(ends[i], &end, NULL) != 0;
    if (!signals_ignored(SIGTSTP))
        failed = failed || sigaction(SIGTSTP, &stop, NULL) != 0;
    return failed ? error_set_errno(error, "installing signal handlers") : 0;
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
    return atomic_load(&asked) > 0;
}

bool signals_may_pause(int code) {
    return code != SI_KERNEL || getsid(0) != getpid();
}

void signals_pause(void) {
    unsigned left = alarm(0); /* the stop is no part of the time to end in */
    clock_hold();
    /* To this thread: when it returns, the process has been stopped and let go on. */
    raise(SIGSTOP);
    clock_release();
    alarm(left);
}
