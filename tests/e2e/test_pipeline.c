/* The launcher on the real binaries: a whole run, its ends, and that nothing is left of it. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(pipeline, .timeout = 600);

/* Starts `pipeline` on 2,000 images with the runs folder in this test's own. */
static int start_as(struct e2e *run, const char *program, const char *data, const char *steps,
                    const char *more) {
    char data_option[64], steps_option[64];
    snprintf(data_option, sizeof data_option, "--data=%s", data);
    snprintf(steps_option, sizeof steps_option, "--steps=%s", steps);
    const char *const args[] = {"--runs",
                                run->folder,
                                "--run",
                                "run",
                                data_option,
                                "--loader=--train-limit=2000",
                                "--loader=--test-limit=1000",
                                "--precision=f32",
                                "--trainer=--threads=1",
                                "--trainer=--checkpoint-every=20",
                                steps_option,
                                more,
                                NULL};
    return e2e_start(run, program, "pipeline", args);
}

static int start(struct e2e *run, const char *data, const char *steps, const char *more) {
    return start_as(run, "pipeline", data, steps, more);
}

/* Goes on with it to `steps` without a word on its data, but for the limits. */
static int resume(struct e2e *run, const char *steps, const char *more) {
    char steps_option[64];
    snprintf(steps_option, sizeof steps_option, "--steps=%s", steps);
    const char *const args[] = {"--runs",
                                run->folder,
                                "--run",
                                "run",
                                "--resume",
                                "--loader=--train-limit=2000",
                                "--loader=--test-limit=1000",
                                steps_option,
                                more,
                                NULL};
    return e2e_start(run, "pipeline", "pipeline", args);
}

Test(pipeline, whole_run) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "60", NULL);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(e2e_logged(&run, pipeline, "Done:"));
    cr_expect(e2e_logged(&run, pipeline, "digit accuracy"));
    cr_expect_eq(e2e_logged(&run, pipeline, "SYNTHETIC"), strcmp(run.data, "synthetic") == 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 60);
    e2e_expect_file(&run, "plots/accuracy.svg");
    e2e_expect_file(&run, "plots/loss.png");
    cr_expect_eq(e2e_count_processes(run.folder), 0, "a process is left");
    /* The name is taken now. */
    int again = start(&run, run.data, "60", NULL);
    cr_expect_eq(e2e_wait(&run, again), 4);
    cr_expect(e2e_logged(&run, again, "exists"));
    int forced = start(&run, run.data, "20", "--force");
    cr_expect_eq(e2e_wait(&run, forced), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 20);
    e2e_end(&run);
}

Test(pipeline, synthetic_digits_are_announced) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, "synthetic", "20", NULL);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(e2e_logged(&run, pipeline, "SYNTHETIC DIGITS: THIS IS NOT MNIST"));
    json_t *summary = e2e_summary(&run);
    cr_expect(json_is_true(json_object_get(summary, "synthetic")));
    json_decref(summary);
    e2e_end(&run);
}

/* Something else than a folder stands where the pictures go. */
Test(pipeline, pictures_that_cannot_be_drawn_are_only_a_warning) {
    struct e2e run;
    char path[400];
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "40", NULL);
    e2e_expect_file(&run, "settings.json");
    snprintf(path, sizeof path, "%s/plots", run.run);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fclose(file);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(e2e_logged(&run, pipeline, "warning: the charts were not drawn"));
    cr_expect(e2e_logged(&run, pipeline, "plots: expected a folder"));
    e2e_end(&run);
}

/* With a report that never ends beside the real programs. The run itself has ended well. */
Test(pipeline, interrupted_while_drawing_the_run_has_ended_well) {
    struct e2e run;
    char bin[300], path[400], real[400], command[2800];
    e2e_begin(&run);
    snprintf(bin, sizeof bin, "%s/bin", run.folder);
    e2e_program("", real, sizeof real);
    snprintf(command, sizeof command,
             "mkdir '%s' && cp '%s/pipeline' '%s' && for name in loader augment trainer evaluator; "
             "do ln -s \"$(realpath '%s')/$name\" '%s'; done && "
             "printf '#!/bin/sh\\nexec sleep 1000\\n' >'%s/report' && chmod +x '%s/report'",
             bin, real, bin, real, bin, bin, bin);
    cr_assert_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/pipeline", bin);
    int pipeline = start_as(&run, path, run.data, "20", NULL);
    e2e_expect_file(&run, "logs/report.log");
    process_signal(&run.list[pipeline].process, SIGINT, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(e2e_logged(&run, pipeline, "warning: the charts were not drawn"));
    cr_expect(e2e_logged(&run, pipeline, "Done:"));
    cr_expect_eq(e2e_count_processes(bin), 0, "a process is left");
    e2e_end(&run);
}

Test(pipeline, interrupted_once_saves_and_leaves_nothing) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "100000", NULL);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    e2e_expect(&run, pipeline, "  digit "); /* an evaluation: something to draw */
    process_signal(&run.list[pipeline].process, SIGINT, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 130);
    cr_expect(e2e_logged(&run, pipeline, "pipeline --run=run --resume --runs"));
    e2e_expect_file(&run, "plots/accuracy.svg");
    cr_expect_eq(e2e_count_processes(run.folder), 0, "a process is left");
    char steps[32];
    snprintf(steps, sizeof steps, "%.0f", e2e_summary_number(&run, "steps") + 20);
    int resumed = start(&run, run.data, steps, "--resume");
    cr_expect_eq(e2e_wait(&run, resumed), 0);
    char got[32];
    snprintf(got, sizeof got, "%.0f", e2e_summary_number(&run, "steps"));
    cr_expect_str_eq(got, steps);
    e2e_end(&run); /* asserts that no socket or temporary file is left */
}

