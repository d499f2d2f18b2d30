/* Run folders: names, who may have them, where the sockets lie, what is left. */
#include "common/lock.h"
#include "deploy/folder.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(folder, names) {
    static const char *const good[] = {"a", "quick-20261120-224500", "7", "A.b_c-d"};
    static const char *const bad[] = {"",    ".",    "..", ".hidden", "-x", "a/b",  "../x",
                                      "a b", "a\nb", "é",  "a;b",     "_x", "a\\b", "$HOME"};
    struct error error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(folder_check_name(good[i], &error), 0, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error.code = ERROR_NONE;
        cr_expect_eq(folder_check_name(bad[i], &error), -1, "%s", bad[i]);
        cr_expect_eq(error.code, ERROR_INVALID, "%s", bad[i]);
    }
    char most[FOLDER_NAME + 1];
    memset(most, 'x', sizeof most);
    most[FOLDER_NAME - 1] = '\0';
    cr_expect_eq(folder_check_name(most, &error), 0);
    most[FOLDER_NAME - 1] = 'x';
    most[FOLDER_NAME] = '\0';
    cr_expect_eq(folder_check_name(most, &error), -1);
    cr_expect_str_eq(error.text, "a run's name has 1 to 64 characters, not 65");
}

Test(folder, standard_names) {
    char name[FOLDER_NAME];
    struct error error;
    const time_t when = 1795214700; /* 2026-11-20T22:45:00Z */
    folder_standard_name("quick", when, name);
    cr_expect_str_eq(name, "quick-20261120-224500");
    folder_standard_name("model/nets/plain7.net", when, name);
    cr_expect_str_eq(name, "plain7-20261120-224500");
    folder_standard_name("/x/my nét.net", when, name);
    cr_expect_eq(folder_check_name(name, &error), 0, "%s", name);
    folder_standard_name("", when, name);
    cr_expect_str_eq(name, "run-20261120-224500");
    char longest[300];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    folder_standard_name(longest, when, name);
    cr_expect_eq(folder_check_name(name, &error), 0, "%s", name);
}

