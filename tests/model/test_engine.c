/* Which engine is chosen, and what is said of it. The CPU engine here is a stand-in whose probe
 * does what the test asks: the choice must not depend on the machine. Since this object defines
 * cpu_engine, the linker takes none from the library. */
#include "model/engine.h"

#include <criterion/criterion.h>
#include <stdio.h>

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

Test(engine, auto_takes_the_cpu) {
    struct error error = {0};
    char reason[128];
    cr_expect_eq(engine_choose("auto", &two, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (auto: this build has no CUDA engine)");
}

Test(engine, a_short_reason_is_cut) {
    char reason[8];
    cr_expect_eq(engine_choose("cpu", &two, reason, sizeof reason, NULL), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 ");
}

Test(engine, cuda_is_not_in_this_build) {
    struct error error = {0};
    char reason[128];
    cr_expect_null(engine_choose("cuda", &two, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text, "device cuda: this build has no CUDA engine");
    cr_expect_str_eq(reason, "");
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
    cr_expect_null(engine_choose("auto", &many, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text, "the CPU engine cannot run here: 64 threads, but there are 2");
}
