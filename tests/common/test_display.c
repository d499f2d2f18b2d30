/* Text for a terminal: cutting, what is not printed, numbers for people. */
#include "common/display.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *fit(const char *text, int columns, bool ascii, int *used) {
    static char out[64];
    *used = display_fit(out, sizeof out, text, columns, ascii);
    return out;
}

Test(display, cuts_at_columns_and_not_within_a_character) {
    int used;
    cr_expect_str_eq(fit("données", 5, false, &used), "donné");
    cr_expect_eq(used, 5);
    cr_expect_str_eq(fit("手書き", 5, false, &used), "手書", "a wide character needs two columns");
    cr_expect_eq(used, 4);
    cr_expect_str_eq(fit("e\xcc\x81t", 1, false, &used), "e\xcc\x81", "an accent needs none");
    cr_expect_eq(used, 1);
    cr_expect_str_eq(fit("abc", 0, false, &used), "");
    cr_expect_eq(used, 0);
}

Test(display, cuts_at_bytes_and_not_within_a_character) {
    char out[5];
    cr_expect_eq(display_fit(out, sizeof out, "abcé", 80, false), 3,
                 "é needs two bytes and the NUL");
    cr_expect_str_eq(out, "abc");
    cr_expect_eq(display_fit(out, sizeof out, "abé", 80, false), 3);
    cr_expect_str_eq(out, "abé");
}

Test(display, what_could_harm_a_terminal_is_replaced) {
    int used;
    cr_expect_str_eq(fit("\033[2Jx\r\n", 80, false, &used), "?[2Jx??");
    cr_expect_eq(used, 7);
    cr_expect_str_eq(fit("a\xc2\x9b"
                         "31mb",
                         80, false, &used),
                     "a?31mb", "an 8-bit escape");
    cr_expect_str_eq(fit("a\xe2\x80\xae"
                         "b",
                         80, false, &used),
                     "a?b", "right-to-left override");
    cr_expect_str_eq(fit("a\xff\xc3:b", 80, false, &used), "a??:b", "not UTF-8");
    cr_expect_str_eq(fit("\xc0\xaf", 80, false, &used), "??", "not in its shortest form");
    cr_expect_str_eq(fit("\xed\xa0\x80", 80, false, &used), "?", "half of a UTF-16 pair");
    cr_expect_str_eq(fit("x\xe2\x82", 80, false, &used), "x??", "torn at the end");
    cr_expect_str_eq(fit("é±x", 80, true, &used), "??x", "ASCII only");
    cr_expect_eq(used, 3);
}

Test(display, columns_agree_with_fit) {
    static const char *const texts[] = {"",           "plain", "données", "手書き",
                                        "e\xcc\x81t", "\xff",  "\033[m"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int used;
        fit(texts[i], 80, false, &used);
        cr_expect_eq(display_columns(texts[i]), used, "text %zu", i);
    }
}

/* Any bytes: never more columns or bytes than asked for, and what comes out is stable. */
Test(display, random_bytes_come_out_clean) {
    uint32_t state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[24], once[16], twice[16];
        for (size_t i = 0; i < sizeof text - 1; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = (char)(state >> 24);
        }
        text[sizeof text - 1] = '\0';
        int columns = (int)(state >> 8) % 12;
        cr_assert_leq(display_fit(once, sizeof once, text, columns, round % 2), columns);
        cr_assert_lt(strlen(once), sizeof once);
        display_fit(twice, sizeof twice, once, columns, round % 2);
        cr_assert_str_eq(once, twice);
        for (const char *c = once; *c; c++)
            cr_assert(*c < 0 || (*c >= 0x20 && *c != 0x7f));
    }
}

Test(display, numbers) {
    char out[DISPLAY_NUMBER];
    cr_expect_str_eq(display_count(0, out), "0");
    cr_expect_str_eq(display_count(999, out), "999");
    cr_expect_str_eq(display_count(1000, out), "1,000");
    cr_expect_str_eq(display_count(6384925, out), "6,384,925");
    cr_expect_str_eq(display_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
    cr_expect_str_eq(display_share(0.98973, out), "98.97 %");
    cr_expect_str_eq(display_share(1, out), "100.00 %");
    cr_expect_str_eq(display_share(0, out), "0.00 %");
    cr_expect_str_eq(display_share(1.0001, out), "-");
    cr_expect_str_eq(display_share(NAN, out), "-");
}

Test(display, durations) {
    char out[DISPLAY_NUMBER];
    cr_expect_str_eq(display_duration(0, out), "0.0 s");
    cr_expect_str_eq(display_duration(59.94, out), "59.9 s");
    cr_expect_str_eq(display_duration(59.96, out), "1:00");
    cr_expect_str_eq(display_duration(65, out), "1:05");
    cr_expect_str_eq(display_duration(3599.99, out), "59:59");
    cr_expect_str_eq(display_duration(7384, out), "2:03:04");
    cr_expect_str_eq(display_duration(-1, out), "-");
    cr_expect_str_eq(display_duration(INFINITY, out), "-");
    cr_expect_str_eq(display_duration(1e300, out), "-");
}
