/* The real binaries on 2,000 real images: they learn; and whatever happens to the workers, the
 * final weights are the same bits. */
#include "tests/e2e/run.h"

#include "common/sha256.h"
#include "model/checkpoint.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

TestSuite(training, .timeout = 600);

#define IMAGES "2000"

static const char *const usual[] = {"--steps", "250", "--checkpoint-every", "50", NULL};

/* A calm run with one loader and `augmenters` augmenters: the weights' SHA-256. */
static void calm_run(int augmenters, char sha256[SHA256_HEX], char chain[SHA256_HEX]) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", IMAGES);
    for (int i = 0; i < augmenters; i++) {
        char name[32];
        snprintf(name, sizeof name, "augment-%d", i + 1);
        e2e_augment(&run, name);
    }
    int trainer = e2e_trainer(&run, usual);
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    e2e_summary_text(&run, "weights_sha256", sha256, SHA256_HEX);
    e2e_summary_text(&run, "chain_sha256", chain, SHA256_HEX);
    for (int i = 0; i < trainer; i++)
        cr_assert_eq(e2e_wait(&run, i), 0, "%s did not leave in good order", run.list[i].name);
    e2e_end(&run);
}

/* Every checkpoint is scored once, in order: 50, 100, … 250 and the epochs' ends. */
static void expect_every_checkpoint_once(const struct e2e *run) {
    static const int steps[] = {32, 50, 63, 94, 100, 125, 150, 157, 188, 200, 219, 250};
    char path[400], line[2048];
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run->run);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    int count = 0;
    while (fgets(line, sizeof line, file)) {
        json_t *values = json_loads(line, 0, NULL);
        cr_assert_not_null(values);
        cr_assert_lt(count, 12);
        cr_expect_eq(json_integer_value(json_object_get(values, "step")), steps[count]);
        json_decref(values);
        count++;
    }
    fclose(file);
    cr_expect_eq(count, 12);
}

Test(training, learns_and_leaves_everything_in_its_form) {
    struct e2e run;
    e2e_begin(&run);
    int loader = e2e_loader(&run, "loader-1", IMAGES);
    int first = e2e_augment(&run, "augment-1"), second = e2e_augment(&run, "augment-2");
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    int trainer = e2e_trainer(&run, usual);
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_assert_eq(e2e_wait(&run, loader), 0);
    cr_assert_eq(e2e_wait(&run, first), 0);
    cr_assert_eq(e2e_wait(&run, second), 0);
    cr_assert_eq(e2e_wait(&run, evaluator), 0);
    /* Eight passes over 2,000 images reach about 96 %; chance is 10 and 5 to 10 %. */
    cr_expect_geq(e2e_summary_number(&run, "digit_accuracy"), 0.92);
    cr_expect_geq(e2e_summary_number(&run, "sum_accuracy"), 0.92);
    cr_expect_eq(e2e_summary_number(&run, "batches_consumed"), 250);
    cr_expect_eq(e2e_summary_number(&run, "messages_rejected"), 0);
    e2e_expect_file(&run, "settings.json");
    e2e_expect_file(&run, "best.safetensors");
    int report = e2e_start(&run, "report", "report", (const char *const[]){"@RUN", NULL});
    cr_expect_eq(e2e_wait(&run, report), 0);
    e2e_expect_file(&run, "plots/accuracy.svg");
    expect_every_checkpoint_once(&run);
    e2e_end(&run);
}

Test(training, killed_evaluator_scores_what_it_missed_once) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", IMAGES);
    e2e_augment(&run, "augment-1");
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    int trainer = e2e_trainer(&run, usual);
    e2e_expect(&run, trainer, "step 32 scored");
    process_signal(&run.list[evaluator].process, SIGKILL, false);
    cr_assert_eq(e2e_wait(&run, evaluator), 128 + SIGKILL);
    e2e_expect_file(&run, "checkpoints/step-000000219.safetensors");
    evaluator = e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_assert_eq(e2e_wait(&run, evaluator), 0);
    expect_every_checkpoint_once(&run);
    e2e_end(&run);
}

Test(training, number_of_augmenters_does_not_change_a_bit) {
    char one[SHA256_HEX], three[SHA256_HEX], chain_one[SHA256_HEX], chain_three[SHA256_HEX];
    calm_run(1, one, chain_one);
    calm_run(3, three, chain_three);
    cr_expect_str_eq(one, three);
    cr_expect_str_eq(chain_one, chain_three);
}

Test(training, killed_augmenter_and_loader_do_not_change_a_bit) {
    char calm[SHA256_HEX], wild[SHA256_HEX], chain_calm[SHA256_HEX], chain_wild[SHA256_HEX];
    calm_run(2, calm, chain_calm);
    struct e2e run;
    e2e_begin(&run);
    int loader = e2e_loader(&run, "loader-1", IMAGES);
    int augment = e2e_augment(&run, "augment-1");
    e2e_augment(&run, "augment-2");
    int trainer = e2e_trainer(&run, usual);
    e2e_expect_file(&run, "checkpoints/step-000000050.safetensors");
    process_signal(&run.list[augment].process, SIGKILL, false);
    cr_assert_eq(e2e_wait(&run, augment), 128 + SIGKILL);
    e2e_expect_file(&run, "checkpoints/step-000000125.safetensors");
    process_signal(&run.list[loader].process, SIGKILL, false);
    cr_assert_eq(e2e_wait(&run, loader), 128 + SIGKILL);
    e2e_loader(&run, "loader-1", IMAGES);
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    e2e_summary_text(&run, "weights_sha256", wild, sizeof wild);
    e2e_summary_text(&run, "chain_sha256", chain_wild, sizeof chain_wild);
    cr_expect_str_eq(calm, wild);
    cr_expect_str_eq(chain_calm, chain_wild);
    e2e_end(&run);
}

