/* See startup.h. */
#include "common/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* Room for a thousand connections that nobody uses, in a process with a bound on what they cost. */
#define DESCRIPTORS_WANTED 16384

static int fill_standard(struct error *error) {
    for (int i = 0; i < 3; i++) {
        if (fcntl(i, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* The lowest that is free, which is i. Not close-on-exec: children need it as well. */
        if (open("/dev/null", O_RDWR) != i)
            return error_set_errno(error, "standard descriptor %d is closed: opening /dev/null", i);
    }
    return 0;
}

static int raise_descriptors(struct error *error) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set_errno(error, "reading the limit on open files");
    if (limit.rlim_max < STARTUP_DESCRIPTORS)
        return error_set(error, ERROR_INVALID,
                         "only %llu files may be open at a time (ulimit -Hn): at least %d are "
                         "needed",
                         (unsigned long long)limit.rlim_max, STARTUP_DESCRIPTORS);
    rlim_t wanted = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set_errno(error, "raising the limit on open files to %llu",
                               (unsigned long long)wanted);
    return 0;
}

int startup_prepare(struct error *error) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (fill_standard(error) != 0 || raise_descriptors(error) != 0)
        return -1;
    return sigaction(SIGXFSZ, &ignore, NULL) == 0 ? 0 : error_set_errno(error, "ignoring SIGXFSZ");
}
