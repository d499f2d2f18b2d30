/* The launcher on processors that lack something, and with fewer of them than before: a run ends
 * well, or is refused with a sentence, but its weights are never silently others. */
#include "tests/e2e/run.h"

#include "common/processors.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(processors, .timeout = 600);

/* Starts `pipeline` for ten steps of tiny on 600 images; `more` is NULL-ended. */
static int start(struct e2e *run, const char *const *more) {
    const char *args[32] = {"--runs", run->folder, "--run", "run", "--data", run->data};
    int count = 6;
    const char *const usual[] = {"--net=tiny", "--device=cpu", "--augmenters=1",
                                 "--loader=--train-limit=600", "--loader=--test-limit=200"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        args[count++] = usual[i];
    for (int i = 0; more[i]; i++)
        args[count++] = more[i];
    args[count] = NULL;
    return e2e_start(run, "pipeline", "pipeline", args);
}

static bool in_log(const struct e2e *run, const char *name, const char *text) {
    char path[400], line[2048];
    bool found = false;
    snprintf(path, sizeof path, "%s/logs/%s.log", run->run, name);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return found;
}

static void trains_in_f32_on(const char *instructions) {
    struct e2e run;
    setenv("ONEDNN_MAX_CPU_ISA", instructions, 1);
    e2e_begin(&run);
    const char *const steps[] = {"--steps=10", NULL};
    int pipeline = start(&run, steps);
    cr_expect_eq(e2e_wait(&run, pipeline), 0, "%s", instructions);
    cr_expect(e2e_logged(&run, pipeline, "Done:"), "%s", instructions);
    cr_expect(e2e_logged(&run, pipeline, "cpu, f32"), "%s: the table does not say f32",
              instructions);
    cr_expect(in_log(&run, "trainer", "training in f32, since bf16 is not available: "));
    cr_expect_gt(e2e_summary_number(&run, "digit_accuracy"), 0, "%s: not scored", instructions);
    e2e_end(&run);
}

Test(processors, a_run_on_avx2_ends_well) {
    trains_in_f32_on("AVX2");
}

Test(processors, a_run_on_sse41_ends_well) {
    trains_in_f32_on("SSE41");
}

Test(processors, a_run_on_avx512_without_bf16_ends_well) {
    trains_in_f32_on("AVX512_CORE");
}

Test(processors, bf16_by_name_is_refused_where_there_is_none) {
    struct e2e run;
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    e2e_begin(&run);
    const char *const steps[] = {"--steps=10", "--precision=bf16", NULL};
    int pipeline = start(&run, steps);
    cr_expect_eq(e2e_wait(&run, pipeline), 2);
    cr_expect(e2e_logged(&run, pipeline, "--precision=bf16: "));
    cr_expect(e2e_logged(&run, pipeline, "use f32"));
    cr_expect_not(e2e_logged(&run, pipeline, "restarting it"));
    e2e_end(&run);
}

Test(processors, an_evaluator_told_bf16_is_refused_where_there_is_none) {
    struct e2e run;
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    e2e_begin(&run);
    const char *const args[] = {"--join",   "@ADDRESS", "--precision", "bf16",
                                "--device", "cpu",      NULL};
    int evaluator = e2e_start(&run, "evaluator", "evaluator", args);
    cr_expect_eq(e2e_wait(&run, evaluator), 2);
    cr_expect(e2e_logged(&run, evaluator, "--precision=bf16: "));
    e2e_end(&run);
}

Test(processors, a_run_in_bf16_is_not_gone_on_with_where_there_is_none) {
    struct e2e run;
    e2e_begin(&run);
    const char *const steps[] = {"--steps=5", "--precision=auto", NULL};
    const char *const more[] = {"--steps=10", "--resume", NULL};
    char precision[8];
    cr_assert_eq(e2e_wait(&run, start(&run, steps)), 0);
    e2e_summary_text(&run, "precision", precision, sizeof precision);
    if (strcmp(precision, "bf16") != 0) {
        e2e_end(&run);
        cr_skip_test("this processor has no bf16 itself");
    }
    setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", 1);
    int pipeline = start(&run, more);
    cr_expect_eq(e2e_wait(&run, pipeline), 2);
    cr_expect(e2e_logged(&run, pipeline, "--resume: the run was started in bf16"));
    cr_expect(e2e_logged(&run, pipeline, "resume it on a machine that has bf16"));
    const char *const others[] = {"--steps=10", "--resume", "--other-bits", NULL};
    pipeline = start(&run, others);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect(in_log(&run, "trainer", "training in f32, since bf16 is not available: "));
    cr_expect(e2e_logged(&run, pipeline, "the precision was bf16 and is f32 from here on"));
    e2e_end(&run);
}

/* What was trained in bf16 elsewhere is scored in f32. */
Test(processors, an_evaluator_without_bf16_scores_a_run_in_bf16) {
    struct e2e run;
    const char *const steps[] = {"--precision", "auto", "--steps", "20", NULL};
    char precision[8];
    e2e_begin(&run);
    e2e_loader(&run, "loader-1", "600");
    e2e_augment(&run, "augment-1");
    int trainer = e2e_trainer(&run, steps);
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    int evaluator = e2e_evaluator(&run, "evaluator-1");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_wait(&run, evaluator), 0);
    e2e_summary_text(&run, "precision", precision, sizeof precision);
    if (strcmp(precision, "bf16") == 0)
        cr_expect(e2e_logged(&run, evaluator, "scoring in f32, since bf16 is not available: "));
    cr_expect_gt(e2e_summary_number(&run, "digit_accuracy"), 0);
    e2e_end(&run);
}

