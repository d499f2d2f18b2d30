/* Runs Criterion tests where ThreadSanitizer watches: Criterion's own runner shares memory with its
 * tests at addresses that ThreadSanitizer keeps for itself, and cannot start. This one forks once a
 * test and ends with the same closing line. It takes the runner's place in builds with
 * -fsanitize=thread, and is empty in all others. Arguments are ignored but for one that begins with
 * a letter: the suite to run alone. */
#include <criterion/criterion.h>

#ifdef __SANITIZE_THREAD__

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 }; /* exit statuses; ThreadSanitizer's own is 66 */

/* The linker's names for where the tests' and suites' sections begin and end. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

static const struct criterion_test *running;
static bool failed;

static const struct criterion_suite *suite_of(const struct criterion_test *test) {
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++)
        if (*suite && strcmp((*suite)->name, test->category) == 0)
            return *suite;
    return NULL;
}

/* --- what the tests call, in place of the library's ------------------------------------------- */

void criterion_internal_test_setup(void) {
    const struct criterion_suite *suite = suite_of(running);
    if (suite && suite->data && suite->data->init)
        suite->data->init();
    if (running->data && running->data->init)
        running->data->init();
}

void criterion_internal_test_main(void (*function)(void)) {
    function();
}

void criterion_internal_test_teardown(void) {
    const struct criterion_suite *suite = suite_of(running);
    if (running->data && running->data->fini)
        running->data->fini();
    if (suite && suite->data && suite->data->fini)
        suite->data->fini();
}

void criterion_send_assert(struct criterion_assert_stats *stats) {
    if (stats->passed)
        return;
    failed = true;
    fprintf(stderr, "[----] %s:%u: %s\n", stats->file, stats->line, stats->message);
}

void criterion_abort_test(void) {
    _exit(FAILED);
}

void criterion_skip_test(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "[SKIP] %s::%s: ", running->category, running->name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(SKIPPED);
}

void criterion_continue_test(void) {
}

void cri_asserts_passed_incr(void);
void cri_asserts_passed_incr(void) {
}

/* Libraries that were built without ThreadSanitizer hide from it how they synchronise. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "called_from_lib:libzmq.so\n";
}

/* --- the runner ------------------------------------------------------------------------------- */

static int run(const struct criterion_test *test) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        running = test;
        test->test();
        exit(failed ? FAILED : PASSED); /* not _exit: ThreadSanitizer has the last word */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return FAILED;
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    const char *only = argc > 1 && isalpha((unsigned char)argv[argc - 1][0]) ? argv[argc - 1] : "";
    int tested = 0, passing = 0;
    for (struct criterion_test **test = __start_cr_tst; test < __stop_cr_tst; test++) {
        if (!*test || (only[0] && strcmp((*test)->category, only) != 0))
            continue;
        int status = run(*test);
        if (status == SKIPPED)
            continue;
        tested++;
        passing += status == PASSED;
        if (status != PASSED)
            printf("[FAIL] %s::%s: status %d\n", (*test)->category, (*test)->name, status);
    }
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n", tested,
           passing, tested - passing);
    return tested != passing;
}

#endif
