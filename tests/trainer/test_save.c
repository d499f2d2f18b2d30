/* The thread that writes checkpoints, on a real folder: what it writes, what it tells, what it
 * tells of a disk that is full, and what is found again later. */
#include "model/net.h"
#include "tests/support/scratch.h"
#include "tests/trainer/tiny.h"
#include "trainer/save.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int wake;
static struct net *net;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    wake = eventfd(0, EFD_CLOEXEC); /* blocking: reading it waits for the saver */
    cr_assert_geq(wake, 0);
    net = tiny_net();
}

static void teardown(void) {
    net_destroy(&net);
    close(wake);
    scratch_end(folder);
}

TestSuite(save, .init = setup, .fini = teardown, .timeout = 60); /* against hanging */

static struct saver *start(const char *where) {
    struct saver *saver = saver_start(where, wake, &error);
    cr_assert_not_null(saver, "%s", error.text);
    return saver;
}

static void give(struct saver *saver, uint64_t step, bool epoch_end, bool final) {
    struct checkpoint snapshot;
    tiny_checkpoint(&snapshot, net, step, 128, 60000);
    saver_give(saver, &snapshot, epoch_end, final);
    cr_expect_null(snapshot.state.weights, "the arrays are the saver's now");
    cr_expect_null(snapshot.state.moment1);
}

static void take(struct saver *saver, struct saved *saved) {
    while (!saver_take(saver, saved))
        tiny_wait(wake);
}

Test(save, writes_what_it_is_given_and_tells_of_it) {
    struct saver *saver = start(folder);
    struct saved saved, described;
    struct stat status;
    char path[PATH_MAX], weights[SHA256_HEX];
    cr_expect(saver_idle(saver));
    cr_expect_not(saver_take(saver, &saved));
    give(saver, 469, true, true);
    cr_expect_not(saver_idle(saver));
    take(saver, &saved);
    cr_expect(saver_idle(saver));
    cr_expect_not(saver_take(saver, &described));

    cr_expect_not(saved.failed, "%s", saved.error.text);
    snprintf(path, sizeof path, "%s/step-000000469.safetensors", folder);
    cr_expect_str_eq(saved.path, path);
    cr_expect_eq(saved.step, 469);
    cr_expect_eq(saved.samples, 469 * 128);
    cr_expect_eq(saved.epoch, 469 * 128 / 60000.0);
    cr_expect(saved.epoch_end);
    cr_expect(saved.final);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(saved.size, (uint64_t)status.st_size);
    struct checkpoint expected;
    tiny_checkpoint(&expected, net, 469, 128, 60000);
    state_sha256(&expected.state, net, weights);
    cr_expect_str_eq(saved.weights, weights);
    cr_expect_arr_eq(saved.chain, expected.chain, SHA256_SIZE);
    state_free(&expected.state);

    /* The file tells the same, but whether it is a run's last. */
    cr_assert_eq(saver_describe(folder, 469, &described, &error), 0, "%s", error.text);
    cr_expect_str_eq(described.path, saved.path);
    cr_expect_eq(described.step, saved.step);
    cr_expect_eq(described.samples, saved.samples);
    cr_expect_eq(described.epoch, saved.epoch);
    cr_expect_eq(described.size, saved.size);
    cr_expect_arr_eq(described.sha256, saved.sha256, SHA256_SIZE);
    cr_expect_str_eq(described.weights, saved.weights);
    cr_expect_arr_eq(described.chain, saved.chain, SHA256_SIZE);
    cr_expect(described.epoch_end);
    cr_expect_not(described.final);
    saver_destroy(&saver);
    cr_expect_null(saver);
    saver_destroy(&saver);
}

/* A run that goes on from its end comes to its last step again. */
Test(save, a_whole_file_of_the_same_state_is_not_written_again) {
    struct saver *saver = start(folder);
    struct saved first, second;
    struct stat before, after;
    give(saver, 9, false, false);
    take(saver, &first);
    cr_assert_eq(stat(first.path, &before), 0);
    struct checkpoint snapshot;
    static char settings[] = "{\"rate\": 0.01, \"steps\": 99}";
    tiny_checkpoint(&snapshot, net, 9, 128, 60000);
    snapshot.settings = settings;
    saver_give(saver, &snapshot, true, true);
    take(saver, &second);
    cr_expect_not(second.failed);
    cr_expect(second.final);
    cr_expect_arr_eq(second.sha256, first.sha256, SHA256_SIZE);
    cr_expect_eq(second.size, first.size);
    cr_assert_eq(stat(first.path, &after), 0);
    cr_expect_eq(after.st_ino, before.st_ino, "the file is another");

    /* Another state of that step, and a damaged file, are replaced. */
    tiny_checkpoint(&snapshot, net, 9, 128, 60000);
    snapshot.state.weights[0] += 1;
    saver_give(saver, &snapshot, true, true);
    take(saver, &second);
    cr_expect(memcmp(second.sha256, first.sha256, SHA256_SIZE) != 0);
    cr_assert_eq(truncate(first.path, 100), 0);
    give(saver, 9, false, false);
    take(saver, &second);
    cr_expect_not(second.failed);
    cr_expect_arr_eq(second.sha256, first.sha256, SHA256_SIZE);
    cr_expect_eq(saver_describe(folder, 9, &second, &error), 0, "%s", error.text);
    saver_destroy(&saver);
}