/* --- as many threads as there are processors ---------------------------------------------------
 */

/* Returns what it was before. */
static cpu_set_t keep_first_processor(void) {
    cpu_set_t all, one;
    CPU_ZERO(&one);
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    return all;
}

static int newest_checkpoint(const struct e2e *run) {
    char path[400];
    int newest = 0, step;
    snprintf(path, sizeof path, "%s/checkpoints", run->run);
    DIR *folder = opendir(path);
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (sscanf(entry->d_name, "step-%d.safetensors", &step) == 1 && step > newest)
            newest = step;
    closedir(folder);
    return newest;
}

static void need_two_processors(void) {
    cpu_set_t all;
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2)
        cr_skip_test("there is one processor");
}

static int available(void) {
    struct processors machine;
    processors_read(&machine);
    return processors_available(&machine);
}

static int recorded_threads(const struct e2e *run) {
    json_t *summary = e2e_summary(run);
    const json_t *computed = json_object_get(summary, "computed_with");
    json_int_t threads = json_integer_value(json_object_get(computed, "threads"));
    cr_expect_eq(json_integer_value(json_object_get(summary, "threads")), threads);
    cr_expect_not_null(json_string_value(json_object_get(computed, "instructions")));
    cr_expect_not_null(json_string_value(json_object_get(computed, "library")));
    json_decref(summary);
    return (int)threads;
}

/* Under this setting of the environment ten steps end, with so many threads; 0: however many. */
static void ends_with(const char *name, const char *value, int threads) {
    struct e2e run;
    setenv(name, value, 1);
    e2e_begin(&run);
    const char *const steps[] = {"--steps=10", NULL};
    int pipeline = start(&run, steps);
    cr_expect_eq(e2e_wait(&run, pipeline), 0, "%s=%s", name, value);
    int got = recorded_threads(&run);
    cr_expect(threads == 0 ? got > 0 : got == threads, "%s=%s: %d threads", name, value, got);
    e2e_end(&run);
    unsetenv(name);
}

/* It stood at step 0 for ever. */
Test(processors, a_thread_limit_below_the_processors_does_not_hang) {
    ends_with("OMP_THREAD_LIMIT", "1", 1);
}

Test(processors, the_environment_of_openmp_is_respected) {
    ends_with("OMP_NUM_THREADS", "1", 1);
    ends_with("OMP_NUM_THREADS", "1,4", 1);
    ends_with("OMP_NUM_THREADS", "many", 0);
    ends_with("OMP_MAX_ACTIVE_LEVELS", "0", 0);
    ends_with("OMP_DYNAMIC", "true", 0);
    ends_with("OMP_PROC_BIND", "true", available()); /* the first thread is bound to one of them */
    ends_with("OMP_PLACES", "{0}", 0);
}

Test(processors, more_threads_than_processors_are_cut_and_told) {
    struct e2e run;
    keep_first_processor();
    e2e_begin(&run);
    const char *const steps[] = {"--steps=10", "--trainer=--threads=4", NULL};
    cr_expect_eq(e2e_wait(&run, start(&run, steps)), 0);
    cr_expect_eq(recorded_threads(&run), 1);
    cr_expect(in_log(&run, "trainer", "--threads=4 is cut to 1: there are no more processors"));
    e2e_end(&run);
}

