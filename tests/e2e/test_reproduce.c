/* bench/reproduce on the real binaries: what is finished stays, what was cut short goes on, and
 * what has changed is trained again. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(reproduce, .timeout = 600);

static void write_file(const struct e2e *run, const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", run->folder, name);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void read_file(const struct e2e *run, const char *name, char *text, size_t size) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", run->folder, name);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s: %s", path, strerror(errno));
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* A network of our own and its recipe in the test's folder, so that a test can change them. */
static void begin(struct e2e *run, const char *list) {
    e2e_begin(run);
    setenv("DIGITSUM_NETS", run->folder, 1);
    write_file(run, "list.ini", list);
    write_file(run, "small.net",
               "name = small\n"
               "d dense image units=10\n"
               "a onehot digit\n"
               "b concat d a\n"
               "s dense b units=19\n"
               "output digit = d\noutput sum = s\n");
    write_file(run, "small.recipe", "rate = 0.001\n");
    snprintf(run->run, sizeof run->run, "%s/small.1", run->folder);
}

/* Every run is of 2,000 images. */
static int start(struct e2e *run, const char *net, const char *steps) {
    char script[PATH_MAX], programs[PATH_MAX], list[300], out[300], data[64], length[64];
    cr_assert_not_null(realpath("bench/reproduce", script));
    e2e_program("", programs, sizeof programs);
    snprintf(list, sizeof list, "%s/list.ini", run->folder);
    snprintf(out, sizeof out, "%s/out.md", run->folder);
    snprintf(data, sizeof data, "--data=%s", run->data);
    snprintf(length, sizeof length, "--steps=%s", steps);
    const char *args[24] = {"--list", list, "--runs",     run->folder,
                            "--out",  out,  "--programs", programs};
    int count = 8;
    if (net)
        args[count++] = net;
    const char *const rest[] = {"--",
                                data,
                                length,
                                "--loader=--train-limit=2000",
                                "--loader=--test-limit=500",
                                "--precision=f32",
                                "--trainer=--threads=1",
                                "--trainer=--checkpoint-every=20"};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        args[count++] = rest[i];
    return e2e_start(run, script, "reproduce", args);
}

static bool have_python(void) {
    return system("command -v python3 >/dev/null") == 0;
}

Test(reproduce, finished_runs_stay_and_changed_ones_are_trained_again) {
    if (!have_python())
        cr_skip_test("skipped: python3 is not installed");
    struct e2e run;
    char before[8192], after[8192], sha[80];
    begin(&run, "[small]\nseeds = 1 2\nreported = all of them\n");
    int first = start(&run, NULL, "40");
    cr_assert_eq(e2e_wait(&run, first), 0);
    read_file(&run, "out.md", before, sizeof before);
    cr_expect(strstr(before, "2 of 2 runs are finished"));
    cr_expect(strstr(before, "all of them"));
    cr_expect(strstr(before, "| small | 2 | "), "no line over the seeds: %s", before);
    cr_expect(strstr(before, "make run-pipeline NET=small SEED=2"));
    e2e_summary_text(&run, "weights_sha256", sha, sizeof sha);
    sha[16] = '\0';
    cr_expect(strstr(before, sha), "the weights' SHA-256 is not in the table");

    int second = start(&run, NULL, "40");
    cr_assert_eq(e2e_wait(&run, second), 0);
    cr_expect(e2e_logged(&run, second, "[2 of 2] small, seed 2: finished before"));
    cr_expect_not(e2e_logged(&run, second, "training"));
    read_file(&run, "out.md", after, sizeof after);
    cr_expect_str_eq(strstr(before, "| network"), strstr(after, "| network"));

    write_file(&run, "small.recipe", "rate = 0.002\n");
    int third = start(&run, NULL, "40");
    cr_assert_eq(e2e_wait(&run, third), 0);
    cr_expect(e2e_logged(&run, third, "[1 of 2] small, seed 1: training"));
    read_file(&run, "out.md", after, sizeof after);
    cr_expect_not(strstr(after, sha), "another recipe gave the same weights");
    e2e_end(&run);
}

Test(reproduce, what_was_cut_short_goes_on) {
    if (!have_python())
        cr_skip_test("skipped: python3 is not installed");
    struct e2e run;
    begin(&run, "[small]\n");
    int cut = start(&run, NULL, "2000");
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    process_signal(&run.list[cut].process, SIGTERM, false);
    cr_assert_eq(e2e_wait(&run, cut), 130);
    cr_expect(e2e_logged(&run, cut, "the same command goes on from here"));
    cr_expect_eq(e2e_count_processes(run.folder), 0, "a process is left");
    cr_assert_lt(e2e_summary_number(&run, "steps"), 2000);
    int rest = start(&run, NULL, "2000");
    cr_assert_eq(e2e_wait(&run, rest), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 2000);
    char log[700], text[4096];
    snprintf(log, sizeof log, "small.1/logs/trainer.log");
    read_file(&run, log, text, sizeof text);
    cr_expect(strstr(text, "resuming from step"), "it began anew: %s", text);
    e2e_end(&run);
}

Test(reproduce, refuses_what_is_not_in_the_list) {
    if (!have_python())
        cr_skip_test("skipped: python3 is not installed");
    struct e2e run;
    begin(&run, "[small]\n[small:fast]\n");
    int unknown = start(&run, "large", "20");
    cr_expect_eq(e2e_wait(&run, unknown), 1);
    cr_expect(e2e_logged(&run, unknown, "has no large: it has small, small:fast"));
    int misspelt = start(&run, "smal", "20");
    cr_expect_eq(e2e_wait(&run, misspelt), 1);
    cr_expect(
        e2e_logged(&run, misspelt, "has no smal: it has small, small:fast; did you mean 'small'?"));
    /* A network that cannot be trained is named, and has no row. */
    int failing = start(&run, "small:fast", "20");
    cr_expect_eq(e2e_wait(&run, failing), 1);
    cr_expect(e2e_logged(&run, failing, "failed: small (fast)"));
    e2e_end(&run);
}