Test(save, several_come_out_in_order) {
    struct saver *saver = start(folder);
    struct saved saved;
    for (uint64_t step = 1; step <= 5; step++)
        give(saver, step, step == 3, step == 5); /* waits while an earlier one is written */
    for (uint64_t step = 1; step <= 5; step++) {
        take(saver, &saved);
        cr_expect_eq(saved.step, step);
        cr_expect_eq(saved.epoch_end, step == 3);
        cr_expect_eq(saved.final, step == 5);
    }
    cr_expect_eq(scratch_count(folder), 5);
    saver_destroy(&saver);
}

Test(save, ends_only_after_writing_what_it_holds) {
    struct saver *saver = start(folder);
    struct saved saved;
    give(saver, 7, false, false);
    saver_destroy(&saver);
    cr_expect_eq(saver_describe(folder, 7, &saved, &error), 0, "%s", error.text);
}

Test(save, a_failure_is_told_and_nothing_is_written_after_it) {
    char below[128];
    struct saved saved;
    snprintf(below, sizeof below, "%s/below", folder);
    struct saver *saver = start(below);
    give(saver, 1, false, false);
    take(saver, &saved);
    cr_expect(saved.failed);
    cr_expect_eq(saved.step, 1);
    cr_expect_eq(saved.error.code, ERROR_IO);
    cr_expect(strstr(saved.error.text, "No such file or directory"), "%s", saved.error.text);
    cr_expect(strstr(saved.error.text, below), "%s", saved.error.text);
    /* There is room again; but a run that went on from step 2 would never make step 1's. */
    cr_assert_eq(mkdir(below, 0777), 0);
    give(saver, 2, false, false);
    cr_expect(saver_idle(saver));
    cr_expect_not(saver_take(saver, &saved));
    saver_destroy(&saver);
    cr_expect_eq(scratch_count(below), 0);
}

Test(save, unwritable_state_is_a_failure_too) {
    struct saver *saver = start(folder);
    struct checkpoint snapshot;
    struct saved saved;
    tiny_checkpoint(&snapshot, net, 1, 128, 60000);
    snapshot.dataset[0] = '\0';
    saver_give(saver, &snapshot, false, false);
    take(saver, &saved);
    cr_expect(saved.failed);
    cr_expect_eq(saved.error.code, ERROR_INVALID);
    cr_expect_eq(scratch_count(folder), 0);
    saver_destroy(&saver);
}

/* Files of this process may have 1,000 bytes from now on, as on a disk that is full. Returns what
 * went otherwise than it should. */
static int save_on_a_full_disk(void) {
    struct rlimit limit = {1000, 1000};
    struct checkpoint snapshot;
    struct saved saved;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    struct saver *saver = saver_start(folder, wake, &error);
    if (!saver)
        return 2;
    tiny_checkpoint(&snapshot, net, 5, 128, 60000);
    snapshot.state.weights[0] += 1; /* or the file that is there would do */
    saver_give(saver, &snapshot, false, false);
    take(saver, &saved);
    saver_destroy(&saver);
    if (!saved.failed || saved.error.code != ERROR_IO)
        return 3;
    if (!strstr(saved.error.text, "File too large") || !strstr(saved.error.text, saved.path))
        return 4;
    return scratch_count(folder) == 1 ? 0 : 5;
}

Test(save, a_full_disk_leaves_the_older_file_whole) {
    struct saver *saver = start(folder);
    struct saved before, after;
    give(saver, 5, false, false);
    take(saver, &before);
    saver_destroy(&saver);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(save_on_a_full_disk());
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 0, "check %d failed", WEXITSTATUS(status));
    cr_assert_eq(saver_describe(folder, 5, &after, &error), 0, "%s", error.text);
    cr_expect_arr_eq(after.sha256, before.sha256, SHA256_SIZE);
}

