/* Options from recipe files and from JSON, and options as JSON. */
#include "tests/common/options_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file that holds `text`, named /tmp/digitsum-XXXXXX.recipe; remove it with drop. */
struct recipe {
    char path[40];
};

static struct recipe make(const char *text, size_t size) {
    struct recipe recipe = {.path = "/tmp/digitsum-XXXXXX.recipe"};
    int file = mkstemps(recipe.path, 7);
    cr_assert_geq(file, 0);
    cr_assert_eq(write(file, text, size), (ssize_t)size);
    close(file);
    return recipe;
}

static int read_recipe(struct options *options, const char *text, size_t size, char name[40],
                       struct error *error) {
    struct recipe recipe = make(text, size);
    int status = options_read_file(options, recipe.path, error);
    unlink(recipe.path);
    snprintf(name, 40, "%s", strrchr(recipe.path, '/') + 1);
    return status;
}

static void must_read(struct options *options, const char *text) {
    struct error error = {0};
    char name[40];
    cr_assert_eq(read_recipe(options, text, strlen(text), name, &error), 0, "%s", error.text);
}

Test(options_file, sets_every_kind) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    must_read(options, "# a recipe\n\nbatch = 64\nlearning-rate=2 # whole is fine\n"
                       "bias = -1.5e-3\n\tresume  =\ttrue\nnote = h\xc3\xa9\ndevice = cpu\n");
    cr_assert_eq(target.batch, 64);
    cr_assert_eq(target.rate, 2.0);
    cr_assert_eq(target.bias, -1.5e-3);
    cr_assert_eq(target.resume, true);
    cr_assert_str_eq(target.note, "h\xc3\xa9");
    cr_assert_str_eq(target.device, "cpu");
    cr_assert_str_eq(target.name, "trainer");
    cr_assert_not(options_given(options, "batch"), "given means on the command line");
    options_destroy(&options);
}

Test(options_file, may_write_a_low_line_for_a_dash) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    must_read(options, "learning_rate = 0.25");
    cr_assert_eq(target.rate, 0.25);
    options_destroy(&options);
}

Test(options_file, gives_way_to_the_command_line) {
    struct target target;
    struct options *options = options_rig_parse("-b 32 --resume --note mine", &target);
    must_read(options, "batch = 64\nresume = false\nnote = yours\ndevice = cuda");
    cr_assert_eq(target.batch, 32);
    cr_assert_eq(target.resume, true);
    cr_assert_str_eq(target.note, "mine");
    cr_assert_str_eq(target.device, "cuda");
    options_destroy(&options);
}

Test(options_file, may_have_a_byte_order_mark_and_crlf) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    must_read(options, "\xef\xbb\xbf"
                       "batch = 64\r\nnote = a \r\nlearning-rate = 2");
    cr_assert_eq(target.batch, 64);
    cr_assert_eq(target.rate, 2.0);
    options_destroy(&options);
}

Test(options_file, may_be_empty) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    must_read(options, "");
    cr_assert_eq(target.batch, 128);
    options_destroy(&options);
}

struct refusal {
    const char *text, *sentence; /* the sentence after the file's name */
};

