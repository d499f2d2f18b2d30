/* See options_rig.h. */
#include "tests/common/options_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(struct target, field)

/* clang-format off */
static const struct option_row rows[] = {
    {.help = "What"},
    {"batch", 'b', OPTION_INT, AT(batch), 1, 8192, NULL, "128", "N", "pairs in a step",
     OPTION_RECIPE | OPTION_SETTING},
    {"offset", 0, OPTION_INT, AT(offset), 0, 0, NULL, NULL, "N", "any whole number", OPTION_RECIPE},
    {"learning-rate", 'l', OPTION_REAL, AT(rate), 0, 10, NULL, "0.5", "X", "how fast",
     OPTION_RECIPE | OPTION_SETTING},
    {"bias", 0, OPTION_REAL, AT(bias), 0, 0, NULL, NULL, "X", "any number", OPTION_RECIPE},
    {.help = "How"},
    {"resume", 'r', OPTION_FLAG, AT(resume), 0, 0, NULL, NULL, NULL, "go on", OPTION_RECIPE},
    {"name", 'n', OPTION_TEXT, AT(name), 0, 0, NULL, "trainer", "NAME", "in logs", 0},
    {"note", 0, OPTION_TEXT, AT(note), 0, 0, NULL, NULL, "TEXT", "for people",
     OPTION_RECIPE | OPTION_SETTING},
    {"device", 'd', OPTION_CHOICE, AT(device), 0, 0, "auto|cpu|cuda", "auto", "DEVICE",
     "where to compute", OPTION_RECIPE},
    {"precision", 0, OPTION_CHOICE, AT(precision), 0, 0, "f32|bf16", NULL, "TYPE", "of numbers", 0},
    {"seed", 0, OPTION_INT, AT(seed), 0, 9007199254740991.0, NULL, "1", "N", "of it all", 0},
    {"epochs", 0, OPTION_REAL, AT(epochs), 1e-6, 1e6, NULL, NULL, "X", "how long", OPTION_RECIPE},
    {"extra", 'e', OPTION_TEXT, AT(extra), 0, 0, NULL, NULL, "TEXT", "may be repeated", OPTION_MANY},
};
/* clang-format on */

const struct options_program options_rig = {
    .name = "rig",
    .summary = "Tests options.",
    .example = "rig --batch 64 quick",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
    .positional = "[NET]",
    .positional_offset = AT(net),
};

struct options *options_rig_try(const char *const *argv, struct target *target,
                                struct error *error) {
    char *whole[16] = {(char *)"rig"};
    int count = 1;
    for (; *argv; argv++) {
        cr_assert_lt(count, 15);
        whole[count++] = (char *)*argv;
    }
    return options_parse(&options_rig, count, whole, target, error);
}

struct options *options_rig_parse(const char *arguments, struct target *target) {
    char text[256];
    char *rest = text;
    const char *argv[16] = {NULL};
    struct error error = {0};
    snprintf(text, sizeof text, "%s", arguments);
    for (int i = 0; *text && rest; i++)
        argv[i] = strsep(&rest, " ");
    *target = TARGET;
    struct options *options = options_rig_try(argv, target, &error);
    cr_assert_not_null(options, "%s", error.text);
    cr_assert_str_eq(target->guard, "guard");
    return options;
}