Test(save, finds_the_files_that_it_names_and_no_others) {
    static const char *const names[] = {"step-000000007.safetensors",
                                        "step-000000300.safetensors",
                                        "step-1234567890123.safetensors",
                                        "step-8.safetensors",
                                        "step-000000009.safetensors.part",
                                        "step--00000001.safetensors",
                                        "step- 00000010.safetensors",
                                        "step-00000000b.safetensors",
                                        "astep-000000011.safetensors",
                                        "best.safetensors",
                                        ".digitsum-1-0.tmp"};
    char path[SCRATCH_PATH];
    uint64_t step;
    cr_expect_not(saver_next(folder, 0, &step), "an empty folder");
    cr_expect_eq(errno, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        scratch_write(folder, names[i], "x", path);
    cr_expect(saver_next(folder, 0, &step));
    cr_expect_eq(step, 7);
    cr_expect(saver_next(folder, 7, &step));
    cr_expect_eq(step, 7);
    cr_expect(saver_next(folder, 8, &step));
    cr_expect_eq(step, 300);
    cr_expect(saver_next(folder, 301, &step));
    cr_expect_eq(step, UINT64_C(1234567890123));
    cr_expect_not(saver_next(folder, step + 1, &step));
    cr_expect_not(saver_next("/nonexistent", 0, &step));
    cr_expect_eq(errno, ENOENT);
}

/* Which is not to be mistaken for one without checkpoints, or with older ones only. */
Test(save, a_folder_that_cannot_be_read_now_is_told_from_an_empty_one) {
    struct rlimit limit, none;
    char path[SCRATCH_PATH];
    uint64_t step;
    scratch_write(folder, "step-000000007.safetensors", "x", path);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool next = saver_next(folder, 0, &step);
    int next_errno = errno;
    bool newest = saver_newest(folder, UINT64_MAX, &step);
    int newest_errno = errno;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_not(next);
    cr_expect_eq(next_errno, EMFILE);
    cr_expect_not(newest);
    cr_expect_eq(newest_errno, EMFILE);
}

Test(save, torn_files_are_told_from_whole_ones) {
    struct saver *saver = start(folder);
    struct saved saved;
    uint8_t byte = 0;
    give(saver, 9, false, false);
    take(saver, &saved);
    saver_destroy(&saver);
    cr_expect_eq(saver_describe(folder, 10, &saved, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);

    char path[PATH_MAX];
    saver_file(folder, 9, path);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, -3, SEEK_END), 0);
    cr_assert_eq(fread(&byte, 1, 1, file), 1);
    byte ^= 0x10;
    cr_assert_eq(fseek(file, -1, SEEK_CUR), 0);
    cr_assert_eq(fwrite(&byte, 1, 1, file), 1);
    cr_assert_eq(fclose(file), 0);
    cr_expect_eq(saver_describe(folder, 9, &saved, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, path), "%s", error.text);

    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_eq(saver_describe(folder, 9, &saved, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, path), "%s", error.text);
}

/* Evaluators never skip the end of an epoch, also where it was written before a restart. */
Test(save, the_end_of_an_epoch_is_seen_in_the_file) {
    static const struct {
        uint64_t step;
        uint32_t batch, samples;
        bool end;
    } cases[] = {
        {0, 128, 60000, false},  {1, 128, 60000, false},   {468, 128, 60000, false},
        {469, 128, 60000, true}, {470, 128, 60000, false}, {937, 128, 60000, false},
        {938, 128, 60000, true}, {5, 4, 20, true},         {6, 4, 20, false},
        {10, 4, 20, true},       {3, 8192, 2000, true},    {7, 1, 7, true},
        {8, 1, 7, false},        {20000, 3, 60000, true},  {20001, 3, 60000, false},
    };
    struct saver *saver = start(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint snapshot;
        struct saved saved;
        tiny_checkpoint(&snapshot, net, cases[i].step, cases[i].batch, cases[i].samples);
        saver_give(saver, &snapshot, !cases[i].end, false);
        take(saver, &saved);
        cr_assert_not(saved.failed, "%s", saved.error.text);
        cr_assert_eq(saver_describe(folder, cases[i].step, &saved, &error), 0, "%s", error.text);
        cr_expect_eq(saved.epoch_end, cases[i].end, "step %llu of %u in %u",
                     (unsigned long long)cases[i].step, cases[i].batch, cases[i].samples);
    }
    saver_destroy(&saver);
}

Test(save, a_path_that_does_not_fit_is_refused) {
    char longest[PATH_MAX - 63];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_expect_null(saver_start(longest, wake, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text,
                     "the folder for checkpoints has a path of 4032 bytes: at most 4031");
}
