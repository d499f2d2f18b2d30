/* The files for other machines, with the real binaries: what they tell the programs is what those
 * take, and Slurm's job keeps a run alive. And make: its variables. The scripts say what they look
 * at. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(elsewhere, .timeout = 300);

static void passes(const char *path) {
    struct e2e run;
    char script[PATH_MAX], programs[PATH_MAX];
    e2e_begin(&run);
    cr_assert_not_null(realpath(path, script));
    e2e_program("", programs, sizeof programs);
    int process = e2e_start(&run, script, "check", (const char *const[]){programs, NULL});
    int status = e2e_wait(&run, process);
    char words[8000] = "";
    FILE *log = fopen(run.list[process].log, "re");
    if (log) {
        words[fread(words, 1, sizeof words - 1, log)] = '\0';
        fclose(log);
    }
    cr_expect_eq(status, 0, "%s ended with status %d: %s", path, status, words);
    e2e_end(&run);
}

Test(elsewhere, options_and_restarts_are_as_the_programs_have_them) {
    passes("tests/deploy/check-files");
}

Test(elsewhere, make_hands_on_its_variables_as_they_were_typed) {
    passes("tests/deploy/check-make");
}

Test(elsewhere, slurm_keeps_a_run_alive) {
    passes("tests/deploy/check-slurm");
}
