/* Processes: real ones of /bin/sh, with a clock that the tests turn. Nothing sleeps: waiting is
 * waiting for a process to end. */
#include "common/clock.h"
#include "deploy/supervise.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(supervise, .timeout = 60);

static const char *const sleeper[] = {"/bin/sleep", "1000", NULL};

/* Waits until a child has ended, without reaping it. */
static void wait_for_end(void) {
    siginfo_t info;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0)
        cr_assert_eq(errno, EINTR);
}

static int start(struct supervisor *self, const char *folder, const char *name, const char *script,
                 bool essential) {
    char log[SCRATCH_PATH];
    struct error error;
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    snprintf(log, sizeof log, "%s/%s.log", folder, name);
    struct process_spec spec = {
        .name = name, .argv = script ? argv : sleeper, .environment = NULL, .log = log};
    int status = supervisor_start(self, &spec, essential, &error);
    cr_assert_eq(status, 0, "%s", error.text);
    return status;
}

Test(supervise, worker_is_started_again_and_given_up_at_the_fifth_death) {
    char folder[64];
    struct error error;
    struct supervise_event event;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "augment-1",
          "echo '2026-11-20T22:15:03.123Z augment-1 error  no paper left'; exit 7", false);
    int64_t now = 100 * CLOCK_SECOND;
    for (int death = 1; death <= 4; death++) {
        wait_for_end();
        cr_assert_eq(supervisor_next(self, now, &event), 1);
        cr_expect_eq(event.what, SUPERVISE_DIED);
        cr_expect_eq(event.status, 7);
        cr_expect_str_eq(event.name, "augment-1");
        cr_expect_str_eq(event.words, "no paper left");
        cr_expect_eq(event.delay, (50 << death) * CLOCK_MILLISECOND);
        cr_expect_eq(supervisor_next(self, now, &event), 0, "not due yet");
        int64_t wait = supervisor_wait(self, now);
        cr_expect_eq(wait, (50 << death) * CLOCK_MILLISECOND);
        now += wait;
        cr_assert_eq(supervisor_next(self, now, &event), 1);
        cr_expect_eq(event.what, SUPERVISE_STARTED);
    }
    wait_for_end();
    cr_assert_eq(supervisor_next(self, now, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_GAVE_UP);
    cr_expect_eq(event.status, 7);
    cr_expect_eq(supervisor_wait(self, now), -1);
    cr_expect_eq(supervisor_running(self), 0);
    supervisor_destroy(&self);
    scratch_end(folder);
}

Test(supervise, what_would_end_so_again_is_not_tried_again) {
    char folder[64], script[128];
    struct error error;
    struct supervise_event event;
    for (int status = 1; status <= 5; status++) {
        scratch_begin(folder);
        struct supervisor *self = supervisor_create(&error);
        snprintf(script, sizeof script, "echo 'sh: no such folder'; exit %d", status);
        start(self, folder, "loader-1", script, false);
        wait_for_end();
        cr_assert_eq(supervisor_next(self, 0, &event), 1);
        bool vain = status >= 2 && status <= 4;
        cr_expect_eq(event.what, vain ? SUPERVISE_GAVE_UP : SUPERVISE_DIED, "status %d", status);
        cr_expect_eq(event.status, status);
        cr_expect_str_eq(event.words, "no such folder");
        supervisor_destroy(&self);
        scratch_end(folder);
    }
}

Test(supervise, a_name_that_another_took_is_taken_back) {
    char folder[64];
    struct error error;
    struct supervise_event event;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "augment-1",
          "echo 'augment: ipc://c refused us: another augment has joined under the name augment-1: "
          "give each a --name of its own'; exit 4",
          false);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, 0, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_DIED);
    supervisor_destroy(&self);
    scratch_end(folder);
}

Test(supervise, worker_that_leaves_alone_comes_back_and_after_release_stays_away) {
    char folder[64];
    struct error error;
    struct supervise_event event;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "augment-1", "exit 0", false);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, CLOCK_SECOND, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_LEFT);
    cr_expect_eq(supervisor_wait(self, CLOCK_SECOND), 2 * CLOCK_SECOND);
    cr_assert_eq(supervisor_next(self, 3 * CLOCK_SECOND, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_STARTED);
    supervisor_release(self);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, 4 * CLOCK_SECOND, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_LEFT);
    cr_expect_eq(supervisor_wait(self, 4 * CLOCK_SECOND), -1);
    cr_expect_eq(supervisor_next(self, 100 * CLOCK_SECOND, &event), 0);
    supervisor_destroy(&self);
    scratch_end(folder);
}

Test(supervise, end_of_the_essential_one_is_told_and_signals_reach_whom_they_should) {
    char folder[64];
    struct error error;
    struct supervise_event event;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "trainer", NULL, true);
    start(self, folder, "loader-1", NULL, false);
    cr_expect_eq(supervisor_running(self), 2);
    supervisor_signal_essential(self, SIGINT);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, 0, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_FINISHED);
    cr_expect_str_eq(event.name, "trainer");
    cr_expect_eq(event.status, 128 + SIGINT);
    cr_expect_eq(supervisor_next(self, 0, &event), 0, "the loader was not asked");
    cr_expect_eq(supervisor_running(self), 1);
    supervisor_release(self);
    supervisor_signal_all(self, SIGTERM);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, 0, &event), 1);
    cr_expect_eq(event.what, SUPERVISE_LEFT);
    cr_expect_eq(event.status, 128 + SIGTERM);
    supervisor_destroy(&self);
    supervisor_destroy(&self);
    scratch_end(folder);
}

