/* A run that was begun with relative paths goes on from another folder, and is verified there,
 * without being told again where its data lies. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(places, .timeout = 300);

#define LIMITS "--train-limit=2000", "--test-limit=500"

/* Begins a run on `data` in this test's folder, and goes on with it and verifies it in another one.
 */
static void begin_here_and_go_on_elsewhere(struct e2e *run, const char *data, const char *runs) {
    int begun = e2e_start(run, "pipeline", "pipeline",
                          (const char *const[]){"--runs", runs, "--run=run", "--data", data,
                                                "--hold-out=300", "--loader=--train-limit=2000",
                                                "--loader=--test-limit=500", "--precision=f32",
                                                "--net=./my.net", "--recipe=./my.recipe",
                                                "--trainer=--batch=64", "--steps=20", NULL});
    cr_assert_eq(e2e_wait(run, begun), 0, "%s", data);
    cr_assert_eq(chdir("/"), 0);
    int resumed = e2e_start(run, "pipeline", "pipeline",
                            (const char *const[]){"--runs", run->folder, "--run=run", "--resume",
                                                  "--loader=--train-limit=2000",
                                                  "--loader=--test-limit=500", "--steps=40", NULL});
    cr_expect_eq(e2e_wait(run, resumed), 0, "%s", data);
    cr_expect_eq(e2e_summary_number(run, "steps"), 40);
    int verified =
        e2e_start(run, "verify", "verify", (const char *const[]){run->run, LIMITS, NULL});
    cr_expect_eq(e2e_wait(run, verified), 0, "%s", data);
    cr_expect(e2e_logged(run, verified, "verified: 40 batches of 64 pairs"), "%s", data);
    /* What is said counts. */
    int other = e2e_start(run, "verify", "verify",
                          (const char *const[]){run->run, LIMITS, "--hold-out=299", NULL});
    cr_expect_eq(e2e_wait(run, other), 2);
    cr_expect(e2e_logged(run, other, "the run was trained on a dataset with SHA-256"));
}

/* Copies a file of the project, which is the working folder of the tests. */
static void copy(const char *from, const char *to) {
    char command[1200];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    cr_assert_eq(system(command), 0);
}

/* In this test's folder: my.net, my.recipe, and the folder "data" that leads to MNIST. */
static bool prepare(struct e2e *run) {
    char path[PATH_MAX], mnist[PATH_MAX];
    e2e_begin(run);
    const char *named = getenv("MNIST_DIR");
    if (!named || !realpath(named, mnist))
        return false;
    snprintf(path, sizeof path, "%s/my.net", run->folder);
    copy("model/nets/tiny.net", path);
    snprintf(path, sizeof path, "%s/my.recipe", run->folder);
    copy("model/nets/tiny.recipe", path);
    cr_assert_eq(chdir(run->folder), 0);
    cr_assert_eq(mkdir("it's here", 0755), 0);
    cr_assert_eq(symlink(mnist, "it's here/data"), 0);
    return true;
}

Test(places, a_relative_path_of_data) {
    struct e2e run;
    if (prepare(&run))
        begin_here_and_go_on_elsewhere(&run, "idx:it's here/data/", ".");
    e2e_end(&run);
}

Test(places, a_relative_MNIST_DIR) {
    struct e2e run;
    if (prepare(&run)) {
        setenv("MNIST_DIR", "it's here/data", 1);
        begin_here_and_go_on_elsewhere(&run, "mnist", ".");
    }
    e2e_end(&run);
}
