/* What is on disk when a run was cut off, on the real binaries: broken checkpoints, workers that
 * outlive their trainer, and a worker that cannot live. tests/chaos does the rest by the hundred.
 */
#include "common/sha256.h"
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(recovery, .timeout = 600);

static const char *const usual[] = {"--steps", "250", "--checkpoint-every", "50", "--keep",
                                    "100",     NULL};

static void calm_run(char sha256[SHA256_HEX], char chain[SHA256_HEX]) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    cr_assert_eq(e2e_wait(&run, e2e_trainer(&run, usual)), 0);
    e2e_summary_text(&run, "weights_sha256", sha256, SHA256_HEX);
    e2e_summary_text(&run, "chain_sha256", chain, SHA256_HEX);
    e2e_end(&run);
}

static void path_of(const struct e2e *run, int step, char path[static 400]) {
    snprintf(path, 400, "%s/checkpoints/step-%09d.safetensors", run->run, step);
}

/* As a bad disk would. */
static void flip_a_bit(const struct e2e *run, int step) {
    char path[400];
    path_of(run, step, path);
    FILE *file = fopen(path, "r+e");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fseek(file, -1000, SEEK_END), 0);
    int byte = fgetc(file);
    cr_assert_eq(fseek(file, -1000, SEEK_END), 0);
    cr_assert_neq(fputc(byte ^ 4, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

/* As a file system that lost the end of a file would. */
static void tear(const struct e2e *run, int step) {
    char path[400];
    path_of(run, step, path);
    cr_assert_eq(truncate(path, 5000), 0, "%s", path);
}

Test(recovery, broken_checkpoints_are_skipped_and_workers_join_the_next_trainer) {
    char calm[SHA256_HEX], resumed[SHA256_HEX], chain_calm[SHA256_HEX], chain_resumed[SHA256_HEX];
    calm_run(calm, chain_calm);
    struct e2e run;
    e2e_begin(&run);
    int loader = e2e_loader(&run, "loader-1", "2000"), augment = e2e_augment(&run, "augment-1");
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    int trainer = e2e_trainer(&run, usual);
    e2e_expect(&run, trainer, "step 125 scored");
    process_signal(&run.list[trainer].process, SIGKILL, false);
    cr_assert_eq(e2e_wait(&run, trainer), 128 + SIGKILL);
    /* Training may have gone on after 125, but whatever there is from there on is broken now. */
    int steps[] = {219, 200, 188, 157, 150, 125}, broken = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char path[400];
        path_of(&run, steps[i], path);
        if (access(path, F_OK) != 0)
            continue;
        (broken++ % 2 ? tear : flip_a_bit)(&run, steps[i]);
    }
    const char *const again[] = {"--bind",      "@ADDRESS", "--resume", "@RUN",
                                 "--precision", "auto",     NULL};
    int second = e2e_start(&run, "trainer", "trainer-again", again);
    cr_assert_eq(e2e_wait(&run, second), 0);
    cr_expect_eq(e2e_count(&run, second, "trying the one before"), broken);
    cr_expect(e2e_logged(&run, second, "step-000000125.safetensors"), "the broken one is named");
    cr_expect(e2e_logged(&run, second, "going on from step 100"));
    /* They were told by the new trainer that it does not know them, and stayed. */
    int members[] = {loader, augment, evaluator};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(e2e_wait(&run, members[i]), 0, "%s", run.list[members[i]].name);
        cr_expect_eq(e2e_count(&run, members[i], "joined ipc://"), 2, "%s joined %d times",
                     run.list[members[i]].name, e2e_count(&run, members[i], "joined ipc://"));
    }
    e2e_summary_text(&run, "weights_sha256", resumed, sizeof resumed);
    e2e_summary_text(&run, "chain_sha256", chain_resumed, sizeof chain_resumed);
    cr_expect_str_eq(calm, resumed);
    cr_expect_str_eq(chain_calm, chain_resumed);
    e2e_end(&run);
}

Test(recovery, no_run_is_begun_over_another) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    const char *const steps[] = {"--steps", "40", NULL};
    cr_assert_eq(e2e_wait(&run, e2e_trainer(&run, steps)), 0);
    int second = e2e_trainer(&run, steps);
    cr_expect_eq(e2e_wait(&run, second), 2);
    cr_expect(e2e_logged(&run, second, "has checkpoints of an earlier run"));
    cr_expect_eq(e2e_summary_number(&run, "steps"), 40, "it was touched");
    e2e_end(&run);
}

Test(recovery, no_whole_checkpoint_is_said) {
    struct e2e run;
    e2e_begin(&run);
    const char *const args[] = {"--bind", "@ADDRESS", "--resume", "@RUN", NULL};
    int trainer = e2e_start(&run, "trainer", "trainer", args);
    cr_expect_eq(e2e_wait(&run, trainer), 2);
    cr_expect(e2e_logged(&run, trainer, "there is no whole checkpoint in"));
    e2e_end(&run);
}

Test(recovery, fifth_death_within_a_minute_ends_the_run_with_the_last_words) {
    struct e2e run;
    e2e_begin(&run);
    const char *const args[] = {"--runs",
                                run.folder,
                                "--run",
                                "run",
                                "--data",
                                run.data,
                                "--loader=--train-limit=2000",
                                "--loader=--test-limit=500",
                                "--precision=f32",
                                "--trainer=--threads=1",
                                "--steps=1000000",
                                "--augmenters=1",
                                NULL};
    int pipeline = e2e_start(&run, "pipeline", "pipeline", args);
    e2e_expect_file(&run, "logs/augment-1.log");
    for (int death = 1; death <= 5; death++) {
        e2e_kill_matching(&run, "augment-1");
        if (death < 5)
            e2e_expect_count(&run, pipeline, "augment-1 runs again", death);
    }
    int status = e2e_wait(&run, pipeline);
    cr_expect_eq(status, 128 + SIGKILL, "status %d", status);
    cr_expect(e2e_logged(&run, pipeline, "augment-1"));
    cr_expect(e2e_logged(&run, pipeline, "was killed by signal 9"));
    e2e_expect_no_process(&run);
    e2e_end(&run);
}

Test(recovery, workers_without_names_live_side_by_side_and_namesakes_do_not) {
    struct e2e run;
    const char *const nameless[] = {"--join", "@ADDRESS", NULL};
    const char *const named[] = {"--join", "@ADDRESS", "--name", "twin", NULL};
    e2e_begin(&run);
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "150", NULL});
    int first = e2e_start(&run, "augment", "augment-a", nameless);
    int second = e2e_start(&run, "augment", "augment-b", nameless);
    int twin = e2e_start(&run, "augment", "twin-a", named);
    e2e_expect(&run, trainer, "augment twin joined");
    int other = e2e_start(&run, "augment", "twin-b", named);
    cr_expect_eq(e2e_wait(&run, twin), 4);
    cr_expect(e2e_logged(&run, twin, "give each a --name of its own"));
    int loader = e2e_loader(&run, "loader-1", "2000");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    int members[] = {first, second, other, loader};
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(e2e_wait(&run, members[i]), 0, "%s", run.list[members[i]].name);
        cr_expect_eq(e2e_count(&run, members[i], "joined ipc://"), 1);
    }
    e2e_end(&run);
}
