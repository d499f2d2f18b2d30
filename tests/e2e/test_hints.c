/* What the launcher says when a run cannot begin or was cut short: the commands that it suggests
 * lead on, and what cannot get better is tried once and leaves nothing. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(hints, .timeout = 300);

/* The line after the first one that has `front`, without its indent. */
static void line_after(const struct e2e *run, int process, const char *front, char *line,
                       size_t size) {
    FILE *log = fopen(run->list[process].log, "re");
    bool found = false;
    cr_assert_not_null(log);
    while (!found && fgets(line, (int)size, log))
        found = strstr(line, front) != NULL;
    cr_assert(found && fgets(line, (int)size, log), "there is no '%s'", front);
    fclose(log);
    cr_assert_eq(strncmp(line, "  ", 2), 0, "%s", line);
    memmove(line, line + 2, strlen(line + 2) + 1);
    line[strcspn(line, "\n")] = '\0';
}

static int start(struct e2e *run, const char *runs, const char *data, const char *more) {
    char data_option[PATH_MAX];
    snprintf(data_option, sizeof data_option, "--data=%s", data);
    const char *const args[] = {"--runs",
                                runs,
                                "--run=run",
                                data_option,
                                "--loader=--train-limit=2000",
                                "--loader=--test-limit=500",
                                "--net=tiny",
                                "--precision=f32",
                                "--trainer=--checkpoint-every=20",
                                more,
                                NULL};
    return e2e_start(run, "pipeline", "pipeline", args);
}

static int run_line(struct e2e *run, const char *line, const char *more) {
    char command[3000];
    snprintf(command, sizeof command, "exec %s %s", line, more);
    return e2e_start(run, "/bin/sh", "shell", (const char *const[]){"-c", command, NULL});
}

Test(hints, a_start_that_must_fail_is_tried_once_and_leaves_nothing) {
    static const char *const words[] = {"--steps=20", "--net=nosuch", "--trainer=--nonsense"};
    struct e2e run;
    char runs[300], bad[300], path[PATH_MAX];
    e2e_begin(&run);
    snprintf(runs, sizeof runs, "%s/runs", run.folder);
    snprintf(bad, sizeof bad, "idx:%s/bad", run.folder);
    cr_assert_eq(mkdir(bad + 4, 0755), 0);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", bad + 4);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fputs("this is not an IDX file", file);
    fclose(file);
    for (size_t i = 0; i < 4; i++) {
        const char *data = i == 0 ? "idx:/no/such" : i == 1 ? bad : run.data;
        int failed = start(&run, runs, data, words[i < 2 ? 0 : i - 1]);
        int status = e2e_wait(&run, failed);
        cr_expect(status == 2 || (i == 1 && (status == 2 || status == 3)), "%zu: %d", i, status);
        cr_expect_eq(e2e_count(&run, failed, "pipeline: "), 1);
        cr_expect_not(e2e_logged(&run, failed, "again"), "%zu: tried again, or told to", i);
        cr_expect_not(e2e_logged(&run, failed, "its log"), "%zu: the log is gone", i);
        cr_expect_eq(access(runs, F_OK), -1, "%zu: something is left", i);
    }
    int mended = start(&run, runs, run.data, "--steps=20");
    cr_expect_eq(e2e_wait(&run, mended), 0, "the corrected command does not work");
    e2e_end(&run);
}

Test(hints, the_command_that_goes_on_does) {
    struct e2e run;
    char runs[300], line[2000], more[64], path[PATH_MAX];
    e2e_begin(&run);
    snprintf(runs, sizeof runs, "%s/it's my runs", run.folder);
    snprintf(run.run, sizeof run.run, "%.200s/run", runs);
    int cut = start(&run, runs, run.data, "--steps=1000000");
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    process_signal(&run.list[cut].process, SIGINT, false);
    cr_expect_eq(e2e_wait(&run, cut), 130);
    line_after(&run, cut, "To resume from the last checkpoint:", line, sizeof line);
    snprintf(more, sizeof more, "--steps=%.0f", e2e_summary_number(&run, "steps") + 20);
    int resumed = run_line(&run, line, more);
    cr_expect_eq(e2e_wait(&run, resumed), 0, "%s", line);
    cr_expect(e2e_logged(&run, resumed, "Done:"));
    /* The name is taken: both ways out are said, and work. */
    int taken = start(&run, runs, run.data, "--steps=20");
    cr_expect_eq(e2e_wait(&run, taken), 4);
    cr_expect(e2e_logged(&run, taken, "To resume it:"));
    line_after(&run, taken, "To delete it and start again:", line, sizeof line);
    int anew = run_line(&run, line, "");
    cr_expect_eq(e2e_wait(&run, anew), 0, "%s", line);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 20);
    snprintf(path, sizeof path, "%s/run", runs);
    cr_expect_eq(access(path, F_OK), 0);
    e2e_end(&run);
}

Test(hints, stopped_before_anything_was_trained_leaves_nothing) {
    struct e2e run;
    char runs[300], join[400];
    e2e_begin(&run);
    snprintf(runs, sizeof runs, "%s/runs", run.folder);
    /* No loader ever joins: its address is another one. */
    snprintf(join, sizeof join, "--loader=--join=ipc://%s/nobody", run.folder);
    int pipeline = start(&run, runs, run.data, join);
    e2e_expect(&run, pipeline, "waiting for ");
    process_signal(&run.list[pipeline].process, SIGINT, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 130);
    cr_expect(e2e_logged(&run, pipeline, "stopped before anything was trained: nothing is kept"));
    cr_expect_eq(access(runs, F_OK), -1);
    e2e_end(&run);
}

/* The same command would end the same: there is none to paste, only what to change. */
Test(hints, a_run_that_diverged_at_once_is_not_told_to_begin_again) {
    struct e2e run;
    char runs[300], data[PATH_MAX];
    e2e_begin(&run);
    snprintf(runs, sizeof runs, "%s/runs", run.folder);
    snprintf(data, sizeof data, "--data=%s", run.data);
    int diverged = e2e_start(
        &run, "pipeline", "pipeline",
        (const char *const[]){"--runs", runs, "--run=run", data, "--loader=--train-limit=2000",
                              "--loader=--test-limit=500", "--net=regress", "--precision=f32",
                              "--steps=1000", "--trainer=--optimizer=sgd", "--trainer=--rate=100",
                              "--trainer=--momentum=0.99", "--trainer=--schedule=constant",
                              "--trainer=--digit-weight=1000", NULL});
    cr_expect_eq(e2e_wait(&run, diverged), 1);
    cr_expect(e2e_logged(
        &run, diverged,
        "start again with a lower rate than --rate 100, or keep training with --keep-going"));
    cr_expect_not(e2e_logged(&run, diverged, "to begin again:"));
    cr_expect_not(e2e_logged(&run, diverged, "no checkpoint yet"));
    cr_expect_not(e2e_logged(&run, diverged, "--force"));
    e2e_end(&run);
}
