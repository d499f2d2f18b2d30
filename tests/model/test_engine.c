/* Which engine is chosen, and what is said of it. The CPU engine here is a stand-in whose probe
 * does what the test asks: the choice must not depend on the machine. Since this object defines
 * cpu_engine, the linker takes none from the library. The CUDA engine's shared object is whatever
 * DIGITSUM_CUDA names: the stand-ins are built from plugin/engine.c. */
#include "model/engine.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stand_in_probe(const struct engine_config *config, struct engine_traits *traits,
                          struct error *error) {
    if (config->threads > 2)
        return error_set(error, ERROR_UNSUPPORTED, "%d threads, but there are 2", config->threads);
    snprintf(traits->description, sizeof traits->description, "%d threads, AVX512",
             config->threads);
    return 0;
}

extern const struct engine_ops cpu_engine;
const struct engine_ops cpu_engine = {.name = "cpu", .probe = stand_in_probe};

static const struct engine_config two = {.batch = 1, .threads = 2};

Test(engine, cpu_as_asked_for) {
    struct error error = {0};
    char reason[128];
    cr_expect_eq(engine_choose("cpu", &two, NULL, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (as asked for)");
}

#define NOWHERE "/nowhere/libdigitsum_cuda.so"

Test(engine, auto_takes_the_cpu) {
    struct error error = {0};
    char reason[256];
    setenv("DIGITSUM_CUDA", NOWHERE, 1);
    cr_expect_eq(engine_choose("auto", &two, NULL, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (auto: DIGITSUM_CUDA=" NOWHERE
                             ": No such file or directory)");
}

Test(engine, a_short_reason_is_cut) {
    char reason[8];
    cr_expect_eq(engine_choose("cpu", &two, NULL, reason, sizeof reason, NULL), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 ");
}

/* Has DIGITSUM_CUDA name one of the stand-ins, which lie beside this program. */
static void use_plugin(const char *name) {
    char own[PATH_MAX / 2], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    cr_assert(length > 0);
    own[length] = '\0';
    *strrchr(own, '/') = '\0';
    snprintf(path, sizeof path, "%s/plugin/%s", own, name);
    setenv("DIGITSUM_CUDA", path, 1);
}

Test(engine, auto_takes_cuda_where_it_runs) {
    struct error error = {0};
    char reason[128];
    use_plugin("same_door.so");
    const struct engine_ops *ops = engine_choose("auto", &two, NULL, reason, sizeof reason, &error);
    cr_assert(ops, "%s", error.text);
    cr_expect_str_eq(ops->name, "cuda");
    cr_expect_str_eq(reason, "cuda: stand-in, 139 GiB (auto)");
    cr_expect_eq(engine_choose("cuda", &two, NULL, reason, sizeof reason, &error), ops,
                 "opened twice, there is still one engine");
    cr_expect_str_eq(reason, "cuda: stand-in, 139 GiB (as asked for)");
    cr_expect_eq(engine_choose("cpu", &two, NULL, reason, sizeof reason, &error), &cpu_engine);
}

Test(engine, without_a_device_auto_takes_the_cpu_and_cuda_is_refused) {
    struct engine_config absent = {.batch = 1, .threads = 2, .device = 1};
    struct error error = {0};
    char reason[128];
    use_plugin("same_door.so");
    cr_expect_eq(engine_choose("auto", &absent, NULL, reason, sizeof reason, &error), &cpu_engine);
    cr_expect_str_eq(reason, "cpu: 2 threads, AVX512 (auto: no CUDA device (none found))");
    cr_expect_null(engine_choose("cuda", &absent, NULL, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text, "device cuda: no CUDA device (none found)");
    cr_expect_str_eq(reason, "");
}

/* Asks for cuda with the file in DIGITSUM_CUDA, and expects a sentence with `words`. */
static void expect_refusal(const char *words) {
    struct error error = {0};
    char reason[128];
    cr_expect_null(engine_choose("cuda", &two, NULL, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED, "%s", error.text);
    cr_expect_eq(strncmp(error.text, "device cuda: ", 13), 0, "%s", error.text);
    cr_expect(strstr(error.text, words), "'%s' has no '%s'", error.text, words);
    cr_expect_str_eq(reason, "");
}

static void expect_no_engine(const char *path, const char *words) {
    setenv("DIGITSUM_CUDA", path, 1);
    expect_refusal(words);
}

Test(engine, an_object_of_another_version_is_refused) {
    use_plugin("other_door.so");
    expect_refusal("other_door.so was built for another version of this program");
}

Test(engine, cuda_says_what_is_missing) {
    char folder[64], text[SCRATCH_PATH];
    scratch_begin(folder);
    scratch_write(folder, "text.so", "this is no shared object\n", text);
    expect_no_engine(NOWHERE, "No such file or directory");
    expect_no_engine(text, "cannot be loaded");
    cr_assert_eq(chdir(folder), 0);
    expect_no_engine("text.so", text); /* the file here, not one among the system's libraries */
    void *other = dlopen("libm.so.6", RTLD_NOW); /* loads, but is no engine */
    struct link_map *map;
    cr_assert_not_null(other);
    cr_assert_eq(dlinfo(other, RTLD_DI_LINKMAP, &map), 0);
    expect_no_engine(map->l_name, "is not an engine");
    dlclose(other);
    scratch_end(folder);
}

Test(engine, another_word_is_invalid) {
    struct error error = {0};
    char reason[128];
    cr_expect_null(engine_choose("gpu", &two, NULL, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "device must be auto, cpu or cuda, not 'gpu'");
}

Test(engine, a_failing_probe_says_why) {
    struct engine_config many = {.batch = 1, .threads = 64};
    struct error error = {0};
    char reason[128];
    setenv("DIGITSUM_CUDA", NOWHERE, 1);
    cr_expect_null(engine_choose("auto", &many, NULL, reason, sizeof reason, &error));
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_str_eq(error.text, "the CPU engine cannot run here: 64 threads, but there are 2");
}
