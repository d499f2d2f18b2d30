/* What a person is warned of, on the real binaries: once each, in the log and in summary.json; and
 * how a run ends whose loss is no use. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(warnings, .timeout = 600);

static const char missing[] = "digits without a single image among the training images:";

/* How many of the summary's warnings begin so. */
static int warnings_like(const struct e2e *run, const char *text) {
    json_t *values = e2e_summary(run);
    const json_t *warnings = json_object_get(values, "warnings");
    cr_assert(json_is_array(warnings));
    int count = 0;
    size_t i;
    const json_t *warning;
    json_array_foreach(warnings, i, warning) count +=
        strncmp(json_string_value(warning), text, strlen(text)) == 0;
    json_decref(values);
    return count;
}

Test(warnings, several_loaders_say_the_same_once) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "5");
    e2e_loader(&run, "loader-2", "5");
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "10", NULL});
    e2e_expect(&run, trainer, "loader-1 joined");
    e2e_expect(&run, trainer, "loader-2 joined");
    e2e_augment(&run, "augment-1"); /* nothing is trained, and over, before it is there */
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_count(&run, trainer, missing), 1);
    cr_expect_eq(warnings_like(&run, missing), 1);
    e2e_end(&run);
}

/* Everything was scored, and status 0 is right; but the file that people look for is not there. */
Test(warnings, scores_that_nobody_records_are_told) {
    static const char words[] = "no evaluator with --run-dir joined:";
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader", "256");
    int evaluator =
        e2e_start(&run, "evaluator", "evaluator",
                  (const char *const[]){"--join", "@ADDRESS", "--name", "evaluator", NULL});
    int trainer =
        e2e_trainer(&run, (const char *const[]){"--steps", "8", "--expect-evaluator", NULL});
    e2e_expect(&run, trainer, "evaluator joined");
    e2e_augment(&run, "augment");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_wait(&run, evaluator), 0);
    cr_expect_eq(e2e_count(&run, trainer, words), 1);
    cr_expect_eq(warnings_like(&run, words), 1);
    e2e_end(&run);
}

static int diverging(struct e2e *run, const char *more) {
    const char *args[] = {"--bind",
                          "@ADDRESS",
                          "--run-dir",
                          "@RUN",
                          "--net",
                          "regress",
                          "--precision",
                          "f32",
                          "--threads",
                          "1",
                          "--steps",
                          "20",
                          "--optimizer",
                          "sgd",
                          "--rate",
                          "100",
                          "--momentum",
                          "0.99",
                          "--schedule",
                          "constant",
                          "--digit-weight",
                          "1000",
                          "--checkpoint-every",
                          "10",
                          more,
                          NULL};
    return e2e_start(run, "trainer", more ? "trainer-on" : "trainer", args);
}

Test(warnings, a_loss_that_is_not_a_number_ends_the_run) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    int trainer = diverging(&run, NULL);
    cr_expect_eq(e2e_wait(&run, trainer), 1);
    cr_expect(e2e_logged(&run, trainer, "trainer: the loss is "));
    cr_expect(e2e_logged(&run, trainer, "start again with a lower rate than --rate 100"));
    cr_expect(!e2e_logged(&run, trainer, "There was no checkpoint yet"));
    cr_expect_eq(warnings_like(&run, "the loss is "), 1);
    e2e_end(&run);
}

Test(warnings, a_run_that_keeps_going_is_resumed_only_by_the_same_option) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    int trainer = diverging(&run, "--keep-going");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_count(&run, trainer, "warning  the loss is "), 1);
    cr_expect_eq(warnings_like(&run, "the loss is "), 1);
    int again = e2e_start(&run, "trainer", "trainer-again",
                          (const char *const[]){"--bind", "@ADDRESS", "--resume", "@RUN", NULL});
    cr_expect_eq(e2e_wait(&run, again), 1);
    cr_expect(e2e_logged(&run, again, "step-000000020.safetensors holds weights that are not "));
    e2e_end(&run);
}
