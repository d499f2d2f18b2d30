/* The real binaries with the CUDA engine on the emulated device: it is found and opened, it trains,
 * and a run whose device goes ends with one line and goes on to the same bits. */
#include "tests/e2e/run.h"

#include "common/sha256.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(cuda, .timeout = 600);

#define DEVICE_LOST 6 /* error_exit_status(ERROR_DEVICE) */

static const char *const emulated[] = {
    "--device", "cuda", "--steps", "24", "--checkpoint-every", "8", "--graph-steps", "1", NULL};

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
    int trainer = e2e_trainer(run, emulated);
    unsetenv("EMULATOR_LOST");
    e2e_loader(run, "loader-1", "2000");
    e2e_augment(run, "augment-1");
    return e2e_wait(run, trainer);
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
    cr_expect_eq(train(&run, "15"), DEVICE_LOST);
    cr_expect(e2e_logged(&run, 0,
                         "are safe: go on from the newest with the same command and "
                         "--resume"));
    const char *const again[] = {"--bind",   "@ADDRESS", "--run-dir", "@RUN",
                                 "--device", "cuda",     "--resume",  NULL};
    int trainer = e2e_start(&run, "trainer", "trainer-2", again);
    e2e_loader(&run, "loader-2", "2000");
    e2e_augment(&run, "augment-2");
    cr_assert_eq(e2e_wait(&run, trainer), 0);
    e2e_summary_text(&run, "weights_sha256", resumed, sizeof resumed);
    cr_expect_str_eq(calm, resumed);
    e2e_end(&run);
}
