/* Processors and the threads that they make: files of control groups as kernels write them, and the
 * rule. */
#include "common/processors.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void make_folders(const char *scratch, const char *const *names) {
    char path[SCRATCH_PATH];
    for (int i = 0; names[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch, names[i]);
        cr_assert_eq(mkdir(path, 0777), 0, "%s", path);
    }
}

Test(processors, first_number_of_a_list) {
    static const struct {
        const char *list;
        int first;
    } rows[] = {
        {NULL, 0},      {"", 0},      {"4", 4},   {" 4 ", 4},        {"4,2", 4},
        {"4 , 2,1", 4}, {"0", 0},     {"-3", 0},  {"four", 0},       {"4x", 0},
        {"4,", 0},      {"4,two", 0}, {"4,0", 0}, {"2147483648", 0}, {"99999999999999999999", 0},
        {"1.5", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(processors_first(rows[i].list), rows[i].first, "'%s'",
                     rows[i].list ? rows[i].list : "(not set)");
}

Test(processors, the_smallest_decides) {
    static const struct {
        struct processors machine;
        int asked, threads;
        const char *why;
    } rows[] = {
        {{8, 0, 0, 0}, 0, 8, NULL},
        {{8, 2, 0, 0}, 0, 2, NULL},
        {{2, 8, 0, 0}, 0, 2, NULL},
        {{8, 0, 4, 0}, 0, 4, NULL},
        {{8, 0, 16, 0}, 0, 8, NULL},
        {{8, 0, 0, 1}, 0, 1, NULL},
        {{8, 6, 4, 3}, 2, 2, NULL},
        {{2, 0, 0, 0}, 2, 2, NULL},
        {{2, 0, 0, 0}, 8, 2, "--threads=8 is cut to 2: there are no more processors here"},
        {{8, 2, 0, 0}, 4, 2, "--threads=4 is cut to 2: the control group has no larger quota"},
        {{8, 0, 1, 0}, 4, 1, "--threads=4 is cut to 1: OMP_NUM_THREADS says so"},
        {{8, 0, 0, 3}, 4, 3, "--threads=4 is cut to 3: OMP_THREAD_LIMIT allows no more"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct notices notices = {0};
        cr_expect_eq(processors_threads(&rows[i].machine, rows[i].asked, &notices), rows[i].threads,
                     "row %zu", i);
        cr_expect_eq(notices.count, rows[i].why != NULL, "row %zu", i);
        if (rows[i].why)
            cr_expect_str_eq(notices.texts[0], rows[i].why);
        cr_expect_eq(processors_threads(&rows[i].machine, rows[i].asked, NULL), rows[i].threads);
    }
}

Test(processors, there_is_always_one) {
    struct processors machine;
    unsetenv("OMP_NUM_THREADS");
    unsetenv("OMP_THREAD_LIMIT");
    processors_read(&machine);
    cr_expect_geq(processors_available(&machine), 1);
    cr_expect_leq(processors_available(&machine), machine.affinity);
    cr_expect_eq(processors_threads(&machine, 0, NULL), processors_available(&machine));
    setenv("OMP_NUM_THREADS", "1,4", 1);
    processors_read(&machine);
    cr_expect_eq(processors_threads(&machine, 0, NULL), 1);
}

/* A table of files below a folder that stands for /sys/fs/cgroup. */
struct group {
    const char *file, *text;
};

static int quota_of(const char *membership, const char *const *folders, const struct group *files) {
    char scratch[64], path[SCRATCH_PATH];
    scratch_begin(scratch);
    make_folders(scratch, folders);
    for (int i = 0; files[i].file; i++)
        scratch_write(scratch, files[i].file, files[i].text, path);
    scratch_write(scratch, "membership", membership, path);
    int quota = processors_quota(path, scratch);
    scratch_end(scratch);
    return quota;
}

Test(processors, quota_of_version_2_on_the_way_up) {
    const char *const folders[] = {"a", "a/b", "a/b/c", NULL};
    const struct group none[] = {{"a/cpu.max", "max 100000\n"}, {NULL, NULL}};
    const struct group own[] = {{"a/b/c/cpu.max", "200000 100000\n"}, {NULL, NULL}};
    const struct group above[] = {{"a/b/c/cpu.max", "max 100000\n"},
                                  {"a/b/cpu.max", "800000 100000\n"},
                                  {"a/cpu.max", "300000 100000\n"},
                                  {NULL, NULL}};
    const struct group half[] = {{"a/b/c/cpu.max", "50000 100000\n"}, {NULL, NULL}};
    const struct group odd[] = {{"a/b/c/cpu.max", "150000 100000\n"}, {NULL, NULL}};
    const struct group root[] = {{"cpu.max", "400000 100000\n"}, {NULL, NULL}};
    cr_expect_eq(quota_of("0::/a/b/c\n", folders, none), 0);
    cr_expect_eq(quota_of("0::/a/b/c\n", folders, own), 2);
    cr_expect_eq(quota_of("0::/a/b/c\n", folders, above), 3);
    cr_expect_eq(quota_of("0::/a/b/c\n", folders, half), 1);
    cr_expect_eq(quota_of("0::/a/b/c\n", folders, odd), 2);
    /* In a container the group's own files are at the root of what is mounted. */
    cr_expect_eq(quota_of("0::/\n", folders, root), 4);
    cr_expect_eq(quota_of("0::/kubepods/pod1/x\n", folders, root), 4);
    cr_expect_eq(quota_of("0::/../../x\n", folders, root), 4);
}

Test(processors, quota_of_version_1) {
    const char *const folders[] = {"cpu,cpuacct", "cpu,cpuacct/a", "cpuset", "memory", NULL};
    const struct group files[] = {{"cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n"},
                                  {"cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"},
                                  {"cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
                                  {"cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
                                  {NULL, NULL}};
    const struct group none[] = {{"cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n"},
                                 {"cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"},
                                 {NULL, NULL}};
    cr_expect_eq(quota_of("9:memory:/a\n4:cpu,cpuacct:/a\n3:cpuset:/\n", folders, files), 3);
    cr_expect_eq(quota_of("4:cpu,cpuacct:/\n", folders, files), 0);
    cr_expect_eq(quota_of("4:cpuset:/a\n", folders, files), 0);
    cr_expect_eq(quota_of("4:cpu,cpuacct:/a\n", folders, none), 0);
    const char *const alone[] = {"cpu", "cpu/a", NULL};
    const struct group linked[] = {
        {"cpu/a/cpu.cfs_quota_us", "100000"}, {"cpu/a/cpu.cfs_period_us", "100000"}, {NULL, NULL}};
    cr_expect_eq(quota_of("4:cpuacct,cpu:/a\n", alone, linked), 1);
    const char *const hybrid[] = {"unified", "unified/a", NULL};
    const struct group both[] = {{"unified/a/cpu.max", "200000 100000"}, {NULL, NULL}};
    cr_expect_eq(quota_of("1:name=systemd:/a\n0::/a\n", hybrid, both), 2);
}

Test(processors, nonsense_is_no_quota) {
    const char *const folders[] = {"a", NULL};
    static const char *const texts[] = {"",         "max",       "100000",   "x 100000",
                                        "100000 x", "-1 100000", "0 100000", "1e300 1",
                                        "nan 1",    "100000 0",  "max max"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct group files[] = {{"a/cpu.max", texts[i]}, {NULL, NULL}};
        cr_expect_eq(quota_of("0::/a\n", folders, files), 0, "'%s'", texts[i]);
    }
    static const char *const members[] = {"", "0", "0:", "0::", "0::a", ":::::", "\n\n"};
    const struct group files[] = {{NULL, NULL}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        cr_expect_eq(quota_of(members[i], folders, files), 0, "'%s'", members[i]);
    cr_expect_eq(processors_quota("/nowhere/cgroup", "/nowhere"), 0);
}

/* Whoever sets OpenMP's variables for the trainer does not mean an augmenter's threads. */
Test(processors, threads_that_are_not_openmps) {
    struct processors machine;
    struct notices notices = {0};
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OMP_THREAD_LIMIT", "1", 1);
    processors_read(&machine);
    int available = processors_available(&machine);
    cr_expect_eq(processors_own_threads(available, &notices), available);
    cr_expect_eq(processors_own_threads(1, &notices), 1);
    cr_expect_eq(notices.count, 0);
    cr_expect_eq(processors_own_threads(available + 1, &notices), available);
    cr_assert_eq(notices.count, 1);
    cr_expect(strstr(notices.texts[0], " is cut to "), "%s", notices.texts[0]);
}