#define LONG "--steps=1000000", "--trainer=--schedule=constant", "--trainer=--checkpoint-every=5"

/* Killed on two processors, then one is left: refused, shared when told to, or recorded. On AVX2
 * the number of threads does change tiny's bits. */
Test(processors, a_killed_run_goes_on_with_its_threads_or_not_at_all) {
    struct e2e run;
    char calm[80], shared[80], steps[32];
    need_two_processors();
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    e2e_begin(&run);
    int killed = start(&run, (const char *const[]){LONG, "--trainer=--threads=2", NULL});
    e2e_expect_file(&run, "checkpoints/step-000000005.safetensors");
    e2e_kill_matching(&run, "bin/trainer");
    cr_assert_eq(e2e_wait(&run, killed), 128 + SIGKILL);
    int before = newest_checkpoint(&run);
    snprintf(steps, sizeof steps, "--steps=%d", before + 7);

    cpu_set_t all = keep_first_processor();
    const char *const resumed[] = {steps, "--resume", NULL};
    const char *const named[] = {steps, "--resume", "--trainer=--threads=2", NULL};
    int refused = start(&run, resumed);
    cr_expect_eq(e2e_wait(&run, refused), 2);
    cr_expect(e2e_logged(&run, refused, "was trained with 2 threads, and this process may use 1"));
    cr_expect(e2e_logged(&run, refused, "--threads=2 to share"));
    cr_expect_eq(newest_checkpoint(&run), before, "it was touched");
    cr_assert_eq(e2e_wait(&run, start(&run, named)), 0);
    cr_expect(in_log(&run, "trainer", "2 threads share 1 processor"));
    e2e_summary_text(&run, "weights_sha256", shared, sizeof shared);

    char more[32];
    snprintf(more, sizeof more, "--steps=%d", before + 10);
    const char *const others[] = {more, "--resume", "--other-bits", NULL};
    cr_assert_eq(e2e_wait(&run, start(&run, others)), 0);
    cr_expect_eq(recorded_threads(&run), 1);
    json_t *summary = e2e_summary(&run);
    json_t *changed = json_object_get(json_object_get(summary, "computed_with"), "changed_at");
    cr_assert_eq(json_array_size(changed), 1);
    cr_expect_eq(json_integer_value(json_array_get(changed, 0)), before + 7);
    json_decref(summary);

    cr_assert_eq(sched_setaffinity(0, sizeof all, &all), 0);
    const char *const in_one_go[] = {LONG, steps, "--trainer=--threads=2", "--force", NULL};
    cr_assert_eq(e2e_wait(&run, start(&run, in_one_go)), 0);
    cr_expect_eq(recorded_threads(&run), 2);
    e2e_summary_text(&run, "weights_sha256", calm, sizeof calm);
    cr_expect_str_eq(shared, calm);
    e2e_end(&run);
}

Test(processors, a_run_is_not_gone_on_with_on_other_instructions) {
    struct e2e run;
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    e2e_begin(&run);
    const char *const steps[] = {"--steps=5", NULL}, *const more[] = {"--steps=10", "--resume",
                                                                      NULL};
    cr_assert_eq(e2e_wait(&run, start(&run, steps)), 0);
    setenv("ONEDNN_MAX_CPU_ISA", "SSE41", 1);
    int refused = start(&run, more);
    cr_expect_eq(e2e_wait(&run, refused), 2);
    cr_expect(e2e_logged(&run, refused, "with the instruction set AVX2, and here it is SSE41"));
    e2e_end(&run);
}

Test(processors, an_augmenter_takes_no_more_threads_than_there_are) {
    struct e2e run;
    struct processors machine;
    processors_read(&machine);
    if (processors_available(&machine) >= 256)
        cr_skip_test("there are as many as may be asked for");
    e2e_begin(&run);
    int augment = e2e_start(
        &run, "augment", "augment",
        (const char *const[]){"--join", "@ADDRESS", "--threads=256", "--patience=1", NULL});
    cr_expect_eq(e2e_wait(&run, augment), 5);
    cr_expect(e2e_logged(&run, augment, "warning  --threads=256 is cut to "));
    e2e_end(&run);
}
