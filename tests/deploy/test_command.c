/* The commands that the launcher suggests, and that a shell reads them as they were meant. */
#include "deploy/command.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(enum command_kind kind, const char *make, const char *const *given) {
    char *argv[16] = {"build/bin/pipeline"};
    int count = 1;
    struct launch launch = {0};
    struct error error = {0};
    struct command_origin origin = {.program = argv[0], .make = make};
    for (int i = 0; given[i]; i++)
        argv[count++] = (char *)given[i];
    struct options *options = options_parse(&launch_program, count, argv, &launch, &error);
    cr_assert_not_null(options, "%s", error.text);
    char *text = command_text(kind, &origin, "e", &launch, options);
    cr_assert_not_null(text);
    options_destroy(&options);
    return text;
}

static void expect(enum command_kind kind, const char *make, const char *const *given,
                   const char *expected) {
    char *text = text_of(kind, make, given);
    cr_expect_str_eq(text, expected, "%s", text);
    free(text);
}

static const char make[] = "make run-pipeline";

Test(command, going_on_leaves_out_what_the_run_knows) {
    const char *const given[] = {
        "--run=e",      "--net=tiny", "--data=idx:/it's", "--epochs=2.5", "--augmenters=3",
        "--device=cpu", NULL};
    expect(COMMAND_RESUME, NULL, given,
           "build/bin/pipeline --run=e --device=cpu --augmenters=3 --resume");
    expect(COMMAND_RESUME, make, given, "make run-pipeline RUN=e DEVICE=cpu AUGMENTERS=3 RESUME=1");
    expect(COMMAND_RESUME, make, (const char *const[]){"--net=tiny", NULL},
           "make run-pipeline RUN=e RESUME=1");
}

Test(command, keeping_going_is_asked_for_once) {
    expect(COMMAND_KEEP_GOING, NULL, (const char *const[]){"--run=e", "--net=tiny", NULL},
           "build/bin/pipeline --run=e --keep-going --resume");
    expect(COMMAND_KEEP_GOING, make, (const char *const[]){"--run=e", "--net=tiny", NULL},
           "make run-pipeline RUN=e KEEP_GOING=1 RESUME=1");
    expect(COMMAND_KEEP_GOING, make, (const char *const[]){"--run=e", "--keep-going", NULL},
           "make run-pipeline RUN=e KEEP_GOING=1 RESUME=1");
}

Test(command, beginning_again_says_all_that_was_given) {
    const char *const given[] = {"--run=e",        "--force",      "--net=tiny",  "--data",
                                 "idx:/it's here", "--epochs=2.5", "--transpose", NULL};
    expect(COMMAND_FORCE, NULL, given,
           "build/bin/pipeline --run=e --net=tiny --epochs=2.5 "
           "--data='idx:/it'\\''s here' --transpose --force");
    expect(COMMAND_FORCE, make, given,
           "make run-pipeline RUN=e NET=tiny EPOCHS=2.5 DATA='idx:/it'\\''s here' TRANSPOSE=1 "
           "FORCE=1");
}

Test(command, what_make_has_no_variable_for_goes_into_ARGS) {
    const char *const given[] = {"--runs=else where",    "--trainer=--threads=1",
                                 "--trainer=--batch=64", "--evaluators=0",
                                 "--net=tiny",           NULL};
    expect(COMMAND_RESUME, make, given,
           "make run-pipeline RUN=e ARGS='--runs='\\''else where'\\'' --evaluators=0 "
           "--trainer=--threads=1 --trainer=--batch=64' RESUME=1");
    expect(COMMAND_RESUME, NULL, given,
           "build/bin/pipeline --run=e --runs='else where' --evaluators=0 "
           "--trainer=--threads=1 --trainer=--batch=64 --resume");
}

/* That run may have been begun with another batch: naming ours would be refused. */
Test(command, an_older_run_goes_on_with_its_own_settings) {
    const char *const given[] = {"--runs=r", "--net=tiny", "--trainer=--batch=64",
                                 "--loader=--patience=9", NULL};
    expect(COMMAND_RESUME_OTHER, make, given,
           "make run-pipeline RUN=e ARGS='--runs=r --loader=--patience=9' RESUME=1");
    expect(COMMAND_RESUME_OTHER, NULL, given,
           "build/bin/pipeline --run=e --runs=r --loader=--patience=9 --resume");
}

/* make reads $$ as one $. */
Test(command, a_dollar_is_doubled_for_make_alone) {
    const char *const given[] = {"--data=idx:/a$$b$c", "--runs=$r", NULL};
    expect(COMMAND_FORCE, make, given,
           "make run-pipeline RUN=e DATA='idx:/a$$$$b$$c' ARGS='--runs='\\''$$r'\\''' FORCE=1");
    expect(COMMAND_FORCE, NULL, given,
           "build/bin/pipeline --run=e --runs='$r' --data='idx:/a$$b$c' --force");
}

Test(command, a_start_that_went_on_is_repeated_as_it_was) {
    expect(COMMAND_RESUME, make,
           (const char *const[]){"--run=e", "--resume", "--steps=700", "--data=png:/d", NULL},
           "make run-pipeline RUN=e STEPS=700 DATA=png:/d RESUME=1");
}

/* A shell takes each word apart again. */
Test(command, a_shell_reads_it_back) {
    static const char *const odd[] = {"it's", "a b", "a\"b", "$HOME", "`id`", "\\",  "a;b",
                                      "#",    "*",   "~/x",  "é ☃",   "'",    "a=b", "!x"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char data[64], command[512], got[256] = "", expected[256];
        snprintf(data, sizeof data, "--data=idx:/%s", odd[i]);
        char *text = text_of(COMMAND_FORCE, NULL, (const char *const[]){data, NULL});
        snprintf(command, sizeof command, "printf '<%%s>' %s", text);
        FILE *shell = popen(command, "r");
        cr_assert_not_null(shell);
        got[fread(got, 1, sizeof got - 1, shell)] = '\0';
        cr_expect_eq(pclose(shell), 0);
        snprintf(expected, sizeof expected, "<build/bin/pipeline><--run=e><%s><--force>", data);
        cr_expect_str_eq(got, expected);
        free(text);
    }
}

Test(command, watch_lies_beside_the_program) {
    struct command_origin origin = {.program = "./it's/pipeline"};
    char *text = command_watch(&origin, "/b", "ipc:///r/control");
    cr_expect_str_eq(text, "'./it'\\''s/watch' --join ipc:///r/control");
    free(text);
    origin = (struct command_origin){.program = "pipeline"};
    text = command_watch(&origin, "/b", "ipc:///r/control");
    cr_expect_str_eq(text, "/b/watch --join ipc:///r/control");
    free(text);
    origin = (struct command_origin){.program = "build/bin/pipeline",
                                     .make = "make -C '/x' run-pipeline"};
    text = command_watch(&origin, "/x/build/bin", "ipc:///r/control");
    cr_expect_str_eq(text, "/x/build/bin/watch --join ipc:///r/control");
    free(text);
}
