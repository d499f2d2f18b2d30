/* See fetch.h. */
#include "loader/fetch.h"

#include "common/program.h"
#include "common/signals.h"
#include "loader/names.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- on disk ---------------------------------------------------------------------------------- */

int fetch_cache(char folder[PATH_MAX], struct error *error) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int size = -1;
    if (cache && cache[0] == '/')
        size = snprintf(folder, PATH_MAX, "%s/digitsum/mnist", cache);
    else if (home && home[0])
        size = snprintf(folder, PATH_MAX, "%s/.cache/digitsum/mnist", home);
    else
        return error_set(error, ERROR_INVALID,
                         "no folder to keep MNIST in: neither XDG_CACHE_HOME nor HOME is set");
    if (size < 0 || size >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "the cache folder's path is longer than %d bytes",
                         PATH_MAX);
    return 0;
}

int fetch_find(struct notices *notices, char folder[PATH_MAX], struct idx_files *files,
               struct error *error) {
    char cache[PATH_MAX];
    const char *named = getenv("MNIST_DIR");
    const char *folders[] = {named && named[0] ? named : NULL,
                             "data/mnist",
                             "data/MNIST",
                             "MNIST",
                             "../shared/mnist",
                             fetch_cache(cache, NULL) ? NULL : cache};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct error bad;
        if (!folders[i])
            continue;
        /* A folder that a person named may hold any set; what is found must be MNIST's. */
        if ((i == 0 ? idx_locate : idx_locate_mnist)(folders[i], files, &bad) == 0) {
            snprintf(folder, PATH_MAX, "%s", folders[i]);
            return 1;
        }
        if (bad.code == ERROR_IO || bad.code == ERROR_MEMORY) {
            *error = bad;
            return -1;
        }
        if (i == 0 && notices)
            notices_add(notices, "MNIST_DIR was passed over: %s", bad.text);
    }
    return 0;
}

bool fetch_find_keras(char path[PATH_MAX]) {
    const char *keras = getenv("KERAS_HOME"), *home = getenv("HOME");
    int size = -1;
    if (keras && keras[0])
        size = snprintf(path, PATH_MAX, "%s/datasets/mnist.npz", keras);
    else if (home && home[0])
        size = snprintf(path, PATH_MAX, "%s/.keras/datasets/mnist.npz", home);
    return size > 0 && size < PATH_MAX && names_is_file(path);
}

/* --- the download ----------------------------------------------------------------------------- */

enum { REASON = 400 }; /* bytes of why a download failed */

static int find_script(char path[static PATH_MAX], struct error *error) {
    static const char *const places[] = {"../share/digitsum/fetch", "../../loader/fetch",
                                         "../../../loader/fetch"};
    char own[PATH_MAX];
    program_folder(own);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", own, places[i]) < PATH_MAX && access(path, R_OK) == 0)
            return 0;
    return error_set(error, ERROR_IO, "%s/%s, which downloads MNIST, is missing", own, places[1]);
}

/* Starts the script with its standard output in the pipe. It does not outlive us. */
static pid_t start(const char *script, const char *folder, const char *list, int output) {
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    signal(SIGPIPE, SIG_DFL); /* an ignored signal stays ignored across exec */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent && dup2(output, 1) >= 0)
        execl("/bin/sh", "sh", script, folder, list, (char *)NULL);
    _exit(127);
}

/* Reads why it failed until the script has closed its output; a signal that asks us to end is
 * passed on to it. */
static void follow(pid_t pid, int output, char reason[static REASON]) {
    struct pollfd items[] = {{.fd = output, .events = POLLIN},
                             {.fd = signals_descriptor(), .events = POLLIN}};
    size_t length = 0;
    ssize_t got = 1;
    while (got != 0) {
        int ready = poll(items, 2, -1);
        if (items[1].fd >= 0 && signals_stop()) {
            kill(pid, SIGTERM);
            items[1].fd = -1; /* stays readable */
        }
        if (ready > 0 && items[0].revents &&
            (got = read(output, reason + length, REASON - 1 - length)) > 0)
            length += (size_t)got;
    }
    reason[length] = '\0';
    reason[strcspn(reason, "\n")] = '\0';
}

static enum error_code code_of(int status) {
    return status == error_exit_status(ERROR_CORRUPT)       ? ERROR_CORRUPT
           : status == error_exit_status(ERROR_TIMEOUT)     ? ERROR_TIMEOUT
           : status == error_exit_status(ERROR_INTERRUPTED) ? ERROR_INTERRUPTED
                                                            : ERROR_IO;
}

int fetch_download(const char *folder, const char *list, struct error *error) {
    char script[PATH_MAX], reason[REASON] = "";
    int output[2], status = 0;
    if (find_script(script, error) != 0)
        return -1;
    if (pipe2(output, O_CLOEXEC) != 0)
        return error_set_errno(error, "%s: cannot make a pipe", script);
    pid_t pid = start(script, folder, list, output[1]);
    if (pid < 0)
        error_set_errno(error, "%s: cannot start it", script);
    close(output[1]);
    if (pid > 0) {
        follow(pid, output[0], reason);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(output[0]);
    if (pid < 0)
        return -1;
    if (signals_stop())
        return error_set(error, ERROR_INTERRUPTED, "the download was interrupted");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return error_set(error, WIFEXITED(status) ? code_of(WEXITSTATUS(status)) : ERROR_IO, "%s",
                     reason[0] ? reason : "the download ended without a reason");
}

int fetch_obtain(char folder[PATH_MAX], const struct log *log, struct error *error) {
    if (fetch_cache(folder, error) != 0)
        return -1;
    log_info(log, "MNIST is not on this machine: downloading it into %s", folder);
    return fetch_download(folder, NULL, error);
}
