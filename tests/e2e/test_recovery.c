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
    cr_expect_eq(e2e_count(&run, second, "trying the previous one"), broken);
    cr_expect(e2e_logged(&run, second, "step-000000125.safetensors"), "the broken one is named");
    cr_expect(e2e_logged(&run, second, "resuming from step 100"));
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

/* A queue that starts a job again, or a unit that still runs. */
Test(recovery, a_second_trainer_is_refused_and_changes_nothing) {
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    int first = e2e_trainer(&run, usual);
    e2e_expect_file(&run, "checkpoints/step-000000050.safetensors");
    process_signal(&run.list[first].process, SIGSTOP, false);
    const char *const fresh[] = {"--bind", "tcp://127.0.0.1:*", "--run-dir", "@RUN", NULL};
    const char *const resumed[] = {"--bind", "tcp://127.0.0.1:*", "--resume", "@RUN", NULL};
    int second = e2e_start(&run, "trainer", "trainer-2", fresh);
    int third = e2e_start(&run, "trainer", "trainer-3", resumed);
    cr_expect_eq(e2e_wait(&run, second), 4);
    cr_expect_eq(e2e_wait(&run, third), 4);
    char holder[64];
    snprintf(holder, sizeof holder, "process %d on ", (int)run.list[first].process.pid);
    cr_expect(e2e_logged(&run, second, "trainer: another trainer uses"));
    cr_expect(e2e_logged(&run, third, "trainer: another trainer uses"));
    cr_expect(e2e_logged(&run, third, holder), "the one that runs is named");
    process_signal(&run.list[first].process, SIGCONT, false);
    cr_expect_eq(e2e_wait(&run, first), 0);
    const char *const check[] = {
        "@RUN", "--data", run.data, "--train-limit=2000", "--test-limit=1000", NULL};
    int verify = e2e_start(&run, "verify", "verify", check);
    cr_expect_eq(e2e_wait(&run, verify), 0);
    e2e_end(&run);
}

/* Steps of evaluations.jsonl, in the order of its lines; the last line's SHA-256 in `sha256`. */
static int read_steps(const struct e2e *run, int steps[static 64], char sha256[SHA256_HEX]) {
    char path[400], line[2048];
    int count = 0;
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run->run);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        json_t *values = json_loads(line, 0, NULL);
        cr_assert_not_null(values);
        cr_assert_lt(count, 64);
        steps[count++] = (int)json_integer_value(json_object_get(values, "step"));
        snprintf(sha256, SHA256_HEX, "%s",
                 json_string_value(json_object_get(values, "checkpoint_sha256")));
        json_decref(values);
    }
    fclose(file);
    return count;
}

static void sha256_of(const char *path, char hex[SHA256_HEX]) {
    static uint8_t bytes[1 << 22];
    uint8_t digest[SHA256_SIZE];
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    cr_assert_lt(size, sizeof bytes);
    fclose(file);
    sha256_bytes(bytes, size, digest);
    sha256_hex(digest, hex);
}

Test(recovery, steps_that_are_made_again_are_evaluated_once_in_the_record) {
    struct e2e run;
    char path[400], last[SHA256_HEX], now[SHA256_HEX];
    int was[64], is[64];
    e2e_begin(&run);
    for (int round = 0; round < 2; round++) {
        const char *names[2][3] = {{"loader-1", "augment-1", "evaluator-1"},
                                   {"loader-2", "augment-2", "evaluator-2"}};
        const char *const again[] = {"--bind",      "@ADDRESS", "--resume",           "@RUN",
                                     "--precision", "auto",     "--expect-evaluator", NULL};
        e2e_loader(&run, names[round][0], "2000");
        e2e_augment(&run, names[round][1]);
        int evaluator = e2e_evaluator(&run, names[round][2]);
        const char *const begin[] = {"--steps", "250", "--checkpoint-every", "50",
                                     "--keep",  "100", "--expect-evaluator", NULL};
        int trainer =
            round ? e2e_start(&run, "trainer", "trainer-again", again) : e2e_trainer(&run, begin);
        cr_assert_eq(e2e_wait(&run, trainer), 0);
        cr_assert_eq(e2e_wait(&run, evaluator), 0);
        if (round == 1)
            break;
        cr_assert_eq(read_steps(&run, was, last), 12); /* 5 of 50 steps, 7 epochs of 31.25 */
        path_of(&run, 250, path);
        cr_assert_eq(unlink(path), 0);
        tear(&run, 219);
    }
    int count = read_steps(&run, is, last);
    cr_expect_eq(count, 12);
    for (int i = 0; i < count; i++)
        cr_expect_eq(is[i], was[i]);
    path_of(&run, 250, path);
    sha256_of(path, now);
    cr_expect_str_eq(last, now, "it is of the file that is there now");
    e2e_end(&run);
}

Test(recovery, no_run_is_begun_beside_the_record_of_another) {
    struct e2e run;
    char path[400];
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    cr_assert_eq(e2e_wait(&run, e2e_trainer(&run, (const char *const[]){"--steps", "5", NULL})), 0);
    path_of(&run, 5, path);
    cr_assert_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run.run);
    FILE *file = fopen(path, "we");
    fputs("{}\n", file);
    fclose(file);
    int second = e2e_trainer(&run, (const char *const[]){"--steps", "5", NULL});
    cr_expect_eq(e2e_wait(&run, second), 2);
    cr_expect(e2e_logged(&run, second, "has evaluations of an earlier run"));
    e2e_end(&run);
}

Test(recovery, no_whole_checkpoint_is_said) {
    struct e2e run;
    e2e_begin(&run);
    const char *const args[] = {"--bind", "@ADDRESS", "--resume", "@RUN", NULL};
    int trainer = e2e_start(&run, "trainer", "trainer", args);
    cr_expect_eq(e2e_wait(&run, trainer), 2);
    cr_expect(e2e_logged(&run, trainer, "there is no valid checkpoint in"));
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
            e2e_expect_count(&run, pipeline, "augment-1 restarted", death);
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