Test(pipeline, interrupted_twice_ends_at_once) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "100000", NULL);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    process_signal(&run.list[pipeline].process, SIGINT, false);
    process_signal(&run.list[pipeline].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 130);
    cr_expect_eq(e2e_count_processes(run.folder), 0, "a process is left");
    e2e_end(&run);
}

Test(pipeline, killed_launcher_takes_its_processes_along) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "100000", NULL);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    cr_assert_gt(e2e_count_processes(run.folder), 4);
    process_signal(&run.list[pipeline].process, SIGKILL, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 128 + SIGKILL);
    e2e_expect_no_process(&run);
    e2e_end(&run);
}

Test(pipeline, dead_worker_is_started_again) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "150", "--augmenters=1");
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    e2e_kill_matching(&run, "augment-1");
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(e2e_logged(&run, pipeline, "restarting it"));
    cr_expect_eq(e2e_summary_number(&run, "steps"), 150);
    e2e_end(&run);
}

Test(pipeline, held_out_images_take_the_place_of_the_test_set) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "20", "--hold-out=700");
    cr_assert_eq(e2e_wait(&run, pipeline), 0);
    char dataset[200], path[400], line[1024];
    e2e_summary_text(&run, "dataset", dataset, sizeof dataset);
    cr_expect(strstr(dataset, ", 700 training images held out"), "%s", dataset);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", run.run);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    cr_expect(fgets(line, sizeof line, file) && strstr(line, "\"count\": 700,"), "%s", line);
    fclose(file);
    /* What was trained without some images is not gone on with on these. */
    const char *const others[] = {"--hold-out=0", "--hold-out=701"};
    for (int i = 0; i < 2; i++) {
        int other = resume(&run, "40", others[i]);
        cr_expect_eq(e2e_wait(&run, other), 4, "%s", others[i]);
        cr_expect(e2e_logged(&run, other, "has another dataset: expected "), "%s", others[i]);
        cr_expect_eq(e2e_summary_number(&run, "steps"), 20);
    }
    /* A resumed run knows its data and what of it is held out. */
    int resumed = resume(&run, "40", NULL);
    cr_expect_eq(e2e_wait(&run, resumed), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 40);
    e2e_summary_text(&run, "dataset", dataset, sizeof dataset);
    cr_expect(strstr(dataset, ", 700 training images held out"), "%s", dataset);
    e2e_end(&run);
}

Test(pipeline, watch_prints_reports) {
    struct e2e run;
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "100000", NULL);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    char address[400];
    snprintf(address, sizeof address, "ipc://%s/sockets/control", run.run);
    int watch = e2e_start(&run, "watch", "watch", (const char *const[]){"--join", address, NULL});
    e2e_expect(&run, watch, "digit ");
    process_signal(&run.list[pipeline].process, SIGINT, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 130);
    cr_expect_eq(e2e_wait(&run, watch), 0);
    e2e_end(&run);
}

/* To begin anew with FORCE=1 would throw nothing away here, but be the wrong advice. */
Test(pipeline, a_folder_that_was_moved_is_told) {
    struct e2e run;
    char now[400];
    e2e_begin(&run);
    int pipeline = start(&run, run.data, "100000", NULL);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    process_signal(&run.list[pipeline].process, SIGSTOP, false);
    snprintf(now, sizeof now, "%s-elsewhere", run.run);
    cr_assert_eq(rename(run.run, now), 0);
    process_signal(&run.list[pipeline].process, SIGINT, false);
    process_signal(&run.list[pipeline].process, SIGCONT, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 1, "the trainer cannot write");
    cr_expect(e2e_logged(&run, pipeline, "is no longer at "));
    cr_expect(e2e_logged(&run, pipeline, "-elsewhere"));
    cr_expect(e2e_logged(&run, pipeline, " --resume"));
    cr_expect_not(e2e_logged(&run, pipeline, "--force"));
    e2e_end(&run);
}
