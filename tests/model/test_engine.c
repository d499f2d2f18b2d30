/* Which engine is chosen, and what is said of it. The CPU engine here is a stand-in whose probe
 * does what the test asks: the choice must not depend on the machine. Since this object defines
 * cpu_engine, the linker takes none from the library. The CUDA engine's shared object is whatever
 * DIGITSUM_CUDA names. */
#include "model/engine.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stand_in_probe(const struct engine_config *config, char *description, size_t size,
                          struct error *error) {
    if (config->threads > 2)
        return error_set(error, ERROR_UNSUPPORTED, "%d threads, but there are 2", config->threads);
    snprintf(description, size, "%d threads, AVX512", config->threads);
    return 0;
}

extern const struct engine_ops cpu_engine;
const struct engine_ops cpu_engine = {.name = "cpu", .probe = stand_in_probe};

static const struct engine_config two = {.batch = 1, .threads = 2};

Test(engine, cpu_as_asked_for) {
    struct error error = {0};
    char reason[128];
    cr_expect_eq(engine_choose("cpu", &two, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (as asked for)");
}

#define NOWHERE "/nowhere/libdigitsum_cuda.so"

Test(engine, auto_takes_the_cpu) {
    struct error error = {0};
    char reason[256];
    setenv("DIGITSUM_CUDA", NOWHERE, 1);
    cr_expect_eq(engine_choose("auto", &two, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (auto: DIGITSUM_CUDA=" NOWHERE
                             ": No such file or directory)");
}

Test(engine, a_short_reason_is_cut) {
    char reason[8];
    cr_expect_eq(engine_choose("cpu", &two, reason, sizeof reason, NULL), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 ");
}

/* Asks for cuda with this file as its engine, and expects a sentence with `words`. */
static void expect_no_cuda(const char *path, enum error_code code, const char *words) {
    struct error error = {0};
    char reason[128];
    setenv("DIGITSUM_CUDA", path, 1);
    cr_expect_null(engine_choose("cuda", &two, reason, sizeof reason, &error));
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect_eq(strncmp(error.text, "device cuda: ", 13), 0, "%s", error.text);
    cr_expect(strstr(error.text, words), "'%s' has no '%s'", error.text, words);
    cr_expect_str_eq(reason, "");
}

Test(engine, cuda_says_what_is_missing) {
    static const char other[] = "/lib/x86_64-linux-gnu/libm.so.6"; /* loads, but is no engine */
    char folder[64], text[SCRATCH_PATH];
    scratch_begin(folder);
    scratch_write(folder, "text.so", "this is no shared object\n", text);
    expect_no_cuda(NOWHERE, ERROR_IO, "No such file or directory");
    expect_no_cuda(text, ERROR_UNSUPPORTED, "cannot be loaded");
    if (access(other, R_OK) == 0)
        expect_no_cuda(other, ERROR_UNSUPPORTED, "is not an engine");
    scratch_end(folder);
}

Test(engine, another_word_is_invalid) {
    struct error error = {0};
    char reason[128];
    cr_expect_null(engine_choose("gpu", &two, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "device must be auto, cpu or cuda, not 'gpu'");
}

Test(engine, a_failing_probe_says_why) {
    struct engine_config many = {.batch = 1, .threads = 64};
    struct error error = {0};
    char reason[128];
    setenv("DIGITSUM_CUDA", NOWHERE, 1);
    cr_expect_null(engine_choose("auto", &many, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text, "the CPU engine cannot run here: 64 threads, but there are 2");
}
