/* The launcher on processors that lack something, and with fewer of them than before: a run ends
 * well, or is refused with a sentence, but its weights are never silently others. */
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
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
    cr_expect(in_log(&run, "trainer", "training in f32, for there is no bf16 here: "));
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
    cr_expect_not(e2e_logged(&run, pipeline, "starting it again"));
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
    cr_expect(e2e_logged(&run, pipeline, "--resume: the run was begun in bf16"));
    cr_expect(e2e_logged(&run, pipeline, "go on with it on a machine that has bf16"));
    e2e_end(&run);
}
