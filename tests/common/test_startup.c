/* The process as a program finds it, each case in a process of its own: what it found wrong first
 * is its exit status. */
#include "common/startup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(condition)                                                                         \
    if (!(condition))                                                                              \
    _exit(__LINE__ % 100 + 1)

static void expect_good(void (*body)(void)) {
    int status = 0;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    cr_expect_eq(WEXITSTATUS(status), 0, "line %d", WEXITSTATUS(status) - 1);
}

static void closed_standard_descriptors(void) {
    struct error error;
    struct stat null, one;
    close(0);
    close(1);
    close(2);
    REQUIRE(startup_prepare(&error) == 0);
    REQUIRE(stat("/dev/null", &null) == 0);
    for (int i = 0; i < 3; i++)
        REQUIRE(fstat(i, &one) == 0 && one.st_rdev == null.st_rdev);
    REQUIRE(write(1, "x", 1) == 1);
    int next = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    REQUIRE(next > 2);
}

Test(startup, fills_closed_standard_descriptors) {
    expect_good(closed_standard_descriptors);
}

static void low_soft_limit(void) {
    struct error error;
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 900};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(startup_prepare(&error) == 0);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(limit.rlim_cur == 900 && limit.rlim_max == 900);
}

static void low_hard_limit(void) {
    struct error error;
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 200};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(startup_prepare(&error) == -1);
    REQUIRE(error.code == ERROR_INVALID);
    REQUIRE(strcmp(error.text, "only 200 files may be open at a time (ulimit -Hn): at least 256 "
                               "are needed") == 0);
}

Test(startup, raises_the_soft_limit_on_descriptors_or_says_what_is_needed) {
    expect_good(low_soft_limit);
    expect_good(low_hard_limit);
}

static void small_files(void) {
    struct error error;
    struct rlimit limit = {.rlim_cur = 4, .rlim_max = RLIM_INFINITY};
    int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(startup_prepare(&error) == 0);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    REQUIRE(write(file, "12345678", 8) == 4);
    REQUIRE(write(file, "5", 1) == -1 && errno == EFBIG);
}

Test(startup, a_limit_on_file_sizes_is_an_error_and_no_death) {
    expect_good(small_files);
}
