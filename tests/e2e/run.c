/* See run.h. */
#include "tests/e2e/run.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A short nap between two looks at a file or a process: what is waited for is the event. */
static void look_again(int64_t since, const char *what) {
    struct timespec nap = {0, 5000000};
    cr_assert(clock_now() - since < RUN_PATIENCE * CLOCK_SECOND, "waited %d s for %s", RUN_PATIENCE,
              what);
    nanosleep(&nap, NULL);
}

static const char *find_mnist(void) {
    const char *places[] = {getenv("MNIST_DIR"), "data/mnist", "../shared/mnist"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[PATH_MAX];
        if (!places[i])
            continue;
        snprintf(path, sizeof path, "%s/train-images-idx3-ubyte.gz", places[i]);
        if (access(path, R_OK) == 0)
            return places[i];
    }
    return NULL;
}

void e2e_begin(struct e2e *self) {
    *self = (struct e2e){0};
    const char *mnist = find_mnist();
    self->data = mnist ? "mnist" : "synthetic";
    if (mnist)
        setenv("MNIST_DIR", mnist, 1);
    setenv("GOMP_SPINCOUNT", "0", 1); /* tests share the cores: a waiting thread must not spin */
    snprintf(self->folder, sizeof self->folder, "/tmp/digitsum-e2e-XXXXXX");
    cr_assert_not_null(mkdtemp(self->folder));
    snprintf(self->run, sizeof self->run, "%s/run", self->folder);
    snprintf(self->address, sizeof self->address, "ipc://%s/control", self->folder);
}

/* The folder that holds the programs of this build: beside the folder of this test program. */
void e2e_program(const char *program, char *path, size_t size) {
    char self[PATH_MAX / 2];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    cr_assert(length > 0);
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, size, "%s/bin/%s", self, program);
}

int e2e_start(struct e2e *self, const char *program, const char *name, const char *const *args) {
    char path[PATH_MAX];
    const char *argv[64] = {path};
    struct error error;
    cr_assert_lt(self->count, RUN_PROCESSES);
    struct e2e_process *process = &self->list[self->count];
    if (program[0] == '/')
        snprintf(path, sizeof path, "%s", program);
    else
        e2e_program(program, path, sizeof path);
    for (int i = 0; args[i]; i++) {
        cr_assert_lt(i, 62);
        argv[i + 1] = strcmp(args[i], "@ADDRESS") == 0 ? self->address
                      : strcmp(args[i], "@RUN") == 0   ? self->run
                                                       : args[i];
    }
    snprintf(process->name, sizeof process->name, "%s", name);
    char log[600];
    snprintf(log, sizeof log, "%s/%d-%s.log", self->folder, self->count, name);
    strcpy(process->log, log);
    unlink(log); /* of an earlier process, where a test counts from 0 again */
    struct process_spec spec = {.name = name, .argv = argv, .log = process->log};
    cr_assert_eq(process_start(&process->process, &spec, &error), 0, "%s", error.text);
    return self->count++;
}

int e2e_loader(struct e2e *self, const char *name, const char *images) {
    const char *const args[] = {"--join", "@ADDRESS",      "--data", self->data,     "--name",
                                name,     "--train-limit", images,   "--test-limit", "1000",
                                NULL};
    return e2e_start(self, "loader", name, args);
}

int e2e_augment(struct e2e *self, const char *name) {
    const char *const args[] = {"--join", "@ADDRESS", "--name", name, NULL};
    return e2e_start(self, "augment", name, args);
}

int e2e_evaluator(struct e2e *self, const char *name) {
    const char *const args[] = {"--join", "@ADDRESS", "--name", name, "--run-dir", "@RUN", NULL};
    return e2e_start(self, "evaluator", name, args);
}

int e2e_trainer(struct e2e *self, const char *const *more) {
    const char *args[48] = {"--bind",      "@ADDRESS", "--run-dir", "@RUN", "--net",   "quick",
                            "--precision", "f32",      "--threads", "1",    "--batch", "64"};
    int count = 12;
    for (int i = 0; more[i]; i++)
        args[count++] = more[i];
    args[count] = NULL;
    return e2e_start(self, "trainer", "trainer", args);
}

static void show_log(const struct e2e_process *process) {
    char command[700];
    snprintf(command, sizeof command, "tail -n 20 %s >&2", process->log);
    if (system(command) != 0)
        fprintf(stderr, "%s cannot be shown\n", process->log);
}

int e2e_wait(struct e2e *self, int index) {
    struct e2e_process *process = &self->list[index];
    int64_t since = clock_now();
    while (process->process.pid != 0 && !process_reap(&process->process, &process->status)) {
        if (clock_now() - since > (RUN_PATIENCE - 1) * CLOCK_SECOND)
            show_log(process);
        look_again(since, process->name);
    }
    return process->status;
}

int e2e_count(const struct e2e *self, int index, const char *text) {
    FILE *file = fopen(self->list[index].log, "re");
    char line[2048];
    int count = 0;
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return count;
}

bool e2e_logged(const struct e2e *self, int index, const char *text) {
    return e2e_count(self, index, text) > 0;
}

