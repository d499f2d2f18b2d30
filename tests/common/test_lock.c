/* A lock that the system gives back: one holder at a time, named, gone with its process. */
#include "common/lock.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[SCRATCH_PATH];
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/trainer.lock", folder);
}

static void teardown(void) {
    scratch_end(folder);
}

TestSuite(lock, .init = setup, .fini = teardown, .timeout = 60);

Test(lock, one_holder_at_a_time_who_is_named) {
    struct lock one = {0}, two = {0};
    char expected[64];
    cr_assert_eq(lock_take(&one, path, 0, &error), 0, "%s", error.text);
    cr_expect_eq(lock_take(&two, path, 0, &error), -1);
    cr_expect_eq(error.code, ERROR_REFUSED);
    snprintf(expected, sizeof expected, "process %d on ", (int)getpid());
    cr_expect_eq(strncmp(error.text, expected, strlen(expected)), 0, "%s", error.text);
    lock_release(&one);
    lock_release(&one);
    cr_expect_eq(lock_take(&two, path, 0, &error), 0, "%s", error.text);
    lock_release(&two);
}

Test(lock, a_killed_holder_gives_it_back) {
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct lock lock = {0};
        char taken = lock_take(&lock, path, 0, &error) == 0;
        if (write(ready[1], &taken, 1) == 1)
            pause();
        _exit(1);
    }
    char taken = 0;
    struct lock lock = {0};
    cr_assert_eq(read(ready[0], &taken, 1), 1);
    cr_assert_eq(taken, 1);
    cr_expect_eq(lock_take(&lock, path, 0, &error), -1);
    kill(child, SIGKILL);
    cr_expect_eq(lock_take(&lock, path, 30000, &error), 0, "it is waited for: %s", error.text);
    waitpid(child, NULL, 0);
    lock_release(&lock);
    close(ready[0]);
    close(ready[1]);
}

Test(lock, what_stands_in_the_file_cannot_move_the_cursor) {
    struct lock one = {0}, two = {0};
    cr_assert_eq(lock_take(&one, path, 0, &error), 0, "%s", error.text);
    scratch_write(folder, "trainer.lock", "\033[2J\xff\nmore", path);
    cr_expect_eq(lock_take(&two, path, 0, &error), -1);
    cr_expect_str_eq(error.text, "?[2J? has it");
    scratch_write(folder, "trainer.lock", "", path);
    cr_expect_eq(lock_take(&two, path, 0, &error), -1);
    cr_expect_str_eq(error.text, "another process has it");
    lock_release(&one);
}

Test(lock, a_folder_that_is_not_there) {
    struct lock lock = {0};
    cr_expect_eq(lock_take(&lock, "/nonexistent/trainer.lock", 0, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_not(lock.held);
}
