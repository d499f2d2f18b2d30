/* What data a run was begun with: kept, read again, and what is not such a file. */
#include "deploy/source.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <string.h>

Test(source, is_read_as_written) {
    char folder[64];
    struct error error = {0};
    struct source written = {.data = "png:/a \"b\" \\ é", .hold_out = 5000, .transpose = true};
    struct source read = {.data = "before", .hold_out = 7};
    scratch_begin(folder);
    cr_expect_eq(source_read(&read, folder, &error), 0, "there is none yet");
    cr_expect_str_eq(read.data, "before");
    cr_expect_eq(read.hold_out, 7);
    cr_assert_eq(source_write(&written, folder, &error), 0, "%s", error.text);
    cr_expect_eq(source_read(&read, folder, &error), 1, "%s", error.text);
    cr_expect_str_eq(read.data, written.data);
    cr_expect_eq(read.hold_out, 5000);
    cr_expect(read.transpose);
    cr_expect_eq(scratch_count(folder), 1, "nothing lies beside it");
    scratch_end(folder);
}

static void expect_corrupt(const char *text, const char *words) {
    char folder[64], path[SCRATCH_PATH];
    struct source source = {.data = "before"};
    struct error error = {0};
    scratch_begin(folder);
    scratch_write(folder, "data.json", text, path);
    cr_expect_eq(source_read(&source, folder, &error), -1, "%s", text);
    cr_expect_eq(error.code, ERROR_CORRUPT, "%s", text);
    cr_expect(strstr(error.text, words), "'%s' lacks '%s'", error.text, words);
    cr_expect_str_eq(source.data, "before", "%s", text);
    scratch_end(folder);
}

Test(source, refuses_what_was_not_written_so) {
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

Test(source, says_where_it_cannot_be_written) {
    struct error error = {0};
    struct source source = {.data = "mnist"};
    cr_expect_eq(source_write(&source, "/nowhere/at/all", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "/nowhere/at/all/data.json"), "%s", error.text);
}
