/* Logs: what is held back, and that a line is one write, which is why lines of several threads or
 * processes never mix. Forms are in test_small.c. */
#include "common/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIME = 24 }; /* characters of "2026-11-20T22:15:03.123Z" */

/* A log whose every write arrives as one packet at `ends[0]`. */
static struct log open_log(int ends[2], enum log_level level) {
    struct log log;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    log_init(&log, ends[1], "x", level);
    return log;
}

static void expect_packet(int end, const char *expected) {
    char text[4096];
    ssize_t size = read(end, text, sizeof text - 1);
    cr_assert_gt(size, TIME, "no packet: expected '%s'", expected);
    text[size] = '\0';
    cr_expect_str_eq(text + TIME, expected);
}

static void close_log(int ends[2]) {
    char byte;
    cr_expect_eq(recv(ends[0], &byte, 1, 0), -1, "a packet too many");
    close(ends[0]);
    close(ends[1]);
}

Test(log, leaves_out_what_is_below_its_level) {
    int ends[2];
    struct log log = open_log(ends, LOG_WARNING);
    log_debug(&log, "no");
    log_info(&log, "no");
    log_warning(&log, "yes");
    log_error(&log, "yes");
    expect_packet(ends[0], " x  warning  yes\n");
    expect_packet(ends[0], " x  error  yes\n");
    close_log(ends);
}

Test(log, writes_each_line_at_once) {
    int ends[2];
    char word[301], line[400];
    struct log log = open_log(ends, LOG_DEBUG);
    memset(word, 'y', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    snprintf(line, sizeof line, " x  info  %s %d\n", word, 7);
    log_info(&log, "%s %d", word, 7);
    log_info(&log, "%s", "");
    log_info(&log, "a\nb");
    expect_packet(ends[0], line);
    expect_packet(ends[0], " x  info  \n");
    expect_packet(ends[0], " x  info  a?b\n");
    close_log(ends);
}
