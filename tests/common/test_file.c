/* common/file.h: whole or not there, whatever fails. */
#include "common/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char folder[32];
    char path[64];
};

static struct place make_place(void) {
    struct place place = {.folder = "/tmp/digitsum-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(place.folder));
    snprintf(place.path, sizeof place.path, "%s/last", place.folder);
    return place;
}

/* How many entries the folder has, hidden ones included. */
static int count_files(const char *folder) {
    int count = 0;
    DIR *opened = opendir(folder);
    cr_assert_not_null(opened);
    for (struct dirent *entry; (entry = readdir(opened));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(opened);
    return count;
}

static void remove_place(const struct place *place) {
    unlink(place->path);
    cr_expect_eq(rmdir(place->folder), 0, "something was left in %s", place->folder);
}

static bool holds(const char *path, const char *text) {
    char got[64] = "";
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    size_t size = fread(got, 1, sizeof got - 1, file);
    fclose(file);
    return size == strlen(text) && memcmp(got, text, size) == 0;
}

static void must_write(const char *path, const char *text) {
    struct error error = {0};
    cr_assert_eq(file_write(path, text, strlen(text), &error), 0, "%s", error.text);
}

Test(file, writes_and_replaces) {
    struct place place = make_place();
    must_write(place.path, "the first");
    cr_expect(holds(place.path, "the first"));
    must_write(place.path, "second");
    cr_expect(holds(place.path, "second"));
    must_write(place.path, "");
    cr_expect(holds(place.path, ""));
    cr_expect_eq(count_files(place.folder), 1);
    remove_place(&place);
}

Test(file, has_the_usual_permissions) {
    struct place place = make_place();
    struct stat status;
    umask(027);
    must_write(place.path, "x");
    cr_assert_eq(stat(place.path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0640);
    remove_place(&place);
}

Test(file, a_name_without_a_folder) {
    struct place place = make_place();
    cr_assert_eq(chdir(place.folder), 0);
    must_write("last", "here");
    cr_expect(holds(place.path, "here"));
    remove_place(&place);
}

/* What a killed process of our number left must neither be used nor be in the way. */
Test(file, a_temporary_name_that_is_taken) {
    struct place place = make_place();
    char taken[96];
    snprintf(taken, sizeof taken, "%s/.digitsum-%ld-0.tmp", place.folder, (long)getpid());
    must_write(taken, "left behind");
    must_write(place.path, "new");
    cr_expect(holds(place.path, "new"));
    cr_expect(holds(taken, "left behind"));
    unlink(taken);
    remove_place(&place);
}

static void expect_not_written(const char *path, const char *sentence) {
    struct error error = {0};
    cr_expect_eq(file_write(path, "x", 1, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_str_eq(error.text, sentence);
}

Test(file, places_that_cannot_be_written) {
    struct place place = make_place();
    char sentence[256], below[80];
    expect_not_written("/nonexistent/a",
                       "cannot open the folder of /nonexistent/a: No such file or "
                       "directory");
    cr_assert_eq(mkdir(place.path, 0700), 0);
    snprintf(sentence, sizeof sentence, "cannot put %s in place: Is a directory", place.path);
    expect_not_written(place.path, sentence);
    cr_expect_eq(count_files(place.folder), 1);
    cr_assert_eq(rmdir(place.path), 0);
    must_write(place.path, "a file");
    snprintf(below, sizeof below, "%s/a", place.path);
    snprintf(sentence, sizeof sentence, "cannot open the folder of %s: Not a directory", below);
    expect_not_written(below, sentence);
    remove_place(&place);
}

/* --- a disk that is full --------------------------------------------------------------------- */

#define NO_TMPFS 77

/* Runs in a child; its exit status is the number of the check that failed, or 0. */
static int write_too_much(const struct place *place, size_t size, int expected_errno) {
    struct error error = {0};
    char reason[128];
    uint8_t *bytes = calloc(1, size);
    if (!bytes || file_write(place->path, bytes, size, &error) != -1)
        return 1;
    free(bytes);
    if (error.code != ERROR_IO)
        return 2;
    if (!strstr(error.text, strerror_r(expected_errno, reason, sizeof reason)))
        return 3;
    if (!strstr(error.text, "cannot write the "))
        return 4;
    return 0;
}

static int wait_for(pid_t child) {
    int status;
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status), "signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

Test(file, a_limit_on_the_size_leaves_the_older_file) {
    struct place place = make_place();
    must_write(place.path, "older");
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(write_too_much(&place, 1000000, EFBIG));
    }
    cr_expect_eq(wait_for(child), 0);
    cr_expect(holds(place.path, "older"));
    cr_expect_eq(count_files(place.folder), 1);
    remove_place(&place);
}

/* In a mount namespace of its own, so that the mount goes with the child. */
static int fill_small_disk(struct place *place) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", place->folder, "tmpfs", 0, "size=64k"))
        return NO_TMPFS;
    if (file_write(place->path, "older", 5, NULL))
        return 10;
    int failed = write_too_much(place, 1000000, ENOSPC);
    if (failed)
        return failed;
    if (count_files(place->folder) != 1)
        return 11;
    return holds(place->path, "older") ? 0 : 12;
}

Test(file, a_full_disk_leaves_the_older_file) {
    struct place place = make_place();
    pid_t child = fork();
    if (child == 0)
        _exit(fill_small_disk(&place));
    int failed = wait_for(child);
    remove_place(&place);
    if (failed == NO_TMPFS)
        cr_skip_test("a tmpfs cannot be mounted here");
    cr_expect_eq(failed, 0, "check %d", failed);
}

/* --- temporaries that were left ------------------------------------------------------------ */

static void leave(const char *folder, const char *format, long process) {
    char name[64], path[128];
    snprintf(name, sizeof name, format, process);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fclose(file);
}

Test(file, what_the_killed_left_is_swept) {
    struct place place = make_place();
    pid_t gone = fork(); /* a process id that is nobody's any more */
    if (gone == 0)
        _exit(0);
    cr_assert_eq(waitpid(gone, NULL, 0), gone);
    leave(place.folder, ".digitsum-%ld-0.tmp", gone);
    leave(place.folder, ".digitsum-%ld-7.tmp", gone);
    leave(place.folder, ".digitsum-%ld-0.tmp", getpid());  /* of one before with our id */
    leave(place.folder, ".digitsum-%ld-0.tmp", getppid()); /* its writer lives */
    leave(place.folder, ".digitsum-%ld-0.tmp.mine", gone);
    leave(place.folder, "step-%09ld.safetensors", 12);
    file_sweep(place.folder, false);
    cr_expect_eq(count_files(place.folder), 3);
    file_sweep(place.folder, true); /* or had that id: nobody else writes there */
    cr_expect_eq(count_files(place.folder), 2);
    file_sweep("/nowhere", true);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", place.folder);
    cr_assert_eq(system(command), 0);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void expect_unread(const char *path, size_t max, enum error_code code, int reason,
                          const char *sentence) {
    struct error error = {0};
    uint8_t *bytes = (uint8_t *)"";
    size_t size = 1;
    cr_expect_eq(file_read(path, max, &bytes, &size, &error), -1);
    cr_expect_eq(errno, reason);
    cr_expect_null(bytes);
    cr_expect_eq(error.code, code);
    cr_expect_str_eq(error.text, sentence);
}

Test(file, reads_what_was_written) {
    struct place place = make_place();
    struct error error = {0};
    uint8_t *bytes;
    size_t size;
    must_write(place.path, "hello");
    cr_assert_eq(file_read(place.path, 5, &bytes, &size, &error), 0, "%s", error.text);
    cr_expect_eq(size, 5);
    cr_expect_str_eq((char *)bytes, "hello");
    free(bytes);
    remove_place(&place);
}

Test(file, what_cannot_be_read_is_named, .timeout = 20) {
    struct place place = make_place();
    char sentence[256];
    expect_unread("/nonexistent", 9, ERROR_IO, ENOENT,
                  "cannot open /nonexistent: No such file or directory");
    expect_unread("/tmp", 9, ERROR_IO, 0, "cannot read /tmp: it is not a regular file");
    cr_assert_eq(mkfifo(place.path, 0600), 0); /* nobody writes: to wait for it would be for ever */
    snprintf(sentence, sizeof sentence, "cannot read %s: it is not a regular file", place.path);
    expect_unread(place.path, 9, ERROR_IO, 0, sentence);
    unlink(place.path);
    must_write(place.path, "1234567890");
    snprintf(sentence, sizeof sentence, "%s is larger than 9 bytes (10)", place.path);
    expect_unread(place.path, 9, ERROR_CORRUPT, 0, sentence);
    unlink(place.path);
    cr_assert_eq(symlink(place.path, place.path), 0);
    snprintf(sentence, sizeof sentence, "cannot open %s: Too many levels of symbolic links",
             place.path);
    expect_unread(place.path, 9, ERROR_IO, ELOOP, sentence);
    remove_place(&place);
}

/* --- folders and paths ------------------------------------------------------------------------ */

Test(file, folders_are_made_once) {
    struct place place = make_place();
    struct error error = {0};
    char below[96], sentence[256];
    cr_expect_eq(file_make_folder(place.path, &error), 0, "%s", error.text);
    cr_expect_eq(file_make_folder(place.path, &error), 0, "%s", error.text);
    snprintf(below, sizeof below, "%s/a/b", place.path);
    cr_expect_eq(file_make_folder(below, &error), -1);
    snprintf(sentence, sizeof sentence, "cannot make the folder %s: No such file or directory",
             below);
    cr_expect_str_eq(error.text, sentence);
    cr_assert_eq(rmdir(place.path), 0);
    must_write(place.path, "a file");
    cr_expect_eq(file_make_folder(place.path, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    remove_place(&place);
}

Test(file, a_path_that_does_not_fit_is_never_cut) {
    char path[PATH_MAX], folder[PATH_MAX];
    struct error error = {0};
    cr_assert_eq(path_join(path, "runs/a", "b", &error), 0);
    cr_expect_str_eq(path, "runs/a/b");
    memset(folder, 'x', sizeof folder - 3);
    folder[sizeof folder - 3] = '\0';
    cr_expect_eq(path_join(path, folder, "y", &error), 0); /* and its NUL: all of PATH_MAX */
    cr_expect_eq(strlen(path), PATH_MAX - 1);
    cr_expect_eq(path_join(path, folder, "yz", &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_empty(path);
}

/* --- records at the end ----------------------------------------------------------------------- */

Test(file, a_record_is_appended_whole_or_not_at_all) {
    struct place place = make_place();
    struct error error = {0};
    uint64_t end = 0;
    int file = open(place.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(file, 0);
    cr_expect_eq(file_append(file, place.path, "one\n", 4, &end, &error), 0, "%s", error.text);
    cr_expect_eq(file_append(file, place.path, "two\n", 4, &end, &error), 0, "%s", error.text);
    cr_expect_eq(end, 8);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {10, 10};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(file_append(file, place.path, "three\n", 6, &end, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect(strstr(error.text, "only 2 of 6 bytes could be appended"), "%s", error.text);
    cr_expect_eq(end, 8);
    cr_expect(holds(place.path, "one\ntwo\n"));
    close(file);
    remove_place(&place);
}
