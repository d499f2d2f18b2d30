/* trainer --describe and --dot on the real binary: text and nothing else. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(describe, .timeout = 120);

static int run_trainer(struct e2e *run, const char *option, const char *net) {
    int process = e2e_start(run, "trainer", "trainer", (const char *const[]){option, net, NULL});
    e2e_wait(run, process);
    return process;
}

Test(describe, prints_the_network_and_ends) {
    struct e2e run;
    e2e_begin(&run);
    int table = run_trainer(&run, "--describe", "quick");
    cr_expect_eq(run.list[table].status, 0);
    cr_expect(e2e_logged(&run, table, "network quick: 20,393 trainable parameters"));
    cr_expect(e2e_logged(&run, table, "16x24x24"));
    int file = run_trainer(&run, "--describe", "model/nets/branch_add.net");
    cr_expect_eq(run.list[file].status, 0);
    cr_expect(e2e_logged(&run, file, "58,653"));
    int dot = run_trainer(&run, "--dot", "quick");
    cr_expect_eq(run.list[dot].status, 0);
    cr_expect(e2e_logged(&run, dot, "digraph \"quick\" {"));
    cr_expect(e2e_logged(&run, dot, "\"logits\" -> \"guess\";"));
    e2e_end(&run);
}

Test(describe, refuses_as_training_would) {
    struct e2e run;
    e2e_begin(&run);
    int unknown = run_trainer(&run, "--describe", "nothing_such");
    cr_expect_eq(run.list[unknown].status, 2);
    cr_expect(e2e_logged(&run, unknown, "there is no network 'nothing_such'"));
    cr_expect_eq(e2e_plain_lines(&run, unknown), 1);
    int missing = run_trainer(&run, "--dot", "./nothing_such.net");
    cr_expect_eq(run.list[missing].status, 2);
    cr_expect(e2e_logged(&run, missing, "./nothing_such.net"));
    /* A file that is not a network is refused with line and column. */
    char path[300];
    snprintf(path, sizeof path, "%s/broken.net", run.folder);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fputs("name = broken\n\nc convolution image\n", file);
    cr_assert_eq(fclose(file), 0);
    int broken = run_trainer(&run, "--describe", path);
    cr_expect_eq(run.list[broken].status, 2);
    cr_expect(e2e_logged(&run, broken, "broken.net:3:3: there is no kind of node"));
    cr_expect_eq(e2e_plain_lines(&run, broken), 1);
    cr_expect_eq(access(run.run, F_OK), -1, "a run folder was made");
    e2e_end(&run);
}
