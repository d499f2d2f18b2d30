/* The commands that the launcher suggests, and that a shell reads them as they were meant. */
#include "deploy/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(enum command_kind kind, const char *make, const char *runs,
                     const char *const *given) {
    char *argv[16] = {"build/bin/pipeline"};
    struct command_origin origin = {.argv = argv, .make = make, .given = ""};
    for (int i = 0; given[i]; i++)
        argv[i + 1] = (char *)given[i];
    char *text = command_text(kind, &origin, "e", runs);
    cr_assert_not_null(text);
    return text;
}

static void expect(enum command_kind kind, const char *const *given, const char *expected) {
    char *text = text_of(kind, NULL, NULL, given);
    cr_expect_str_eq(text, expected, "%s", text);
    free(text);
}

static void expect_make(enum command_kind kind, const char *given, const char *runs,
                        const char *expected) {
    char *argv[] = {"build/bin/pipeline", "--net=tiny", NULL};
    struct command_origin origin = {.argv = argv, .make = "make run-pipeline", .given = given};
    char *text = command_text(kind, &origin, "e", runs);
    cr_assert_not_null(text);
    cr_expect_str_eq(text, expected, "%s", text);
    free(text);
}

Test(command, repeats_what_was_given) {
    const char *const given[] = {"--run=f",      "--net=tiny", "--data",   "idx:/it's here",
                                 "--epochs=2.5", "--",         "--seed=7", NULL};
    expect(COMMAND_RESUME, given,
           "build/bin/pipeline --run=e --resume --net=tiny --data 'idx:/it'\\''s here' "
           "--epochs=2.5 -- --seed=7");
    expect(COMMAND_FORCE, given,
           "build/bin/pipeline --run=e --force --net=tiny --data 'idx:/it'\\''s here' "
           "--epochs=2.5 -- --seed=7");
    expect_make(COMMAND_RESUME, " NET='tiny' DATA='idx:/a$$b'", NULL,
                "make run-pipeline RUN=e NET='tiny' DATA='idx:/a$$b' RESUME=1");
    expect_make(COMMAND_FORCE, " NET='tiny'", NULL, "make run-pipeline RUN=e NET='tiny' FORCE=1");
}

Test(command, names_the_run_and_the_start_anew) {
    expect(COMMAND_RESUME, (const char *const[]){"--force", "--run", "f", "--runs=r", NULL},
           "build/bin/pipeline --run=e --resume --runs=r");
    expect(COMMAND_FORCE, (const char *const[]){"--res", "--run=f", "--f", NULL},
           "build/bin/pipeline --run=e --force");
}

Test(command, keeping_going_is_asked_for_once) {
    expect(COMMAND_KEEP_GOING, (const char *const[]){"--net=tiny", NULL},
           "build/bin/pipeline --run=e --resume --keep-going --net=tiny");
    expect(COMMAND_KEEP_GOING, (const char *const[]){"--keep-going", NULL},
           "build/bin/pipeline --run=e --resume --keep-going");
    expect_make(COMMAND_KEEP_GOING, " NET='tiny'", NULL,
                "make run-pipeline RUN=e NET='tiny' KEEP_GOING=1 RESUME=1");
    expect_make(COMMAND_KEEP_GOING, " KEEP_GOING='1'", NULL,
                "make run-pipeline RUN=e KEEP_GOING='1' RESUME=1");
}

/* That run may have been started with another batch: naming ours would be refused. */
Test(command, an_older_run_resumes_with_its_own_settings) {
    char *text = text_of(COMMAND_RESUME_OTHER, NULL, "my runs",
                         (const char *const[]){"--net=tiny", "--runs=my runs", NULL});
    cr_expect_str_eq(text, "build/bin/pipeline --run=e --resume --runs='my runs'");
    free(text);
    expect_make(COMMAND_RESUME_OTHER, " NET='tiny'", NULL, "make run-pipeline RUN=e RESUME=1");
    /* make reads $$ as one $. */
    expect_make(COMMAND_RESUME_OTHER, " ARGS='--runs=$$r'", "$r",
                "make run-pipeline RUN=e ARGS='--runs='\\''$$r'\\''' RESUME=1");
}

/* A shell takes each word apart again. */
Test(command, a_shell_reads_it_back) {
    static const char *const odd[] = {"it's", "a b", "a\"b", "$HOME", "`id`", "\\",  "a;b",
                                      "#",    "*",   "~/x",  "é ☃",   "'",    "a=b", "!x"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char data[64], command[512], got[256] = "", expected[256];
        snprintf(data, sizeof data, "--data=idx:/%s", odd[i]);
        char *text = text_of(COMMAND_FORCE, NULL, NULL, (const char *const[]){data, NULL});
        snprintf(command, sizeof command, "printf '<%%s>' %s", text);
        FILE *shell = popen(command, "r");
        cr_assert_not_null(shell);
        got[fread(got, 1, sizeof got - 1, shell)] = '\0';
        cr_expect_eq(pclose(shell), 0);
        snprintf(expected, sizeof expected, "<build/bin/pipeline><--run=e><--force><%s>", data);
        cr_expect_str_eq(got, expected);
        free(text);
    }
}

Test(command, watch_lies_beside_the_program) {
    char *here[] = {"./it's/pipeline", NULL}, *found[] = {"pipeline", NULL},
         *built[] = {"build/bin/pipeline", NULL};
    struct command_origin origin = {.argv = here};
    char *text = command_watch(&origin, "/b", "ipc:///r/control");
    cr_expect_str_eq(text, "'./it'\\''s/watch' --join ipc:///r/control");
    free(text);
    origin = (struct command_origin){.argv = found};
    text = command_watch(&origin, "/b", "ipc:///r/control");
    cr_expect_str_eq(text, "/b/watch --join ipc:///r/control");
    free(text);
    origin = (struct command_origin){.argv = built, .make = "make -C '/x' run-pipeline"};
    text = command_watch(&origin, "/x/build/bin", "ipc:///r/control");
    cr_expect_str_eq(text, "/x/build/bin/watch --join ipc:///r/control");
    free(text);
}