void e2e_after(const struct e2e *self, int index, const char *text, char *word, size_t size) {
    FILE *file = fopen(self->list[index].log, "re");
    char line[2048];
    const char *place = NULL;
    while (file && !place && fgets(line, sizeof line, file))
        place = strstr(line, text);
    cr_assert_not_null(place, "%s did not say '%s'", self->list[index].name, text);
    place += strlen(text);
    snprintf(word, size, "%.*s", (int)strcspn(place, " ,\r\n"), place);
    fclose(file);
}

/* Counts the processes whose command line has both texts; *last is the newest of them. */
static int find_processes(const char *one, const char *other, pid_t *last) {
    int count = 0;
    DIR *directory = opendir("/proc");
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[300], line[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0;
        if (file)
            fclose(file);
        if (size == 0 || !memmem(line, size, one, strlen(one)) ||
            !memmem(line, size, other, strlen(other)))
            continue;
        *last = (pid_t)atoi(entry->d_name);
        count++;
    }
    closedir(directory);
    return count;
}

int e2e_count_processes(const char *text) {
    pid_t ignored;
    return find_processes(text, "", &ignored);
}

void e2e_expect_no_process(const struct e2e *self) {
    int64_t since = clock_now();
    while (e2e_count_processes(self->folder) > 0)
        look_again(since, "all processes to end");
}

void e2e_kill_matching(const struct e2e *self, const char *text) {
    pid_t pid = 0;
    int64_t since = clock_now();
    while (find_processes(self->folder, text, &pid) != 1) /* it may be about to be executed */
        look_again(since, text);
    cr_assert_eq(kill(pid, SIGKILL), 0);
}

int e2e_plain_lines(const struct e2e *self, int index) {
    FILE *file = fopen(self->list[index].log, "re");
    char line[2048];
    int count = 0;
    while (file && fgets(line, sizeof line, file))
        count += strncmp(line, "20", 2) != 0;
    if (file)
        fclose(file);
    return count;
}

void e2e_expect(struct e2e *self, int index, const char *text) {
    e2e_expect_count(self, index, text, 1);
}

void e2e_expect_count(struct e2e *self, int index, const char *text, int count) {
    int64_t since = clock_now();
    struct e2e_process *process = &self->list[index];
    while (e2e_count(self, index, text) < count) {
        if (process_reap(&process->process, &process->status) &&
            e2e_count(self, index, text) < count) {
            show_log(process);
            cr_assert(false, "%s ended with %d before it said '%s'", process->name, process->status,
                      text);
        }
        look_again(since, text);
    }
}

void e2e_expect_file(struct e2e *self, const char *name) {
    char path[700];
    int64_t since = clock_now();
    struct e2e_process *newest = &self->list[self->count - 1];
    snprintf(path, sizeof path, "%s/%s", self->run, name);
    while (access(path, F_OK) != 0) {
        if (process_reap(&newest->process, &newest->status) && access(path, F_OK) != 0) {
            show_log(newest);
            cr_assert(false, "%s ended with %d before there was %s", newest->name, newest->status,
                      path);
        }
        look_again(since, path);
    }
}

json_t *e2e_summary(const struct e2e *self) {
    char path[700];
    json_error_t error;
    snprintf(path, sizeof path, "%s/summary.json", self->run);
    json_t *summary = json_load_file(path, 0, &error);
    cr_assert_not_null(summary, "%s: %s", path, error.text);
    return summary;
}

void e2e_summary_text(const struct e2e *self, const char *key, char *text, size_t size) {
    json_t *summary = e2e_summary(self);
    const char *value = json_string_value(json_object_get(summary, key));
    cr_assert_not_null(value, "summary.json has no text '%s'", key);
    snprintf(text, size, "%s", value);
    json_decref(summary);
}

double e2e_summary_number(const struct e2e *self, const char *key) {
    json_t *summary = e2e_summary(self);
    json_t *value = json_object_get(summary, key);
    cr_assert(json_is_number(value), "summary.json has no number '%s'", key);
    double number = json_number_value(value);
    json_decref(summary);
    return number;
}

/* Fails on sockets and temporary files; removes everything on the way. */
static int sweep(const char *folder, char *left, size_t size) {
    int found = 0;
    DIR *directory = opendir(folder);
    if (!directory)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[PATH_MAX];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &status) != 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            found += sweep(path, left, size);
            continue;
        }
        if (S_ISSOCK(status.st_mode) || strstr(entry->d_name, ".tmp")) {
            found++;
            snprintf(left, size, "%s", path);
        }
        unlink(path);
    }
    closedir(directory);
    rmdir(folder);
    return found;
}

void e2e_end(struct e2e *self) {
    bool killed = false;
    for (int i = 0; i < self->count; i++) {
        struct e2e_process *process = &self->list[i];
        if (process->process.pid == 0) {
            killed |= process->status == 128 + SIGKILL;
            continue;
        }
        killed = true;
        process_signal(&process->process, SIGKILL, true);
        e2e_wait(self, i);
    }
    char left[PATH_MAX] = "";
    int found = sweep(self->folder, left, sizeof left);
    /* Who is killed cannot tidy up; on one machine the launcher does it for them. */
    cr_assert(killed || found == 0, "left behind: %s", left);
}