Test(folder, new_run_has_its_folders_and_leaves_no_socket) {
    char runs[64], path[SCRATCH_PATH];
    struct folder folder;
    struct error error;
    struct stat info;
    scratch_begin(runs);
    cr_assert_eq(folder_open(&folder, runs, "first", FOLDER_NEW, &error), 0, "%s", error.text);
    cr_expect_eq(scratch_count(folder.logs), 0);
    cr_assert_eq(stat(folder.sockets, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0700, "nobody else may reach the sockets");
    snprintf(path, sizeof path, "ipc://%s/first/sockets/control", runs);
    cr_expect_str_eq(folder.control, path);
    scratch_write(folder.sockets, "control", "", path);
    folder_close(&folder);
    snprintf(path, sizeof path, "%s/first", runs);
    cr_expect_eq(scratch_count(path), 1, "logs/ alone is left");
    folder_close(&folder);
    scratch_end(runs);
}

Test(folder, taken_missing_or_in_use_is_refused) {
    char runs[64];
    struct folder folder, other;
    struct error error;
    scratch_begin(runs);
    cr_expect_eq(folder_open(&folder, runs, "first", FOLDER_RESUME, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect(strstr(error.text, "there is no run 'first' to resume"), "%s", error.text);
    cr_expect_eq(scratch_count(runs), 0);

    cr_assert_eq(folder_open(&folder, runs, "first", FOLDER_NEW, &error), 0);
    cr_expect_eq(folder_open(&other, runs, "first", FOLDER_NEW, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect(strstr(error.text, "in use"), "%s", error.text);
    cr_expect_not(other.taken, "nobody can do anything with it while it is in use");
    for (enum folder_mode mode = FOLDER_RESUME; mode <= FOLDER_FORCE; mode++) {
        cr_expect_eq(folder_open(&other, runs, "first", mode, &error), -1);
        cr_expect_eq(error.code, ERROR_REFUSED);
        cr_expect(strstr(error.text, "in use"), "%s", error.text);
    }
    cr_expect_eq(scratch_count(folder.sockets), 0, "the one who has it keeps its sockets");
    folder_close(&folder);
    cr_assert_eq(folder_open(&other, runs, "first", FOLDER_RESUME, &error), 0, "%s", error.text);
    folder_close(&other);
    cr_expect_eq(folder_open(&other, runs, "first", FOLDER_NEW, &error), -1);
    cr_expect(other.taken);
    scratch_end(runs);
}

Test(folder, force_empties_a_run_and_nothing_else) {
    char runs[64], path[SCRATCH_PATH], outside[SCRATCH_PATH], link[SCRATCH_PATH];
    struct folder folder;
    struct error error;
    scratch_begin(runs);
    scratch_write(runs, "outside", "keep me", outside);

    cr_assert_eq(folder_open(&folder, runs, "first", FOLDER_NEW, &error), 0);
    scratch_write(folder.logs, "trainer.log", "old", path);
    snprintf(link, sizeof link, "%s/first/link", runs);
    cr_assert_eq(symlink(outside, link), 0);
    folder_close(&folder);
    cr_assert_eq(folder_open(&folder, runs, "first", FOLDER_FORCE, &error), 0, "%s", error.text);
    cr_expect_eq(scratch_count(folder.logs), 0);
    cr_expect_eq(access(link, F_OK), -1);
    cr_expect_eq(access(outside, F_OK), 0, "a link is removed, not what it points to");
    folder_close(&folder);

    snprintf(path, sizeof path, "%s/photos", runs);
    cr_assert_eq(mkdir(path, 0755), 0);
    char photo[SCRATCH_PATH];
    scratch_write(path, "me.png", "", photo);
    cr_expect_eq(folder_open(&folder, runs, "photos", FOLDER_FORCE, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect(strstr(error.text, "not a run's folder"), "%s", error.text);
    cr_expect_eq(access(photo, F_OK), 0);
    scratch_end(runs);
}

/* A Unix socket's path has at most 107 bytes. */
Test(folder, long_paths_get_a_temporary_folder_that_goes_away) {
    char base[64], runs[SCRATCH_PATH], sockets[PATH_MAX];
    struct folder folder;
    struct error error;
    scratch_begin(base);
    setenv("XDG_RUNTIME_DIR", base, 1);
    snprintf(runs, sizeof runs, "%s/%080d", base, 0);
    cr_assert_eq(folder_open(&folder, runs, "first", FOLDER_NEW, &error), 0, "%s", error.text);
    cr_expect_eq(strncmp(folder.sockets, base, strlen(base)), 0, "%s", folder.sockets);
    cr_expect_lt(strlen(folder.control), strlen("ipc://") + 107 - 24);
    cr_expect_eq(endpoint_check(folder.control, true, &error), 0, "%s", error.text);
    strcpy(sockets, folder.sockets);
    cr_expect_eq(scratch_count(sockets), 0);
    folder_close(&folder);
    cr_expect_eq(scratch_count(sockets), -1);
    scratch_end(base);
}

Test(folder, knows_whether_there_is_a_checkpoint) {
    char scratch[64], path[SCRATCH_PATH], file[SCRATCH_PATH];
    struct folder folder;
    struct error error;
    scratch_begin(scratch);
    cr_assert_eq(folder_open(&folder, scratch, "one", FOLDER_NEW, &error), 0, "%s", error.text);
    cr_expect_not(folder_has_checkpoint(&folder));
    snprintf(path, sizeof path, "%s/one/checkpoints", scratch);
    cr_assert_eq(mkdir(path, 0700), 0);
    scratch_write(path, ".checkpoint-x.tmp", "half", file);
    cr_expect_not(folder_has_checkpoint(&folder), "one that is being written is none");
    scratch_write(path, "step-000000020.safetensors", "whole", file);
    cr_expect(folder_has_checkpoint(&folder));
    folder_close(&folder);
    scratch_end(scratch);
}

Test(folder, one_in_which_nothing_began_goes_away) {
    char scratch[64], runs[SCRATCH_PATH], file[SCRATCH_PATH];
    struct folder folder;
    struct error error;
    scratch_begin(scratch);
    snprintf(runs, sizeof runs, "%s/runs", scratch);
    cr_assert_eq(folder_open(&folder, runs, "one", FOLDER_NEW, &error), 0, "%s", error.text);
    scratch_write(folder.logs, "trainer.log", "no such network", file);
    scratch_write(folder.path, "data.json", "{}", file);
    scratch_write(folder.path, "batches.txt", "", file);
    scratch_write(folder.path, "trainer.lock", "process 7 on here\n", file);
    cr_expect(folder_discard(&folder));
    cr_expect_eq(scratch_count(runs), -1, "the folder of all runs is gone too");
    cr_expect_not(folder_discard(&folder));
    folder_close(&folder);
    scratch_end(scratch);
}

Test(folder, one_that_a_trainer_uses_is_not_thrown_away) {
    char runs[64], file[SCRATCH_PATH];
    struct folder folder;
    struct lock trainer = {0}; /* started without a launcher */
    struct error error;
    scratch_begin(runs);
    cr_assert_eq(folder_open(&folder, runs, "one", FOLDER_NEW, &error), 0, "%s", error.text);
    scratch_write(folder.path, "batches.txt", "1 0123abcd\n", file);
    folder_close(&folder);
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/one/trainer.lock", runs);
    cr_assert_eq(lock_take(&trainer, path, 0, &error), 0, "%s", error.text);
    cr_expect_eq(folder_open(&folder, runs, "one", FOLDER_FORCE, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect(strstr(error.text, "a trainer uses"), "%s", error.text);
    cr_expect_eq(access(file, F_OK), 0, "nothing was removed");
    lock_release(&trainer);
    cr_expect_eq(folder_open(&folder, runs, "one", FOLDER_FORCE, &error), 0, "%s", error.text);
    cr_expect_neq(access(file, F_OK), 0);
    folder_close(&folder);
    scratch_end(runs);
}

Test(folder, one_that_was_moved_or_removed_is_noticed) {
    char runs[64], other[SCRATCH_PATH], now[PATH_MAX], command[PATH_MAX + 16];
    struct folder folder;
    struct error error;
    scratch_begin(runs);
    cr_assert_eq(folder_open(&folder, runs, "one", FOLDER_NEW, &error), 0, "%s", error.text);
    cr_expect_not(folder_moved(&folder, now));
    snprintf(other, sizeof other, "%s/two", runs);
    cr_assert_eq(rename(folder.path, other), 0);
    cr_expect(folder_moved(&folder, now));
    cr_expect(strstr(now, "/two"), "%s", now);
    cr_assert_eq(mkdir(folder.path, 0755), 0); /* another one in its place */
    cr_expect(folder_moved(&folder, now));
    cr_expect(strstr(now, "/two"), "%s", now);
    snprintf(command, sizeof command, "rm -r %s", other);
    cr_assert_eq(system(command), 0);
    cr_expect(folder_moved(&folder, now));
    cr_expect_str_eq(now, "");
    folder_close(&folder);
    scratch_end(runs);
}

Test(folder, what_is_not_ours_or_was_begun_stays) {
    static const struct {
        const char *file, *text;
    } kept[] = {{"batches.txt", "1 0123abcd\n"}, {"notes.txt", ""}, {"best.safetensors", ""}};
    char runs[64], file[SCRATCH_PATH];
    struct folder folder;
    struct error error;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        scratch_begin(runs);
        cr_assert_eq(folder_open(&folder, runs, "one", FOLDER_NEW, &error), 0, "%s", error.text);
        scratch_write(folder.path, kept[i].file, kept[i].text, file);
        cr_expect_not(folder_discard(&folder), "%s", kept[i].file);
        cr_expect_eq(access(file, F_OK), 0, "%s", kept[i].file);
        folder_close(&folder);
        scratch_end(runs);
    }
    /* Neither made by this start: one to resume, one that was thrown away. */
    for (enum folder_mode mode = FOLDER_RESUME; mode <= FOLDER_FORCE; mode++) {
        scratch_begin(runs);
        cr_assert_eq(folder_open(&folder, runs, "one", FOLDER_NEW, &error), 0);
        folder_close(&folder);
        cr_assert_eq(folder_open(&folder, runs, "one", mode, &error), 0, "%s", error.text);
        cr_expect_not(folder_discard(&folder));
        cr_expect_eq(access(folder.logs, F_OK), 0);
        folder_close(&folder);
        scratch_end(runs);
    }
}
