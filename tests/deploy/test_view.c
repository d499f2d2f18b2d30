/* Where people see a run: a real pseudo-terminal and a pipe, with a clock that the tests turn. */
#include "common/clock.h"
#include "deploy/view.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

TestSuite(view, .timeout = 30);

static const struct form_state state = {
    .step = 1, .steps = 10, .epoch = 0.1, .digit = 0.5, .sum = 0.25, .seconds = 1};

/* Waits for as many bytes as `text` has, and compares. What is drawn too often shows as a
 * difference in the next one. */
static void expect(int descriptor, const char *text) {
    char got[4096] = "";
    size_t size = 0, wanted = strlen(text);
    cr_assert_lt(wanted, sizeof got);
    while (size < wanted) {
        ssize_t more = read(descriptor, got + size, wanted - size);
        cr_assert_gt(more, 0, "it ends after '%s'", got);
        size += (size_t)more;
    }
    got[size] = '\0';
    cr_expect_str_eq(got, text);
}

/* Nothing more comes, now that the other end is closed. */
static void expect_end(int descriptor) {
    char byte;
    cr_expect_leq(read(descriptor, &byte, 1), 0, "there is more: %c", byte);
}

static int open_terminal(int columns, int *master) {
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0)
        cr_skip_test("this machine has no pseudo-terminals");
    int slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    cr_assert_geq(slave, 0);
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    cr_assert_eq(ioctl(slave, TIOCSWINSZ, &size), 0);
    struct termios modes;
    cr_assert_eq(tcgetattr(slave, &modes), 0);
    modes.c_oflag &= ~(tcflag_t)OPOST;
    cr_assert_eq(tcsetattr(slave, TCSANOW, &modes), 0);
    setenv("TERM", "xterm", 1);
    return slave;
}

#define BAR "\repoch 1/1  #------------   10 %  train digit 50.00 sum 25.00\033[K"

Test(view, terminal_redraws_one_line_at_most_eight_times_a_second) {
    int master, slave = open_terminal(61, &master);
    struct view *view = view_create(slave, true);
    int64_t now = 100 * CLOCK_SECOND;
    cr_expect_eq(view_columns(view), 61);
    view_progress(view, &state, now);
    expect(master, BAR);
    view_progress(view, &state, now + CLOCK_SECOND / 10); /* too soon */
    long wait = view_wait(view, now + CLOCK_SECOND / 10);
    cr_expect(wait >= 25 && wait <= 26, "%ld", wait);
    view_line(view, "a line %d", 7);
    expect(master, "\r\033[Ka line 7\n" BAR);
    view_clear(view);
    view_line(view, "another");
    expect(master, "\r\033[Kanother\n");
    view_progress(view, &state, INT64_MAX / 2);
    expect(master, BAR);
    cr_expect_eq(view_wait(view, INT64_MAX / 2), -1);
    view_destroy(&view);
    expect(master, "\r\033[K");
    close(slave);
    expect_end(master);
    close(master);
}

Test(view, a_bar_that_was_wrapped_since_goes_away_whole) {
    int master, slave = open_terminal(61, &master);
    struct view *view = view_create(slave, true);
    int64_t now = 100 * CLOCK_SECOND;
    view_progress(view, &state, now);
    expect(master, BAR);
    struct winsize size = {.ws_row = 24, .ws_col = 25};
    cr_assert_eq(ioctl(slave, TIOCSWINSZ, &size), 0);
    view_progress(view, &state, now + CLOCK_SECOND);
    expect(master, "\r\033[2A\033[J\repoch 1  #-------   10 %\033[K"); /* 60 columns were 3 lines */
    view_destroy(&view);
    close(slave);
    close(master);
}

Test(view, a_dumb_terminal_has_plain_lines_of_its_width) {
    int master, slave = open_terminal(41, &master);
    setenv("TERM", "dumb", 1);
    struct view *view = view_create(slave, true);
    int64_t now = 100 * CLOCK_SECOND;
    cr_expect_eq(view_columns(view), 41);
    view_progress(view, &state, now);
    view_progress(view, &state, now + 5 * CLOCK_SECOND);
    expect(master, "epoch 0.10/1  step 1/10  1.0 s\n");
    view_destroy(&view);
    close(slave);
    expect_end(master);
    close(master);
}

Test(view, elsewhere_plain_lines_come_every_five_seconds) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct view *view = view_create(ends[1], true);
    int64_t now = 100 * CLOCK_SECOND;
    cr_expect_eq(view_columns(view), 80);
    view_progress(view, &state, now);
    view_text(view, "first\n");
    view_progress(view, &state, now + 4 * CLOCK_SECOND);
    view_text(view, "second");
    view_progress(view, &state, now + 5 * CLOCK_SECOND);
    view_destroy(&view);
    close(ends[1]);
    expect(ends[0], "first\nsecond\nepoch 0.10/1  step 1/10  train digit 50.00 sum 25.00  1.0 s\n");
    expect_end(ends[0]);
    close(ends[0]);
}

Test(view, reader_that_went_away_is_no_trouble) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    signal(SIGPIPE, SIG_IGN);
    struct view *view = view_create(ends[1], true);
    close(ends[0]);
    view_line(view, "nobody reads this");
    view_destroy(&view);
    view_destroy(&view);
    close(ends[1]);
}

Test(view, each_warning_stands_there_once) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct view *view = view_create(ends[1], true);
    struct notices shown = {0};
    char *texts[] = {(char *)"no 4 among the labels", (char *)"the loss is not a number\033[2J"};
    Digitsum__Progress progress = DIGITSUM__PROGRESS__INIT;
    progress.warnings = texts;
    for (progress.n_warnings = 0; progress.n_warnings <= 2; progress.n_warnings++)
        view_warnings(view, &shown, &progress);
    view_destroy(&view);
    close(ends[1]);
    expect(ends[0], "warning: no 4 among the labels\nwarning: the loss is not a number?[2J\n");
    expect_end(ends[0]);
    close(ends[0]);
}
