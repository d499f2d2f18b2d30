/* Terminals and the signals that they send: Ctrl-Z, a terminal that is closed, nohup. On
 * pseudo-terminals, with the real programs; waits for what is written and for the states of
 * processes. */
#include "tests/e2e/run.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(terminal, .timeout = 300);

struct terminal {
    int master;
    pid_t pid;        /* of the leader of its session */
    char said[65536]; /* what came since the last expect(), NUL-ended */
    size_t size;
};

/* Runs argv (argv[0] with its path) on a new terminal. */
static void terminal_open(struct terminal *self, const char *const *argv, int columns) {
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    *self = (struct terminal){0};
    self->pid = forkpty(&self->master, NULL, NULL, &size);
    cr_assert_geq(self->pid, 0);
    if (self->pid == 0) {
        setenv("TERM", "xterm", 1);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
}

/* Reads until `text` has been written, and forgets all that came up to its end. */
static void expect(struct terminal *self, const char *text) {
    int64_t until = clock_now() + RUN_PATIENCE * CLOCK_SECOND;
    for (;;) {
        char *found = memmem(self->said, self->size, text, strlen(text));
        if (found) {
            found += strlen(text);
            self->size -= (size_t)(found - self->said);
            memmove(self->said, found, self->size);
            return;
        }
        if (self->size > sizeof self->said / 2) { /* a bar that is redrawn for long */
            self->size /= 2;
            memmove(self->said, self->said + self->size, self->size);
        }
        struct pollfd item = {.fd = self->master, .events = POLLIN};
        cr_assert(clock_now() < until, "waited for '%s' after: %.*s", text, (int)self->size,
                  self->said);
        ssize_t got = poll(&item, 1, 100) == 1 ? read(self->master, self->said + self->size,
                                                      sizeof self->said - self->size)
                                               : 0;
        cr_assert(got >= 0, "the terminal ended before '%s', after: %.*s", text, (int)self->size,
                  self->said);
        self->size += (size_t)got;
    }
}

/* Reads on, so that nobody has to wait for room, until the leader has ended; returns its status. */
static int terminal_wait(struct terminal *self) {
    int status = 0;
    int64_t until = clock_now() + RUN_PATIENCE * CLOCK_SECOND;
    while (waitpid(self->pid, &status, WNOHANG) != self->pid) {
        struct pollfd item = {.fd = self->master, .events = POLLIN};
        char text[4096];
        cr_assert(clock_now() < until, "the program on the terminal did not end");
        if (self->master >= 0 && poll(&item, 1, 20) == 1 &&
            read(self->master, text, sizeof text) < 0)
            cr_assert_eq(errno, EIO);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* How many processes there are of our programs in this run's folder, and how many of those stand.
 */
static int count_programs(const struct e2e *run, int *standing) {
    int count = 0;
    DIR *directory = opendir("/proc");
    *standing = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        static const char *const programs[] = {"pipeline", "trainer", "loader", "augment",
                                               "evaluator"};
        char path[300], line[4096] = "", stat[512] = "";
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = fopen(path, "re");
        size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0;
        if (file)
            fclose(file);
        const char *base = strrchr(line, '/'); /* of the first word */
        bool ours = false;
        for (size_t i = 0; base && i < sizeof programs / sizeof *programs; i++)
            ours |= strcmp(base + 1, programs[i]) == 0;
        if (!ours || !memmem(line, size, run->folder, strlen(run->folder)))
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        file = fopen(path, "re");
        if (file && fgets(stat, sizeof stat, file)) {
            const char *state = strrchr(stat, ')');
            count++;
            *standing += state && state[2] == 'T';
        }
        if (file)
            fclose(file);
    }
    closedir(directory);
    return count;
}

static void expect_programs(const struct e2e *run, int count, int standing) {
    const struct timespec nap = {0, 5000000};
    int64_t until = clock_now() + RUN_PATIENCE * CLOCK_SECOND;
    for (;;) {
        int stand, are = count_programs(run, &stand);
        if (are == count && stand == standing)
            return;
        cr_assert(clock_now() < until, "%d processes, %d stand: expected %d and %d", are, stand,
                  count, standing);
        nanosleep(&nap, NULL);
    }
}

/* The launcher's words for a run of so many steps in this test's folder, after `front`. */
static void pipeline_words(const struct e2e *run, const char *const *front, const char *steps,
                           const char *words[static 32]) {
    static char program[512], steps_option[64], data[64];
    int count = 0;
    e2e_program("pipeline", program, sizeof program);
    snprintf(steps_option, sizeof steps_option, "--steps=%s", steps);
    snprintf(data, sizeof data, "--data=%s", run->data);
    for (; front[count]; count++)
        words[count] = front[count];
    const char *const rest[] = {
        program,       "--run=run",  "--runs",
        run->folder,   data,         "--loader=--train-limit=2000",
        steps_option,  "--net=tiny", "--loader=--test-limit=1000",
        "--precision", "f32",        "--trainer=--checkpoint-every=20",
        NULL,
    };
    memcpy(words + count, rest, sizeof rest);
}

Test(terminal, ctrl_z_stops_the_whole_job_and_fg_lets_it_go_on) {
    /* A shell that has jobs, so that there is somebody to type fg to. */
    static const char *const shell[] = {
        "/bin/bash", "-m", "-c", "\"$@\"; echo stands: $?; read; fg; echo ended: $?", "bash", NULL};
    const char *words[32];
    struct e2e run;
    struct terminal terminal;
    e2e_begin(&run);
    pipeline_words(&run, shell, "1000000", words);
    terminal_open(&terminal, words, 100);
    expect(&terminal, " left"); /* all are there and at work */
    expect_programs(&run, 6, 0);
    cr_assert_eq(write(terminal.master, "\x1a", 1), 1);
    expect(&terminal, "stands: 147"); /* 128 + SIGSTOP */
    expect_programs(&run, 6, 6);
    cr_assert_eq(write(terminal.master, "\n", 1), 1);
    expect_programs(&run, 6, 0);
    expect(&terminal, " left");
    /* The shell ends with a stopped job: the kernel lets it go on, with a SIGHUP. */
    cr_assert_eq(write(terminal.master, "\x1a", 1), 1);
    expect(&terminal, "ended: 147");
    cr_expect_eq(terminal_wait(&terminal), 0);
    expect_programs(&run, 0, 0);
    close(terminal.master);
    cr_expect_gt(e2e_summary_number(&run, "steps"), 0);
    e2e_end(&run);
}

/* Whoever types fg at once does so while the launcher still waits for its children to stop. */
Test(terminal, fg_that_comes_at_once_counts) {
    const char *words[32];
    struct e2e run;
    e2e_begin(&run);
    pipeline_words(&run, (const char *const[]){NULL}, "1000000", words);
    int pipeline = e2e_start(&run, "pipeline", "pipeline", words + 1);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    expect_programs(&run, 6, 0);
    for (int i = 0; i < 20; i++) {
        const struct timespec nap = {0, i * 200000}; /* to come at another moment each time */
        process_signal(&run.list[pipeline].process, SIGTSTP, false);
        nanosleep(&nap, NULL);
        process_signal(&run.list[pipeline].process, SIGCONT, false);
        expect_programs(&run, 6, 0);
    }
    process_signal(&run.list[pipeline].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, pipeline), 130);
    e2e_end(&run);
}

Test(terminal, ctrl_z_where_no_shell_could_let_it_go_on_stops_nothing) {
    const char *words[32];
    struct e2e run;
    struct terminal terminal;
    e2e_begin(&run);
    pipeline_words(&run, (const char *const[]){NULL}, "1000000", words);
    terminal_open(&terminal, words, 80);
    expect(&terminal, " left");
    cr_assert_eq(write(terminal.master, "\x1a", 1), 1);
    expect(&terminal, " left");
    expect_programs(&run, 6, 0);
    cr_assert_eq(write(terminal.master, "\x03", 1), 1);
    expect(&terminal, "stopping: ");
    cr_expect_eq(terminal_wait(&terminal), 130);
    close(terminal.master);
    expect_programs(&run, 0, 0);
    e2e_end(&run);
}

Test(terminal, ctrl_backslash_leaves_no_orphan) {
    const char *words[32];
    struct e2e run;
    struct terminal terminal;
    e2e_begin(&run);
    pipeline_words(&run, (const char *const[]){NULL}, "1000000", words);
    terminal_open(&terminal, words, 80);
    expect(&terminal, " left");
    cr_assert_eq(write(terminal.master, "\x1c", 1), 1);
    cr_expect_eq(terminal_wait(&terminal), 128 + SIGQUIT);
    close(terminal.master);
    expect_programs(&run, 0, 0);
    run.list[run.count++].status = 128 + SIGKILL; /* nobody removed the sockets */
    e2e_end(&run);
}

Test(terminal, watch_ends_as_all_programs_do) {
    struct e2e run;
    struct terminal terminal;
    char program[512];
    e2e_begin(&run);
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "10", NULL});
    int loader = e2e_loader(&run, "loader-1", "2000");
    e2e_expect(&run, trainer, "loader loader-1 joined");
    e2e_program("watch", program, sizeof program);
    terminal_open(&terminal,
                  (const char *const[]){program, "--progress", "--join", run.address, NULL}, 80);
    expect(&terminal, "waiting for ");
    cr_assert_eq(write(terminal.master, "\x03", 1), 1);
    expect(&terminal, "watch: stopped by a signal");
    cr_expect_eq(terminal_wait(&terminal), 130);
    close(terminal.master);
    process_signal(&run.list[trainer].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, trainer), 130);
    cr_expect_eq(e2e_wait(&run, loader), 0);
    e2e_end(&run);
}

