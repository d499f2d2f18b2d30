/* Programs that are started with less than they are used to: standard descriptors that are closed,
 * limits on files. A shell sets that up and becomes the program. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(startup, .timeout = 300);

/* Starts `program` with these arguments behind `before` and `after` in a shell's command. */
static int start(struct e2e *run, const char *program, const char *before, const char *after) {
    char path[400], command[2000];
    e2e_program(program, path, sizeof path);
    snprintf(command, sizeof command, "%s exec %s %s", before, path, after);
    return e2e_start(run, "/bin/sh", program, (const char *const[]){"-c", command, NULL});
}

Test(startup, what_is_printed_does_not_go_into_the_record) {
    char after[1200], line[4096];
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "l", "640");
    e2e_augment(&run, "a");
    snprintf(after, sizeof after, "--join %s --run-dir %s 0<&- 1>&- 2>&-", run.address, run.run);
    int evaluator = start(&run, "evaluator", "", after);
    const char *const more[] = {"--steps", "20", "--expect-evaluator", NULL};
    cr_assert_eq(e2e_wait(&run, e2e_trainer(&run, more)), 0);
    cr_expect_eq(e2e_wait(&run, evaluator), 0);
    snprintf(after, sizeof after, "%s/evaluations.jsonl", run.run);
    FILE *file = fopen(after, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        json_t *value = json_loads(line, 0, NULL);
        cr_expect_not_null(value, "%s", line);
        json_decref(value);
    }
    fclose(file);
    e2e_end(&run);
}

Test(startup, a_limit_on_file_sizes_is_told) {
    char after[1200];
    struct e2e run;
    e2e_begin(&run);
    e2e_loader(&run, "l", "640");
    e2e_augment(&run, "a");
    snprintf(after, sizeof after,
             "--bind %s --run-dir %s --net quick --precision f32 --threads 1 --batch 64 --steps 20",
             run.address, run.run);
    int trainer = start(&run, "trainer", "ulimit -f 100;", after);
    cr_expect_eq(e2e_wait(&run, trainer), 1);
    cr_expect(e2e_logged(&run, trainer, "File too large"));
    e2e_end(&run);
}

Test(startup, too_few_descriptors_are_refused) {
    static const char *const programs[] = {"trainer",  "loader", "augment", "evaluator",
                                           "pipeline", "watch",  "verify"};
    struct e2e run;
    e2e_begin(&run);
    for (int i = 0; i < 7; i++) {
        int process = start(&run, programs[i], "ulimit -n 100;", "");
        cr_expect_eq(e2e_wait(&run, process), 2, "%s", programs[i]);
        cr_expect(e2e_logged(&run, process, ": only 100 files may be open at a time (ulimit -Hn)"),
                  "%s", programs[i]);
    }
    e2e_end(&run);
}