Test(training, interrupted_and_resumed_run_does_not_change_a_bit) {
    char calm[SHA256_HEX], resumed[SHA256_HEX], chain_calm[SHA256_HEX], chain_resumed[SHA256_HEX];
    calm_run(1, calm, chain_calm);
    struct e2e run;
    e2e_begin(&run);
    int loader = e2e_loader(&run, "loader-1", IMAGES);
    int augment = e2e_augment(&run, "augment-1");
    int trainer = e2e_trainer(&run, usual);
    e2e_expect_file(&run, "checkpoints/step-000000050.safetensors");
    process_signal(&run.list[trainer].process, SIGINT, false);
    cr_assert_eq(e2e_wait(&run, trainer), 130);
    cr_expect(e2e_logged(&run, trainer, "is safe; to resume: "));
    cr_expect_eq(e2e_wait(&run, loader), 0);
    cr_expect_eq(e2e_wait(&run, augment), 0);
    double stopped = e2e_summary_number(&run, "steps");
    cr_assert(stopped >= 50 && stopped < 250, "stopped at %g: too late to test anything", stopped);
    e2e_loader(&run, "loader-1", IMAGES);
    e2e_augment(&run, "augment-1");
    const char *const again[] = {"--bind", "@ADDRESS", "--run-dir", "@RUN", "--resume", NULL};
    trainer = e2e_start(&run, "trainer", "trainer", again);
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 250);
    e2e_summary_text(&run, "weights_sha256", resumed, sizeof resumed);
    e2e_summary_text(&run, "chain_sha256", chain_resumed, sizeof chain_resumed);
    cr_expect_str_eq(calm, resumed);
    cr_expect_str_eq(chain_calm, chain_resumed);
    e2e_end(&run);
}

/* Trains a run on to its end with workers of its own, and takes the weights' SHA-256. */
static void train_on(struct e2e *run, const char *const *args, char sha256[SHA256_HEX]) {
    int loader = e2e_loader(run, "loader-1", IMAGES);
    int augment = e2e_augment(run, "augment-1");
    int trainer = e2e_start(run, "trainer", "trainer", args);
    cr_assert_eq(e2e_wait(run, trainer), 0);
    cr_assert_eq(e2e_wait(run, loader), 0);
    cr_assert_eq(e2e_wait(run, augment), 0);
    e2e_summary_text(run, "weights_sha256", sha256, SHA256_HEX);
}

/* A rate that falls by epochs is a function of the step, whatever the run's length; Adadelta's sums
 * travel in the checkpoint; and what was not given is recorded as it was used. */
Test(training, adadelta_and_a_step_schedule_resume_to_the_bit) {
#define HOW                                                                                        \
    "--bind", "@ADDRESS", "--run-dir", "@RUN", "--net", "lenet5", "--precision", "f32",            \
        "--threads", "1", "--optimizer", "adadelta", "--rate", "1", "--schedule", "step",          \
        "--step-epochs", "0.5", "--gamma", "0.7", "--ema", "0.9"
    static const char *const longer[] = {HOW, "--steps", "60", NULL};
    static const char *const shorter[] = {HOW, "--steps", "25", NULL};
    static const char *const rest[] = {"--bind",   "@ADDRESS", "--run-dir", "@RUN",
                                       "--resume", "--steps",  "60",        NULL};
    static const char *const other[] = {"--bind",   "@ADDRESS", "--run-dir", "@RUN",
                                        "--resume", "--rho",    "0.5",       NULL};
    char whole[SHA256_HEX], half[SHA256_HEX], both[SHA256_HEX];
    struct e2e run;
    e2e_begin(&run);
    train_on(&run, longer, whole);
    e2e_end(&run);
    e2e_begin(&run);
    train_on(&run, shorter, half);
    train_on(&run, rest, both);
    cr_expect_str_eq(whole, both);
    cr_expect_str_neq(whole, half);
    int refused = e2e_start(&run, "trainer", "trainer", other);
    cr_expect_eq(e2e_wait(&run, refused), 2);
    cr_expect(e2e_logged(&run, refused, "the run was started with --rho 0.9, not 0.5"));
    e2e_end(&run);
}

Test(training, stops_when_the_goal_is_reached) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", IMAGES);
    e2e_augment(&run, "augment-1");
    e2e_evaluator(&run, "evaluator-1");
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "20000", "--checkpoint-every",
                                                          "50", "--until", "digit=80,sum=50",
                                                          "--rate", "0.003", NULL});
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_expect(e2e_logged(&run, trainer, "the goal is reached at step"));
    cr_expect_lt(e2e_summary_number(&run, "steps"), 20000);
    cr_expect_geq(e2e_summary_number(&run, "digit_accuracy"), 0.8);
    cr_expect_gt(e2e_summary_number(&run, "seconds_to_target"), 0);
    e2e_end(&run);
}

Test(training, trainer_says_what_it_waits_for) {
    struct e2e run;
    e2e_begin(&run);
    int trainer =
        e2e_trainer(&run, (const char *const[]){"--steps", "10", "--expect-evaluator", NULL});
    int watch = e2e_start(&run, "watch", "watch",
                          (const char *const[]){"--join", "@ADDRESS", "--progress", NULL});
    e2e_expect(&run, watch, "waiting for a loader");
    e2e_loader(&run, "loader-1", IMAGES);
    e2e_expect(&run, watch, "waiting for an augmenter");
    e2e_augment(&run, "augment-1");
    e2e_expect(&run, watch, "waiting for evaluations");
    e2e_evaluator(&run, "evaluator-1");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_wait(&run, watch), 0);
    e2e_end(&run);
}
