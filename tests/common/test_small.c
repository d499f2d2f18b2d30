/* Errors, logs, clocks, signals: the small things that everyone stands on. */
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/signals.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(error, carries_code_and_sentence) {
    struct error error;
    cr_expect_eq(error_set(&error, ERROR_CORRUPT, "expected %d, got %d", 1, 2), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, "expected 1, got 2");
    cr_expect_eq(error_prefix(&error, "file %s", "x"), -1);
    cr_expect_str_eq(error.text, "file x: expected 1, got 2");
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_eq(error_set(NULL, ERROR_IO, "nobody asks"), -1);
}

Test(error, system_words_and_memory) {
    struct error error;
    errno = ENOSPC;
    error_set_errno(&error, "writing %s", "y");
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_str_eq(error.text, "writing y: No space left on device");
    errno = ENOMEM;
    error_set_errno(&error, "z");
    cr_expect_eq(error.code, ERROR_MEMORY);
}

Test(error, long_texts_are_cut) {
    struct error error;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&error, ERROR_IO, "%s", text);
    cr_expect_eq(strlen(error.text), sizeof error.text - 1);
    error_prefix(&error, "%s", text);
    cr_expect_eq(strlen(error.text), sizeof error.text - 1);
}

Test(error, exit_statuses_differ) {
    cr_expect_eq(error_exit_status(ERROR_NONE), 0);
    cr_expect_eq(error_exit_status(ERROR_INVALID), 2);
    cr_expect_eq(error_exit_status(ERROR_CORRUPT), 3);
    cr_expect_eq(error_exit_status(ERROR_REFUSED), 4);
    cr_expect_eq(error_exit_status(ERROR_TIMEOUT), 5);
    cr_expect_eq(error_exit_status(ERROR_DEVICE), 6);
    cr_expect_eq(error_exit_status(ERROR_INTERRUPTED), 130);
    cr_expect_eq(error_exit_status(ERROR_IO), 1);
}

static void read_all(int descriptor, char *text, size_t size) {
    ssize_t got = read(descriptor, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
}

Test(log, one_line_each_and_no_forged_ones) {
    int ends[2];
    char text[4096];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], "me", LOG_INFO);
    log_debug(&log, "not shown");
    log_info(&log, "a\nb %d", 1);
    log_warning(&log, "c");
    read_all(ends[0], text, sizeof text);
    cr_expect(strstr(text, "Z me  info  a?b 1\n"), "%s", text);
    cr_expect(strstr(text, "Z me  warning  c\n"), "%s", text);
    cr_expect_null(strstr(text, "not shown"));
    log_info(NULL, "nobody listens");
}

Test(log, long_lines_are_cut_but_end) {
    int ends[2];
    char text[4096], big[3000];
    struct log log;
    cr_assert_eq(pipe(ends), 0);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_init(&log, ends[1], "me", LOG_DEBUG);
    log_error(&log, "%s", big);
    read_all(ends[0], text, sizeof text);
    cr_expect_leq(strlen(text), 1024);
    cr_expect_eq(text[strlen(text) - 1], '\n');
}

Test(log, limit_counts_what_it_holds_back) {
    struct log_limit limit = {0};
    uint64_t held = 99;
    cr_expect_eq(log_limit_pass(&limit, 1000, 100, &held), 1);
    cr_expect_eq(held, 0);
    cr_expect_eq(log_limit_pass(&limit, 1050, 100, &held), 0);
    cr_expect_eq(log_limit_pass(&limit, 1099, 100, &held), 0);
    cr_expect_eq(log_limit_pass(&limit, 1100, 100, &held), 1);
    cr_expect_eq(held, 2);
}

Test(log, limits_are_each_peers_own) {
    static struct log_limits limits;
    uint64_t held = 99;
    cr_expect_eq(log_limits_pass(&limits, "a", 1000, 100, 1, &held), 1);
    cr_expect_eq(log_limits_pass(&limits, "a", 1001, 100, 1, &held), 0);
    cr_expect_eq(log_limits_pass(&limits, "b", 1001, 100, 1, &held), 1, "a's silence is not b's");
    cr_expect_eq(log_limits_pass(&limits, "a", 1100, 100, 1, &held), 1);
    cr_expect_eq(held, 1);
    int lines = 0;
    for (int i = 0; i < 50; i++)
        lines += log_limits_pass(&limits, "visitor", 2000 + i, 100, 3, &held);
    cr_expect_eq(lines, 3);
    cr_expect_eq(log_limits_pass(&limits, "visitor", 2100, 100, 3, &held), 1);
    cr_expect_eq(held, 47);
    /* Names without end: however many, the lines are bounded, and later there is room again. */
    lines = 0;
    for (int i = 0; i < 10000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        lines += log_limits_pass(&limits, name, 5000, 100, 1, &held);
    }
    cr_expect_eq(lines, LOG_PEERS + 1);
    cr_expect_eq(log_limits_pass(&limits, "late", 5100, 100, 1, &held), 1);
}

Test(log, words_name_levels) {
    cr_expect_eq(log_level_of("debug"), LOG_DEBUG);
    cr_expect_eq(log_level_of("warning"), LOG_WARNING);
    cr_expect_eq(log_level_of("error"), LOG_ERROR);
}

Test(clock, goes_on_and_writes_utc) {
    int64_t before = clock_now();
    char text[25];
    cr_expect_geq(clock_now(), before);
    clock_utc(text);
    cr_expect_eq(strlen(text), 24);
    cr_expect(text[4] == '-' && text[10] == 'T' && text[19] == '.' && text[23] == 'Z', "%s", text);
}

/* In a child, since signals are a process's own. */
static int in_child(void (*body)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void one_signal(void) {
    struct error error;
    if (signals_install(&error) != 0 || signals_stop())
        _exit(1);
    raise(SIGPIPE); /* ignored */
    raise(SIGTERM);
    struct pollfd item = {signals_descriptor(), POLLIN, 0};
    if (!signals_stop() || poll(&item, 1, 0) != 1)
        _exit(2);
}

static void two_signals(void) {
    struct error error;
    signals_install(&error);
    raise(SIGINT);
    raise(SIGINT);
}

Test(signals, first_asks_second_insists) {
    cr_expect_eq(in_child(one_signal), 0);
    cr_expect_eq(in_child(two_signals), 130);
}
