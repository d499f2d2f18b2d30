/* See process.h. */
#include "deploy/process.h"

#include "common/clock.h"
#include "common/display.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TAIL = 16384 /* bytes at the end of a log that are looked at */ };

/* In the child: never returns. What goes wrong is told through `report`, which exec closes. */
static void become(const struct process_spec *spec, int log, int report, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* An ignored signal would stay ignored across exec. We end our children by these two, whatever
     * we were told to ignore ourselves. */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setpgid(0, 0);
    /* The parent may have gone before the kernel heard of our wish. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0 && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0) {
            for (int i = 0; spec->environment && spec->environment[i]; i++)
                putenv((char *)spec->environment[i]);
            execv(spec->argv[0], (char *const *)spec->argv);
        }
    }
    int reason = errno;
    if (write(report, &reason, sizeof reason) < 0)
        _exit(126);
    _exit(127);
}

int process_start(struct process *self, const struct process_spec *spec, struct error *error) {
    assert(self->pid == 0);
    int report[2] = {-1, -1}, reason = 0, status = -1;
    struct stat before;
    int log = open(spec->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0 || fstat(log, &before) != 0) {
        error_set_errno(error, "%s: cannot open its log %s", spec->name, spec->log);
        goto done;
    }
    if (pipe2(report, O_CLOEXEC) != 0) {
        error_set_errno(error, "%s: cannot make a pipe", spec->name);
        goto done;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(spec, log, report[1], parent);
    if (pid < 0) {
        error_set_errno(error, "%s: cannot start a process", spec->name);
        goto done;
    }
    setpgid(pid, pid); /* here too: whoever comes first, no signal falls between */
    close(report[1]);
    report[1] = -1;
    ssize_t got;
    do
        got = read(report[0], &reason, sizeof reason);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        waitpid(pid, NULL, 0);
        errno = reason;
        error_set_errno(error, "%s: cannot run %s", spec->name, spec->argv[0]);
        goto done;
    }
    self->pid = pid;
    self->log_from = before.st_size;
    status = 0;
done:
    if (report[0] >= 0)
        close(report[0]);
    if (report[1] >= 0)
        close(report[1]);
    if (log >= 0)
        close(log);
    return status;
}

bool process_reap(struct process *self, int *status) {
    int raw;
    if (self->pid == 0 || waitpid(self->pid, &raw, WNOHANG) != self->pid)
        return false;
    *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    self->pid = 0;
    return true;
}

void process_signal(const struct process *self, int signal, bool group) {
    if (self->pid > 0)
        kill(group ? -self->pid : self->pid, signal);
}

bool process_await_stop(const struct process *self, int64_t until) {
    const struct timespec nap = {0, 2000000};
    siginfo_t info = {0};
    while (self->pid > 0) {
        if (waitid(P_PID, (id_t)self->pid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid != 0)
            break;
        if (clock_now() >= until)
            return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

/* The end of the file from `from` on, at most TAIL bytes; NUL-ended. Returns the length. */
static size_t read_tail(const char *path, off_t from, char text[static TAIL + 1]) {
    size_t length = 0;
    struct stat now;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &now) == 0 && now.st_size > from) {
        if (now.st_size - from > TAIL)
            from = now.st_size - TAIL;
        ssize_t got = pread(file, text, TAIL, from);
        length = got > 0 ? (size_t)got : 0;
    }
    if (file >= 0)
        close(file);
    text[length] = '\0';
    return length;
}

/* "2026-11-20T22:15:03.123Z trainer  error  text" → "text"; other lines as they are. */
static const char *without_front(const char *line) {
    static const char *const levels[] = {" error ", " warning ", " info ", " debug "};
    if (strlen(line) < 25 || line[10] != 'T' || line[23] != 'Z')
        return line;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const char *found = strstr(line + 24, levels[i]);
        if (found) {
            found += strlen(levels[i]);
            return found + strspn(found, " ");
        }
    }
    return line;
}

const char *process_last_words(const struct process *self, const char *log,
                               char words[static PROCESS_WORDS]) {
    char text[TAIL + 1];
    size_t length = read_tail(log, self->log_from, text);
    const char *last = NULL, *telling = NULL;
    for (size_t begin = 0; begin < length;) {
        char *line = text + begin;
        size_t size = strcspn(line, "\n");
        line[size] = '\0';
        if (size > 0)
            last = line;
        if (strstr(line, " error ") || strstr(line, "ERROR:") || strstr(line, "runtime error:"))
            telling = line;
        begin += size + 1;
    }
    const char *line = telling ? telling : last;
    display_fit(words, PROCESS_WORDS, line ? without_front(line) : "", PROCESS_WORDS - 1, false);
    return words;
}

void process_show_log(const char *log, FILE *out) {
    enum { LINES = 5, LINE = 512 };
    char lines[LINES][LINE], shown[LINE];
    int count = 0;
    FILE *file = fopen(log, "re");
    while (file && fgets(lines[count % LINES], LINE, file))
        count++;
    for (int i = count > LINES ? count - LINES : 0; i < count; i++) {
        lines[i % LINES][strcspn(lines[i % LINES], "\n")] = '\0';
        display_fit(shown, sizeof shown, lines[i % LINES], LINE, false);
        fprintf(out, "  %s\n", shown);
    }
    if (file)
        fclose(file);
}

const char *process_status_text(int status, char text[static PROCESS_WORDS]) {
    if (status > 128 && status < 128 + 65)
        snprintf(text, PROCESS_WORDS, "was killed by signal %d (%s)", status - 128,
                 strsignal(status - 128));
    else
        snprintf(text, PROCESS_WORDS, "ended with status %d", status);
    return text;
}
