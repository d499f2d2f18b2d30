/* The real binaries with the CUDA engine on the emulated device: it is found and opened, it trains
 * and scores, its precision is recorded and taken over, and a run whose device goes ends with one
 * line and goes on to the same bits. */
#include "tests/e2e/run.h"

#include "common/sha256.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(cuda, .timeout = 600);

#define DEVICE_LOST 6 /* error_exit_status(ERROR_DEVICE) */

/* Few steps on few samples: under the sanitizers the emulated device is slow. */
static int start_trainer(struct e2e *run, const char *precision) {
    const char *const args[] = {"--bind",
                                "@ADDRESS",
                                "--run-dir",
                                "@RUN",
                                "--net",
                                "quick",
                                "--device",
                                "cuda",
                                "--precision",
                                precision,
                                "--batch",
                                "16",
                                "--steps",
                                "12",
                                "--graph-steps",
                                "1",
                                "--checkpoint-every",
                                "4",
                                NULL};
    return e2e_start(run, "trainer", "trainer", args);
}

/* Has the programs that start from now on open the emulated engine. Skips where it was not built.
 */
static void use_emulator(void) {
    char trainer[400], engine[500];
    e2e_program("trainer", trainer, sizeof trainer);
    char *bin = strrchr(trainer, '/');
    cr_assert(bin);
    *bin = '\0';
    snprintf(engine, sizeof engine, "%s/../lib/emulated/libdigitsum_cuda.so", trainer);
    if (access(engine, R_OK))
        cr_skip_test("skipped: no emulated CUDA device, since there is no CUDA toolkit here");
    setenv("DIGITSUM_CUDA", engine, 1);
}

/* A trainer on the emulated device with a loader and an augmenter; its exit status. */
static int train(struct e2e *run, const char *lost_at) {
    if (lost_at)
        setenv("EMULATOR_LOST", lost_at, 1);
    int trainer = start_trainer(run, "f32");
    unsetenv("EMULATOR_LOST");
    e2e_loader(run, "loader-1", "2000");
    e2e_augment(run, "augment-1");
    return e2e_wait(run, trainer);
}

/* Starts a trainer that goes on with the run: `more` follows. */
static int resume(struct e2e *run, const char *const *more) {
    const char *args[16] = {"--bind", "@ADDRESS", "--run-dir", "@RUN", "--resume"};
    for (int i = 0; more[i]; i++)
        args[5 + i] = more[i];
    return e2e_start(run, "trainer", "trainer-again", args);
}

Test(cuda, a_lost_device_costs_no_bit) {
    char calm[SHA256_HEX], resumed[SHA256_HEX];
    struct e2e run;
    use_emulator();
    e2e_begin(&run);
    cr_assert_eq(train(&run, NULL), 0);
    cr_expect(e2e_logged(&run, 0, "engine cuda, f32: cuda: emulated device"));
    e2e_summary_text(&run, "weights_sha256", calm, sizeof calm);
    e2e_end(&run);

    e2e_begin(&run);
    cr_expect_eq(train(&run, "7"), DEVICE_LOST);
    cr_expect(e2e_logged(&run, 0, " is safe; to resume: "));
    int trainer = resume(&run, (const char *const[]){"--device", "cuda", NULL});
    e2e_loader(&run, "loader-2", "2000");
    e2e_augment(&run, "augment-2");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    e2e_summary_text(&run, "weights_sha256", resumed, sizeof resumed);
    cr_expect_str_eq(calm, resumed);
    e2e_end(&run);
}

Test(cuda, tf32_is_recorded_and_taken_over) {
    struct e2e run;
    char text[16];
    use_emulator();
    e2e_begin(&run);
    int trainer = start_trainer(&run, "tf32");
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_wait(&run, evaluator), 0);
    cr_expect(e2e_logged(&run, trainer, "engine cuda, tf32: cuda: emulated device"));
    cr_expect(e2e_logged(&run, evaluator, "on engine cuda, tf32: cuda: emulated device"));
    e2e_summary_text(&run, "precision", text, sizeof text);
    cr_expect_str_eq(text, "tf32");

    int other = resume(&run, (const char *const[]){"--precision", "f32", NULL});
    cr_expect_eq(e2e_wait(&run, other), 2);
    cr_expect(
        e2e_logged(&run, other, "the run was started with --precision \"tf32\", not \"f32\""));
    int cpu = resume(&run, (const char *const[]){"--device", "cpu", NULL});
    cr_expect_eq(e2e_wait(&run, cpu), 2);
    cr_expect(e2e_logged(&run, cpu, "--resume: the run was started in tf32 ("));
    cr_expect(e2e_logged(&run, cpu, "TF32 is a format of GPUs; use f32 or bf16"));
    int same = resume(&run, (const char *const[]){"--device", "cuda", "--steps", "14", NULL});
    e2e_loader(&run, "loader-2", "2000");
    e2e_augment(&run, "augment-2");
    e2e_evaluator(&run, "evaluator-2");
    cr_expect_eq(e2e_wait(&run, same), 0);
    cr_expect(e2e_logged(&run, same, "engine cuda, tf32: "));
    e2e_end(&run);
}

/* The launcher does not start a trainer again whose device went: it says how to go on. */
Test(cuda, the_launcher_tells_of_a_lost_device) {
    struct e2e run;
    use_emulator();
    e2e_begin(&run);
    char data[64];
    snprintf(data, sizeof data, "--data=%s", run.data);
    const char *args[] = {"--runs",
                          run.folder,
                          "--run=run",
                          data,
                          "--loader=--train-limit=2000",
                          "--loader=--test-limit=1000",
                          "--device=cuda",
                          "--precision=f32",
                          "--graph-steps=1",
                          "--steps=12",
                          "--trainer=--batch=16",
                          "--trainer=--checkpoint-every=4",
                          "--evaluators=0",
                          "--augmenters=1",
                          NULL};
    setenv("EMULATOR_LOST", "7", 1);
    int lost = e2e_start(&run, "pipeline", "pipeline", args);
    unsetenv("EMULATOR_LOST");
    cr_expect_eq(e2e_wait(&run, lost), DEVICE_LOST);
    cr_expect(e2e_logged(&run, lost, "trainer ended with status 6: "));
    cr_expect(e2e_logged(&run, lost, "To resume from the last checkpoint:"));
    cr_expect_eq(e2e_count_processes(run.folder), 0, "a process is left");
    const char *const again[] = {"--runs",
                                 run.folder,
                                 "--run=run",
                                 data,
                                 "--resume",
                                 "--device=cuda",
                                 "--evaluators=0",
                                 "--augmenters=1",
                                 "--loader=--train-limit=2000",
                                 "--loader=--test-limit=1000",
                                 NULL};
    int resumed = e2e_start(&run, "pipeline", "pipeline-again", again);
    cr_expect_eq(e2e_wait(&run, resumed), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 12);
    e2e_end(&run);
}
