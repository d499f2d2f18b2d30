/* What data a run was begun with: kept, read again, and what is not such a file. */
#include "common/data_source.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(data_source, is_read_as_written) {
    char folder[64];
    struct error error = {0};
    struct data_source written = {.data = "png:/a \"b\" \\ é", .hold_out = 5000, .transpose = true};
    struct data_source read = {.data = "before", .hold_out = 7};
    scratch_begin(folder);
    cr_expect_eq(data_source_read(&read, folder, &error), 0, "there is none yet");
    cr_expect_str_eq(read.data, "before");
    cr_expect_eq(read.hold_out, 7);
    cr_assert_eq(data_source_write(&written, folder, &error), 0, "%s", error.text);
    cr_expect_eq(data_source_read(&read, folder, &error), 1, "%s", error.text);
    cr_expect_str_eq(read.data, written.data);
    cr_expect_eq(read.hold_out, 5000);
    cr_expect(read.transpose);
    cr_expect_eq(scratch_count(folder), 1, "nothing lies beside it");
    scratch_end(folder);
}

static void expect_corrupt(const char *text, const char *words) {
    char folder[64], path[SCRATCH_PATH];
    struct data_source source = {.data = "before"};
    struct error error = {0};
    scratch_begin(folder);
    scratch_write(folder, "data.json", text, path);
    cr_expect_eq(data_source_read(&source, folder, &error), -1, "%s", text);
    cr_expect_eq(error.code, ERROR_CORRUPT, "%s", text);
    cr_expect(strstr(error.text, words), "'%s' lacks '%s'", error.text, words);
    cr_expect_str_eq(source.data, "before", "%s", text);
    scratch_end(folder);
}

Test(data_source, refuses_what_was_not_written_so) {
    expect_corrupt("", "data.json:1: ");
    expect_corrupt("{\"data\": \"mnist\", \"hold_out\": 5", "data.json:1: ");
    expect_corrupt("[]", "expected 'data', a text");
    expect_corrupt("{\"hold_out\": 5}", "expected 'data', a text");
    expect_corrupt("{\"data\": 1, \"hold_out\": 5}", "expected 'data', a text");
    expect_corrupt("{\"data\": \"mnist\"}", "'hold_out', 0 to 10000000");
    expect_corrupt("{\"data\": \"mnist\", \"hold_out\": -1}", "'hold_out', 0 to 10000000");
    expect_corrupt("{\"data\": \"mnist\", \"hold_out\": 0.5}", "'hold_out', 0 to 10000000");
    expect_corrupt("{\"data\": \"mnist\", \"hold_out\": 10000001}", "'hold_out', 0 to 10000000");
}

Test(data_source, says_where_it_cannot_be_written) {
    struct error error = {0};
    struct data_source source = {.data = "mnist"};
    cr_expect_eq(data_source_write(&source, "/nowhere/at/all", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "/nowhere/at/all/data.json"), "%s", error.text);
}

/* In a fresh working folder, whose path (with no link in it) is put before what begins with '@'. */
Test(data_source, paths_are_made_absolute) {
    static const struct {
        const char *given, *settled;
    } cases[] = {
        {"idx:d/plain", "idx:@/d/plain"},
        {"idx:./d", "idx:@/d"},
        {"idx:.//d//", "idx:@/d"},
        {"png:.", "png:@"},
        {"png:../up", "png:@/../up"},
        {"npz:a b's \"c\".npz", "npz:@/a b's \"c\".npz"},
        {"csv:/data/é/", "csv:/data/é"},
        {"idx:/", "idx:/"},
        {"idx:~/mnist", "idx:/home/me/mnist"},
        {"idx:~", "idx:/home/me"},
        {"idx:~you/mnist", "idx:@/~you/mnist"},
        {"d/plain", "@/d/plain"},
        {"there", "@/there"},
        {"idx:link/", "idx:@/link"},
        {"mnits", "mnits"},
        {"idx:", "idx:"},
        {"synthetic", "synthetic"},
    };
    char scratch[64], folder[PATH_MAX], expected[2 * PATH_MAX];
    struct error error = {0};
    scratch_begin(scratch);
    setenv("HOME", "/home/me", 1);
    unsetenv("MNIST_DIR");
    cr_assert_eq(chdir(scratch), 0);
    cr_assert_not_null(getcwd(folder, sizeof folder));
    cr_assert_eq(mkdir("there", 0755), 0);
    cr_assert_eq(symlink("there", "link"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_source source = {0};
        const char *at = strchr(cases[i].settled, '@');
        int front = at ? (int)(at - cases[i].settled) : (int)strlen(cases[i].settled);
        snprintf(expected, sizeof expected, "%.*s%s%s", front, cases[i].settled, at ? folder : "",
                 at ? at + 1 : "");
        cr_assert_eq(data_source_settle(&source, cases[i].given, &error), 0, "%s", error.text);
        cr_expect_str_eq(source.data, expected, "%s", cases[i].given);
        cr_expect_str_eq(source.mnist, "");
    }
    cr_assert_eq(chdir("/"), 0);
    scratch_end(scratch);
}

Test(data_source, mnist_is_looked_for_where_it_was) {
    char scratch[64], folder[PATH_MAX], expected[PATH_MAX + 16];
    struct error error = {0};
    struct data_source source = {0}, read = {0};
    scratch_begin(scratch);
    cr_assert_eq(chdir(scratch), 0);
    cr_assert_not_null(getcwd(folder, sizeof folder));
    cr_assert_eq(mkdir("data", 0755), 0);
    cr_assert_eq(mkdir("data/mnist", 0755), 0);
    unsetenv("MNIST_DIR");
    cr_assert_eq(data_source_settle(&source, "auto", &error), 0);
    snprintf(expected, sizeof expected, "%s/data/mnist", folder);
    cr_expect_str_eq(source.mnist, expected);
    cr_assert_eq(mkdir("mine", 0755), 0);
    setenv("MNIST_DIR", "mine", 1);
    cr_assert_eq(data_source_settle(&source, "mnist", &error), 0);
    snprintf(expected, sizeof expected, "%s/mine", folder);
    cr_expect_str_eq(source.mnist, expected);
    cr_assert_eq(data_source_write(&source, ".", &error), 0, "%s", error.text);
    cr_assert_eq(data_source_read(&read, ".", &error), 1, "%s", error.text);
    cr_expect_str_eq(read.mnist, expected);
    data_source_restore(&read);
    cr_expect_str_eq(getenv("MNIST_DIR"), "mine", "one that is there counts");
    cr_assert_eq(chdir("/"), 0);
    data_source_restore(&read);
    cr_expect_str_eq(getenv("MNIST_DIR"), expected);
    scratch_end(scratch);
}

Test(data_source, too_long_or_not_text_is_refused) {
    static char text[2 * PATH_MAX];
    char scratch[64];
    struct error error = {0};
    struct data_source source = {0};
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "idx:/", 5);
    cr_expect_eq(data_source_settle(&source, text, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "longer than"), "%s", error.text);
    scratch_begin(scratch);
    cr_assert_eq(data_source_settle(&source, "idx:/\xff", &error), 0);
    cr_expect_eq(data_source_write(&source, scratch, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "the path of the data is not UTF-8"), "%s", error.text);
    scratch_end(scratch);
}