/* Waits until so many of our children have stopped, each told once. */
static void wait_for_stops(int count) {
    for (int i = 0; i < count; i++) {
        int status;
        pid_t pid;
        do
            pid = waitpid(-1, &status, WUNTRACED);
        while (pid < 0 && errno == EINTR);
        cr_assert_gt(pid, 0);
        cr_assert(WIFSTOPPED(status), "a child ended");
    }
}

Test(supervise, a_pause_stops_even_who_does_not_want_to) {
    char folder[64];
    struct error error;
    struct supervise_event event;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "trainer", "trap '' TSTP; exec sleep 1000", true);
    start(self, folder, "loader-1", NULL, false);
    for (int i = 0; i < 2; i++) {
        supervisor_pause(self);
        wait_for_stops(2);
        cr_expect_eq(supervisor_next(self, 0, &event), 0, "a stop is not an end");
        supervisor_go_on(self);
    }
    supervisor_signal_all(self, SIGTERM);
    wait_for_end();
    cr_assert_eq(supervisor_next(self, 0, &event), 1);
    cr_expect_eq(event.status, 128 + SIGTERM);
    supervisor_destroy(&self);
    scratch_end(folder);
}

Test(supervise, destroy_leaves_no_process) {
    char folder[64];
    struct error error;
    scratch_begin(folder);
    struct supervisor *self = supervisor_create(&error);
    start(self, folder, "trainer", NULL, true);
    start(self, folder, "loader-1", "trap '' INT TERM; exec sleep 1000", false);
    supervisor_destroy(&self);
    cr_expect_null(self);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_expect_eq(errno, ECHILD, "a child is left");
    scratch_end(folder);
}

Test(supervise, program_that_is_not_there) {
    char folder[64], log[SCRATCH_PATH];
    struct error error = {0};
    scratch_begin(folder);
    snprintf(log, sizeof log, "%s/x.log", folder);
    struct process process = {0};
    struct process_spec spec = {
        .name = "trainer", .argv = (const char *const[]){"/nonexistent/trainer", NULL}, .log = log};
    cr_expect_eq(process_start(&process, &spec, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_str_eq(error.text,
                     "trainer: cannot run /nonexistent/trainer: No such file or directory");
    cr_expect_eq(process.pid, 0);
    spec.log = "/nonexistent/x.log";
    cr_expect_eq(process_start(&process, &spec, &error), -1);
    cr_expect(strstr(error.text, "cannot open its log /nonexistent/x.log"), "%s", error.text);
    scratch_end(folder);
}

Test(supervise, process_has_its_environment_group_and_log) {
    char folder[64], log[SCRATCH_PATH], text[256] = "", expected[256];
    struct error error;
    scratch_begin(folder);
    scratch_write(folder, "x.log", "from before\n", log);
    struct process process = {0};
    /* Blocked or ignored here, as in the launcher, must not be so there. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct process_spec spec = {
        .name = "x",
        .argv = (const char *const[]){"/bin/sh", "-c",
                                      "echo \"$COLOUR\"; cat; cut -d' ' -f5 /proc/$$/stat >&2; "
                                      "kill -INT $$; echo survived",
                                      NULL},
        .environment = (const char *const[]){"COLOUR=blue", NULL},
        .log = log};
    cr_assert_eq(process_start(&process, &spec, &error), 0, "%s", error.text);
    pid_t pid = process.pid;
    int status = -1;
    wait_for_end();
    cr_assert(process_reap(&process, &status));
    cr_expect_eq(status, 128 + SIGINT);
    FILE *file = fopen(log, "r");
    cr_assert_not_null(file);
    cr_assert_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    snprintf(expected, sizeof expected, "from before\nblue\n%ld\n", (long)pid);
    cr_expect_str_eq(text, expected);
    scratch_end(folder);
}

static void expect_words(const char *text, off_t from, const char *expected) {
    char folder[64], path[SCRATCH_PATH], words[PROCESS_WORDS];
    scratch_begin(folder);
    scratch_write(folder, "log", text, path);
    struct process process = {.log_from = from};
    cr_expect_str_eq(process_last_words(&process, path, words), expected);
    scratch_end(folder);
}

Test(supervise, last_words) {
    expect_words("", 0, "");
    expect_words("one\ntwo\n\n", 0, "two");
    expect_words("2026-11-20T22:15:03.123Z trainer  error  disk full\n"
                 "2026-11-20T22:15:03.124Z trainer  info   leaving\n",
                 0, "disk full");
    expect_words("==1==ERROR: AddressSanitizer: heap-use-after-free\nmore\n==1==ABORTING\n", 0,
                 "==1==ERROR: AddressSanitizer: heap-use-after-free");
    expect_words("old error here\nnew\n", 15, "new");
    expect_words("bell \a and \033[31m\n", 0, "bell ? and ?[31m");
    /* Of a long log only the end is read: the words are there all the same. */
    char text[40000];
    memset(text, 'x', sizeof text);
    for (size_t i = 99; i < sizeof text; i += 100)
        text[i] = '\n';
    strcpy(text + sizeof text - 20, "\nlast\n");
    expect_words(text, 0, "last");
    char words[PROCESS_WORDS];
    struct process process = {0};
    cr_expect_str_eq(process_last_words(&process, "/nonexistent", words), "");
}

Test(supervise, status_text) {
    char text[PROCESS_WORDS];
    cr_expect_str_eq(process_status_text(3, text), "ended with status 3");
    cr_expect_str_eq(process_status_text(128 + SIGKILL, text), "was killed by signal 9 (Killed)");
    cr_expect_str_eq(process_status_text(255, text), "ended with status 255");
}