Test(terminal, closed_under_the_launcher_ends_the_run_in_order) {
    const char *words[32];
    struct e2e run;
    struct terminal terminal;
    e2e_begin(&run);
    pipeline_words(&run, (const char *const[]){NULL}, "1000000", words);
    terminal_open(&terminal, words, 80);
    expect(&terminal, " left");
    close(terminal.master);
    terminal.master = -1;
    cr_expect_eq(terminal_wait(&terminal), 130);
    expect_programs(&run, 0, 0);
    cr_expect_gt(e2e_summary_number(&run, "steps"), 0);
    e2e_end(&run);
}

Test(terminal, closed_under_a_trainer_ends_it_as_sigterm_does) {
    char program[512];
    struct e2e run;
    struct terminal terminal;
    e2e_begin(&run);
    int loader = e2e_loader(&run, "loader-1", "2000"), augment = e2e_augment(&run, "augment-1");
    e2e_program("trainer", program, sizeof program);
    terminal_open(&terminal,
                  (const char *const[]){program, "--bind", run.address, "--run-dir", run.run,
                                        "--net", "tiny", "--precision", "f32", "--steps", "1000000",
                                        "--checkpoint-every", "20", NULL},
                  80);
    expect(&terminal, "step-000000020");
    close(terminal.master);
    terminal.master = -1;
    cr_expect_eq(terminal_wait(&terminal), 130);
    cr_expect_eq(e2e_wait(&run, loader), 0, "it was not told that the run is over");
    cr_expect_eq(e2e_wait(&run, augment), 0);
    cr_expect_gt(e2e_summary_number(&run, "steps"), 0);
    e2e_end(&run);
}

