/* SIGTERM to programs that are in the middle of something that does not end: an engine whose steps
 * and predictions hang (tests/model/plugin). */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(hanging, .timeout = 300);

/* Beside this test program. */
static void use_hanging_engine(void) {
    char own[PATH_MAX / 2], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    cr_assert(length > 0);
    own[length] = '\0';
    *strrchr(own, '/') = '\0';
    snprintf(path, sizeof path, "%s/plugin/hanging.so", own);
    setenv("DIGITSUM_CUDA", path, 1);
}

static int start_trainer(struct e2e *run) {
    const char *const more[] = {"--device", "cuda", "--steps", "10", NULL};
    use_hanging_engine();
    e2e_begin(run);
    e2e_loader(run, "loader-1", "600");
    e2e_augment(run, "augment-1");
    int trainer = e2e_trainer(run, more);
    e2e_expect(run, trainer, "this never ends");
    return trainer;
}

Test(hanging, a_trainer_gives_up_its_step) {
    struct e2e run;
    int trainer = start_trainer(&run);
    process_signal(&run.list[trainer].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, trainer), 130);
    cr_expect(e2e_logged(&run, trainer, "stopped after step 0 of 10: the next one did not end"));
    cr_expect_eq(e2e_summary_number(&run, "steps"), 0);
    cr_expect_eq(e2e_wait(&run, 0), 0, "the loader was not told");
    cr_expect_eq(e2e_wait(&run, 1), 0, "the augmenter was not told");
    e2e_end(&run); /* asserts that no socket is left */
}

Test(hanging, a_second_signal_ends_a_trainer_at_once) {
    struct e2e run;
    int trainer = start_trainer(&run);
    process_signal(&run.list[trainer].process, SIGTERM, false);
    e2e_expect(&run, trainer, "stopping: ");
    process_signal(&run.list[trainer].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, trainer), 130);
    cr_expect_not(e2e_logged(&run, trainer, "given up"));
    process_signal(&run.list[0].process, SIGKILL, false); /* its sockets were left */
    e2e_end(&run);
}

Test(hanging, an_evaluator_gives_up_its_scoring) {
    struct e2e run;
    const char *const args[] = {"--join",   "@ADDRESS", "--name", "evaluator-1",
                                "--device", "cuda",     NULL};
    const char *const steps[] = {"--device", "cpu", "--steps", "10", NULL};
    use_hanging_engine();
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "600");
    e2e_augment(&run, "augment-1");
    int evaluator = e2e_start(&run, "evaluator", "evaluator", args);
    e2e_trainer(&run, steps);
    e2e_expect(&run, evaluator, "this never ends");
    process_signal(&run.list[evaluator].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, evaluator), 130);
    cr_expect(e2e_logged(&run, evaluator, "evaluator: did not stop in time after a signal"));
    e2e_end(&run);
}