/* clang-format off */
#define LINE "expected one setting a line, such as: rate = 0.01"
#define OLD " belongs to an older form that is not read any more; a recipe has one setting a line, such as: rate = 0.01"
static const struct refusal refusals[] = {
    {"\n\nfoo = 1", ":3:1: unknown setting 'foo'"},
    {"batch = 64\n  learning-rates = 1", ":2:3: unknown setting 'learning-rates'; did you mean 'learning-rate'?"},
    {"devcie = cpu", ":1:1: unknown setting 'devcie'; did you mean 'device'?"},
    {"nmae = x", ":1:1: unknown setting 'nmae'"}, /* name may not stand there */
    {"epochs = 0", ":1:1: epochs 0: must be a number from 1e-06 to 1000000"},
    {"learning = 1", ":1:1: unknown setting 'learning'; did you mean 'learning-rate'?"},
    {"name = x", ":1:1: 'name' may stand on the command line alone"},
    {"batch = 0", ":1:1: batch 0: must be a whole number from 1 to 8192"},
    {"\nbatch = 1.5", ":2:1: batch 1.5: must be a whole number from 1 to 8192"},
    {"learning_rate = 11", ":1:1: learning-rate 11: must be a number from 0 to 10"},
    {"bias = 1e999", ":1:1: bias 1e999: must be a number"},
    {"bias = nan", ":1:1: bias nan: must be a number"},
    {"batch = true", ":1:1: batch true: must be a whole number from 1 to 8192"},
    {"batch = 1,2", ":1:1: batch 1,2: must be a whole number from 1 to 8192"},
    {"batch = =1", ":1:1: batch =1: must be a whole number from 1 to 8192"},
    {"resume = 1", ":1:1: 'resume' must be true or false, not '1'"},
    {"device = gpu", ":1:1: device gpu: must be one of auto|cpu|cuda; did you mean 'cuda'?"},
    {"batch = 1\nbatch = 2", ":2:1: 'batch' is set twice"},
    {"learning_rate = 1\nlearning-rate = 2", ":2:1: 'learning-rate' is set twice"},
    {"batch = 1\nnote", ":2:1: " LINE},
    {"batch 5", ":1:1: " LINE},
    {"batch = 5 bias = 1", ":1:11: " LINE},
    {"note = two words", ":1:12: " LINE},
    {"note =", ":1:7: expected a value after '='"},
    {" = 5", ":1:2: expected a name before '='"},
    {"offset = 99999999999999999999", ":1:1: offset 99999999999999999999: must be a whole number"},
    {"note = caf\xe9", ":1:1: the line is not UTF-8"},
    {"/* ours */\nbatch = 64;\n", ":1:1: '/*'" OLD},
    {"batch = 64;", ":1:11: ';'" OLD},
    {"note = \"x\"", ":1:8: '\"'" OLD},
    {"batch = [1, 2]", ":1:9: '['" OLD},
};
/* clang-format on */

Test(options_file, refuses_with_file_and_line) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct target target;
        struct error error = {0};
        char name[40];
        struct options *options = options_rig_parse("", &target);
        const char *text = refusals[i].text;
        cr_expect_eq(read_recipe(options, text, strlen(text), name, &error), -1, "row %zu", i);
        cr_expect_eq(error.code, ERROR_INVALID, "row %zu: code %d", i, error.code);
        cr_expect_eq(strncmp(error.text, name, strlen(name)), 0, "row %zu: %s", i, error.text);
        cr_expect_str_eq(error.text + strlen(name), refusals[i].sentence);
        options_destroy(&options);
    }
}

/* A mistake is a mistake also where the command line has the last word. */
Test(options_file, refuses_what_is_unknown_whatever_was_given) {
    struct target target;
    struct error error = {0};
    char name[40];
    struct options *options = options_rig_parse("--batch 5", &target);
    cr_assert_eq(read_recipe(options, "batch = x", 9, name, &error), -1);
    cr_assert_str_eq(error.text + strlen(name),
                     ":1:1: batch x: must be a whole number from 1 to 8192");
    cr_assert_eq(target.batch, 5);
    options_destroy(&options);
}

Test(options_file, refuses_nul_bytes_and_giants) {
    struct target target;
    struct error error = {0};
    char name[40];
    struct options *options = options_rig_parse("", &target);
    cr_assert_eq(read_recipe(options, "batch\0= 5", 9, name, &error), -1);
    cr_assert_str_eq(error.text + strlen(name), ":1:6: a NUL byte has no place in a text");
    size_t size = 70000;
    char *blank = malloc(size);
    cr_assert_not_null(blank);
    memset(blank, ' ', size);
    cr_assert_eq(read_recipe(options, blank, size, name, &error), -1);
    cr_assert_not_null(strstr(error.text, " is larger than 65536 bytes (70000)"), "%s", error.text);
    free(blank);
    options_destroy(&options);
}

Test(options_file, says_why_a_file_cannot_be_read) {
    struct target target;
    struct error error = {0};
    struct options *options = options_rig_parse("", &target);
    cr_assert_eq(options_read_file(options, "/no/such.recipe", &error), -1);
    cr_assert_eq(error.code, ERROR_INVALID);
    cr_assert_str_eq(error.text,
                     "cannot read the recipe /no/such.recipe: No such file or directory");
    cr_assert_eq(options_read_file(options, "/tmp", &error), -1);
    cr_assert_eq(error.code, ERROR_INVALID);
    cr_assert_str_eq(error.text, "cannot read /tmp: it is not a regular file");
    options_destroy(&options);
}

static void expect_json(const struct options *options, unsigned mask, const char *expected) {
    json_t *values = options_to_json(options, mask);
    char *text = json_dumps(values, JSON_COMPACT);
    cr_assert_not_null(text);
    cr_expect_str_eq(text, expected);
    free(text);
    json_decref(values);
}

