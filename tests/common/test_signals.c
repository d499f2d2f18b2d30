/* Signals at their edges (test_small.c has the plain cases), each case in a process of its own:
 * what it found wrong first is its exit status. */
#include "common/clock.h"
#include "common/signals.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(condition)                                                                         \
    if (!(condition))                                                                              \
    _exit(__LINE__ % 100 + 1)

/* Runs `body` in a child; returns its wait status. */
static int run(void (*body)(void)) {
    int status = 0;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_exit(void (*body)(void), int expected) {
    int status = run(body);
    cr_expect(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    cr_expect_eq(WEXITSTATUS(status), expected, "expected status %d, got %d", expected,
                 WEXITSTATUS(status));
}

static bool readable(void) {
    struct pollfd poll_one = {.fd = signals_descriptor(), .events = POLLIN};
    return poll(&poll_one, 1, 0) == 1 && poll_one.revents == POLLIN;
}

static void begin(void) {
    struct error error = {0};
    REQUIRE(signals_install(&error) == 0);
    REQUIRE(signals_descriptor() >= 0);
    REQUIRE(!signals_stop());
    REQUIRE(!readable());
}

static void ask_once(int number) {
    begin();
    errno = 12345;
    REQUIRE(raise(number) == 0);
    REQUIRE(errno == 12345);
    REQUIRE(signals_stop());
    REQUIRE(readable());
    REQUIRE(readable()); /* for good */
}

static void terminate_once(void) {
    ask_once(SIGTERM);
}

static void interrupt_then_terminate(void) {
    ask_once(SIGINT);
    raise(SIGTERM);
    _exit(0); /* not reached */
}

static void write_to_nobody(void) {
    int ends[2];
    begin();
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    REQUIRE(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    REQUIRE(!signals_stop());
}

/* A wait that has no end of its own is ended by a signal from another process. */
static void wake_up(void) {
    begin();
    pid_t self = getpid(), other = fork();
    if (other == 0) {
        kill(self, SIGTERM);
        _exit(0);
    }
    struct pollfd poll_one = {.fd = signals_descriptor(), .events = POLLIN};
    int found;
    do
        found = poll(&poll_one, 1, -1);
    while (found < 0 && errno == EINTR);
    REQUIRE(found == 1);
    REQUIRE(signals_stop());
    REQUIRE(waitpid(other, NULL, 0) == other);
}

/* What never looks whether it should stop ends all the same; its last line is not for whoever reads
 * the tests' output. */
static void never_look(void) {
    begin();
    close(2);
    signals_grace(1);
    raise(SIGTERM);
    for (;;)
        pause();
}

/* The same while the time is counted anew. */
static void look_and_hang(void) {
    begin();
    close(2);
    raise(SIGTERM);
    REQUIRE(signals_stop());
    signals_grace(1);
    for (;;)
        pause();
}

Test(signals, a_process_that_does_not_end_is_ended, .timeout = 20) {
    expect_exit(never_look, 130);
    expect_exit(look_and_hang, 130);
}

static void hang_up_again_and_again(void) {
    ask_once(SIGHUP);
    REQUIRE(raise(SIGHUP) == 0);
    REQUIRE(raise(SIGTERM) == 0); /* the first that could insist, were there one before */
    REQUIRE(raise(SIGHUP) == 0);
}

static void hang_up_then_insist(void) {
    ask_once(SIGHUP);
    raise(SIGTERM);
    raise(SIGINT);
    _exit(0); /* not reached */
}

static void stay_ignored(void) {
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGTSTP};
    struct error error = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_IGN);
    REQUIRE(signals_install(&error) == 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        REQUIRE(signals_ignored(numbers[i]) && raise(numbers[i]) == 0);
    REQUIRE(!signals_stop());
    REQUIRE(!readable());
}

/* The child stops; its parent sees that, lets 50 ms pass on the real clock and lets it go on. */
static void stop_and_go_on(void) {
    int ends[2];
    int64_t seen = 0, begun = clock_now();
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        begin();
        int64_t before = clock_now();
        REQUIRE(raise(SIGTSTP) == 0);
        int64_t passed = clock_now() - before;
        REQUIRE(write(ends[1], &passed, sizeof passed) == sizeof passed);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, WUNTRACED) == child);
    REQUIRE(WIFSTOPPED(status));
    for (int64_t until = clock_now() + 50 * CLOCK_MILLISECOND; clock_now() < until;)
        continue;
    REQUIRE(kill(child, SIGCONT) == 0);
    REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    int64_t after = clock_now();
    REQUIRE(read(ends[0], &seen, sizeof seen) == sizeof seen);
    REQUIRE(seen >= 0);
    /* The stop is not in it, however long the machine took for the rest. */
    REQUIRE(seen < after - begun - 50 * CLOCK_MILLISECOND);
}

Test(signals, a_closed_terminal_asks_and_never_insists) {
    expect_exit(hang_up_again_and_again, 0);
    expect_exit(hang_up_then_insist, 130);
}

Test(signals, what_was_ignored_stays_ignored) {
    expect_exit(stay_ignored, 0);
}

Test(signals, a_stop_takes_no_time, .timeout = 20) {
    expect_exit(stop_and_go_on, 0);
}

Test(signals, insist_whichever_comes_second) {
    expect_exit(terminate_once, 0);
    expect_exit(interrupt_then_terminate, 130);
}

Test(signals, wake_a_poll, .timeout = 20) {
    expect_exit(wake_up, 0);
}

Test(signals, let_a_write_tell_that_nobody_reads) {
    expect_exit(write_to_nobody, 0);
}