Test(terminal, nohup_holds) {
    const char *words[32];
    struct e2e run;
    e2e_begin(&run);
    signal(SIGHUP, SIG_IGN);
    pipeline_words(&run, (const char *const[]){NULL}, "200", words);
    int pipeline = e2e_start(&run, "pipeline", "pipeline", words + 1);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    process_signal(&run.list[pipeline].process, SIGHUP, true);
    cr_expect_eq(e2e_wait(&run, pipeline), 0);
    cr_expect_eq(e2e_summary_number(&run, "steps"), 200);
    e2e_end(&run);
}

/* A script that says `pipeline &` has it ignore Ctrl-C; the launcher still ends its trainer by
 * SIGINT. */
Test(terminal, in_the_background_of_a_script_ctrl_c_is_ignored_and_sigterm_is_not) {
    static const char *const script[] = {"/bin/sh", "-c",
                                         "\"$@\" & echo it is $!; wait $!; exit $?", "sh", NULL};
    const char *words[32];
    struct e2e run;
    e2e_begin(&run);
    pipeline_words(&run, script, "1000000", words);
    int shell = e2e_start(&run, words[0], "shell", words + 1);
    e2e_expect_file(&run, "checkpoints/step-000000020.safetensors");
    e2e_expect(&run, shell, "it is ");
    FILE *log = fopen(run.list[shell].log, "re");
    int pid = 0;
    cr_assert_eq(fscanf(log, "it is %d", &pid), 1);
    fclose(log);
    cr_assert_eq(kill(pid, SIGINT), 0);
    cr_assert_eq(kill(pid, SIGTERM), 0); /* taken for the second signal, it would end all at once */
    cr_expect_eq(e2e_wait(&run, shell), 130);
    cr_expect(e2e_logged(&run, shell, "Stopped before the end:"), "there is no report");
    expect_programs(&run, 0, 0);
    e2e_end(&run);
}