Test(options_json, writes_values_as_used) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    expect_json(
        options, 0,
        "{\"batch\":128,\"offset\":0,\"learning-rate\":0.5,\"bias\":0.0,\"resume\":false,"
        "\"name\":\"trainer\",\"note\":null,\"device\":\"auto\",\"precision\":null,\"seed\":1,"
        "\"epochs\":0.0,\"extra\":[]}");
    expect_json(options, OPTION_SETTING, "{\"batch\":128,\"learning-rate\":0.5,\"note\":null}");
    expect_json(options, OPTION_MANY, "{\"extra\":[]}");
    options_destroy(&options);
    options = options_rig_parse("--offset 9007199254740993 -l 0.1 -r --note x -e a -e b", &target);
    expect_json(options, OPTION_RECIPE | OPTION_MANY,
                "{\"batch\":128,\"offset\":9007199254740993,\"learning-rate\":0.10000000000000001,"
                "\"bias\":0.0,\"resume\":true,\"note\":\"x\",\"device\":\"auto\","
                "\"epochs\":0.0,\"extra\":[\"a\",\"b\"]}");
    options_destroy(&options);
}

Test(options_json, reads_back_what_it_wrote_to_the_bit) {
    struct target from, to;
    struct error error = {0};
    struct options *first = options_rig_parse(
        "-b 77 --offset -9223372036854775807 -l 0.1 --bias 1.7976931348623157e308 -r --note x",
        &from);
    json_t *values = options_to_json(first, OPTION_RECIPE);
    struct options *second = options_rig_parse("-d cpu", &to);
    cr_assert_eq(options_read_json(second, values, OPTION_RECIPE, &error), 0, "%s", error.text);
    cr_assert_eq(to.batch, 77);
    cr_assert_eq(to.offset, -9223372036854775807);
    cr_assert_eq(to.rate, from.rate);
    cr_assert_eq(to.bias, from.bias);
    cr_assert_eq(to.resume, true);
    cr_assert_str_eq(to.note, "x");
    cr_assert_str_eq(to.device, "cpu", "the command line has the last word");
    json_decref(values);
    options_destroy(&first);
    options_destroy(&second);
}

/* clang-format off */
static const struct refusal json_refusals[] = {
    {"{\"foo\": 1}", "unknown setting 'foo'"},
    {"{\"offset\": 1}", "unknown setting 'offset'"}, /* not OPTION_SETTING */
    {"{\"batch\": 0}", "setting batch 0: must be a whole number from 1 to 8192"},
    {"{\"batch\": 64.5}", "setting batch 64.5: must be a whole number from 1 to 8192"},
    {"{\"batch\": \"64\"}", "setting 'batch' must be a number"},
    {"{\"batch\": null}", "setting 'batch' must be a number"},
    {"{\"batch\": true}", "setting 'batch' must be a number"},
    {"{\"learning-rate\": [1]}", "setting 'learning-rate' must be a number"},
    {"{\"note\": 5}", "setting 'note' must be text in quotes"},
    {"{\"note\": [\"a\"]}", "setting 'note' must be text in quotes"},
};
/* clang-format on */

Test(options_json, refuses_with_the_name) {
    for (size_t i = 0; i < sizeof json_refusals / sizeof *json_refusals; i++) {
        struct target target;
        struct error error = {0};
        struct options *options = options_rig_parse("", &target);
        json_t *values = json_loads(json_refusals[i].text, 0, NULL);
        cr_assert_not_null(values);
        cr_expect_eq(options_read_json(options, values, OPTION_SETTING, &error), -1, "row %zu", i);
        cr_expect_eq(error.code, ERROR_INVALID, "row %zu: code %d", i, error.code);
        cr_expect_str_eq(error.text, json_refusals[i].sentence);
        json_decref(values);
        options_destroy(&options);
    }
}

Test(options_json, takes_what_was_not_set) {
    struct target target;
    struct error error = {0};
    struct options *options = options_rig_parse("", &target);
    json_t *values = json_loads("{\"note\": null, \"batch\": 2, \"epochs\": 0.0}", 0, NULL);
    cr_assert_eq(options_read_json(options, values, 0, &error), 0, "%s", error.text);
    cr_assert_null(target.note);
    cr_assert_eq(target.epochs, 0, "a length that was not given is recorded as 0");
    cr_assert_eq(target.batch, 2);
    json_decref(values);
    options_destroy(&options);
}
