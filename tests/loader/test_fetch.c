/* The download and its checks, from mirrors that are folders, a server of ours, or nobody: a
 * transfer that is cut off goes on, the next mirror is tried, and nothing but whole, right files is
 * kept. */
#include "common/sha256.h"
#include "common/signals.h"
#include "loader/dataset.h"
#include "loader/fetch.h"
#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

enum { SIZE = 5000 };

static char folder[64], target[100], mirror[2][160], list[SCRATCH_PATH];
static uint8_t good[SIZE], wrong[SIZE];
static struct error error;
static pid_t server_pid;

static void setup(void) {
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX], line[128], path[100];
    scratch_begin(folder);
    snprintf(target, sizeof target, "%s/target/cache", folder);
    uint32_t noise = 1; /* does not compress: what is on the way is some kilobytes */
    for (int i = 0; i < SIZE; i++)
        good[i] = (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24);
    memcpy(wrong, good, SIZE);
    wrong[17] ^= 1;
    sha256_bytes(good, SIZE, digest);
    sha256_hex(digest, hex);
    snprintf(line, sizeof line, "digits %s %d\n", hex, SIZE);
    scratch_write(folder, "list", line, list);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/mirror%d", folder, i);
        cr_assert_eq(mkdir(path, 0777), 0);
        snprintf(mirror[i], sizeof mirror[i], "file://%s/", path);
    }
    setenv("DIGITSUM_STALL_SECONDS", "1", 1);
}

static void teardown(void) {
    if (server_pid > 0) {
        kill(server_pid, SIGKILL);
        waitpid(server_pid, NULL, 0);
    }
    scratch_end(folder);
}

TestSuite(fetch, .init = setup, .fini = teardown, .timeout = 60);

/* Puts these bytes, as gzip, on a mirror; `cut` bytes of the gzip stream are left out. */
static void put_as(int number, const uint8_t *bytes, size_t size, int cut, const char *mode) {
    char path[200];
    snprintf(path, sizeof path, "%s/mirror%d/digits.gz", folder, number);
    gzFile file = gzopen(path, mode);
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(truncate(path, status.st_size - cut), 0);
}

static void put(int number, const uint8_t *bytes, size_t size, int cut) {
    put_as(number, bytes, size, cut, "wb");
}

static int download(const char *first, const char *second) {
    char mirrors[400];
    snprintf(mirrors, sizeof mirrors, "%s %s", first, second);
    setenv("DIGITSUM_MIRRORS", mirrors, 1);
    return fetch_download(target, list, &error);
}

static void expect_whole(void) {
    char path[200];
    uint8_t back[SIZE + 1];
    snprintf(path, sizeof path, "%s/digits.gz", target);
    gzFile file = gzopen(path, "rb");
    cr_assert_not_null(file, "%s is not there: %s", path, error.text);
    cr_assert_eq(gzread(file, back, SIZE + 1), SIZE);
    gzclose(file);
    cr_expect_arr_eq(back, good, SIZE);
    cr_expect_eq(scratch_count(target), 1, "something else is left in the folder");
}

static void expect_failure(const char *first, const char *second, enum error_code code,
                           const char *words) {
    char path[200];
    cr_expect_eq(download(first, second), -1);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    snprintf(path, sizeof path, "%s/digits.gz", target);
    cr_expect_neq(access(path, F_OK), 0, "it has the name of a whole file");
}

Test(fetch, second_mirror_when_the_first_has_nothing) {
    put(1, good, SIZE, 0);
    cr_assert_eq(download(mirror[0], mirror[1]), 0, "%s", error.text);
    expect_whole();
}

Test(fetch, second_mirror_when_nobody_answers_at_the_first) {
    put(1, good, SIZE, 0);
    cr_assert_eq(download("http://127.0.0.1:1/", mirror[1]), 0, "%s", error.text);
    expect_whole();
}

Test(fetch, second_mirror_when_the_first_lies) {
    put(0, wrong, SIZE, 0);
    put(1, good, SIZE, 0);
    cr_assert_eq(download(mirror[0], mirror[1]), 0, "%s", error.text);
    expect_whole();
}

Test(fetch, wrong_bytes_are_never_kept) {
    static uint8_t large[4 * SIZE];
    put(0, wrong, SIZE, 0);
    put(1, wrong, SIZE, 0);
    expect_failure(mirror[0], mirror[1], ERROR_CORRUPT, "SHA-256");
    put(1, good, SIZE - 1, 0);
    expect_failure(mirror[0], mirror[1], ERROR_CORRUPT, "SHA-256");
    memcpy(large, good, SIZE); /* what is expected, and then more */
    put(1, large, sizeof large, 0);
    expect_failure(mirror[0], mirror[1], ERROR_CORRUPT, "SHA-256");
    put(1, good, SIZE, 9); /* every byte of the content, and no end of the gzip stream */
    expect_failure(mirror[0], mirror[1], ERROR_CORRUPT, "digits.gz");
    put(1, good, SIZE, 0); /* what went wrong before is not in the way */
    cr_assert_eq(download(mirror[0], mirror[1]), 0, "%s", error.text);
    expect_whole();
}

/* The disk is not filled by a mirror that sends without end. */
Test(fetch, more_than_a_file_can_have_is_not_taken) {
    uint8_t *noise = malloc(64 * SIZE);
    for (int i = 0; i < 64; i++)
        memcpy(noise + i * SIZE, good, SIZE);
    put_as(0, noise, 64 * SIZE, 0, "wb0");
    free(noise);
    expect_failure(mirror[0], "", ERROR_IO, "mirror0/digits.gz");
    char path[200];
    snprintf(path, sizeof path, "%s/.part/digits.gz", target);
    cr_expect_neq(access(path, F_OK), 0, "what was refused is left");
}

Test(fetch, nothing_anywhere) {
    expect_failure(mirror[0], mirror[1], ERROR_IO, "mirror1/digits.gz");
}

Test(fetch, without_curl) {
    put(0, good, SIZE, 0);
    setenv("PATH", folder, 1);
    expect_failure(mirror[0], mirror[1], ERROR_IO, "curl, which downloads MNIST, is not installed");
}

Test(fetch, into_a_folder_that_cannot_be) {
    put(0, good, SIZE, 0);
    snprintf(target, sizeof target, "%s/list/cache", folder);
    expect_failure(mirror[0], mirror[1], ERROR_IO, "Not a directory");
}

/* --- a server --------------------------------------------------------------------------------- */

struct server {
    int number;            /* of the mirror whose file it serves */
    long cut;              /* bytes of the body after which it hangs up; 0: it sends all */
    bool silent;           /* takes the call and never says a word */
    bool whole;            /* knows no Range */
    pid_t signal_to;       /* gets SIGTERM when a request has come */
    const char *said_file; /* gets a line for each request: where it began */
};

static void answer(int connection, const struct server *server) {
    char request[2048] = "", path[200], head[300];
    size_t size = 0, length;
    while (!strstr(request, "\r\n\r\n") && size < sizeof request - 1) {
        ssize_t got = recv(connection, request + size, sizeof request - 1 - size, 0);
        if (got <= 0)
            return;
        request[size += (size_t)got] = '\0';
    }
    const char *range = strstr(request, "Range: bytes=");
    long from = range && !server->whole ? atol(range + strlen("Range: bytes=")) : 0;
    if (server->said_file) {
        FILE *said = fopen(server->said_file, "ae");
        fprintf(said, "%ld\n", range ? atol(range + strlen("Range: bytes=")) : 0);
        fclose(said);
    }
    if (server->signal_to)
        kill(server->signal_to, SIGTERM);
    if (server->silent) { /* until the other side hangs up */
        if (recv(connection, request, sizeof request, 0) == 0)
            _exit(0);
        _exit(1);
    }
    static uint8_t body[1 << 16];
    snprintf(path, sizeof path, "%s/mirror%d/digits.gz", folder, server->number);
    FILE *file = fopen(path, "re");
    length = fread(body, 1, sizeof body, file);
    fclose(file);
    if (from > 0)
        snprintf(head, sizeof head,
                 "HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\n"
                 "Content-Range: bytes %ld-%zu/%zu\r\nConnection: close\r\n\r\n",
                 length - (size_t)from, from, length - 1, length);
    else
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", length);
    size_t end = server->cut && (size_t)(from + server->cut) < length ? (size_t)(from + server->cut)
                                                                      : length;
    send(connection, head, strlen(head), MSG_NOSIGNAL);
    send(connection, body + from, end - (size_t)from, MSG_NOSIGNAL);
}

/* Serves the mirror's file until the test ends; `address` is the mirror's. */
static void serve(const struct server *server, char address[static 160]) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&name, size), 0);
    cr_assert_eq(listen(listener, 8), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    snprintf(address, 160, "http://127.0.0.1:%d/", ntohs(name.sin_port));
    server_pid = fork();
    if (server_pid == 0)
        for (;;) {
            int connection = accept(listener, NULL, NULL);
            if (connection >= 0)
                answer(connection, server);
            close(connection);
        }
    close(listener);
}

/* Each transfer begins where the one before ended. */
static void expect_starts(const char *path, const char *expected) {
    char text[256];
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cr_expect_str_eq(text, expected);
}

Test(fetch, transfer_that_is_cut_off_goes_on) {
    char said[SCRATCH_PATH];
    scratch_write(folder, "said", "", said);
    put(0, good, SIZE, 0);
    serve(&(struct server){.cut = 2000, .said_file = said}, mirror[1]);
    cr_assert_eq(download(mirror[1], ""), 0, "%s", error.text);
    expect_whole();
    expect_starts(said, "0\n2000\n4000\n");
}

/* The second mirror has what the first one began, compressed otherwise. */
Test(fetch, part_of_another_mirror_is_no_trap) {
    char said[SCRATCH_PATH];
    scratch_write(folder, "said", "", said);
    put(0, good, SIZE, 2000);
    put(1, good, SIZE / 2, 0); /* in two members: every byte after the first is elsewhere */
    put_as(1, good + SIZE / 2, SIZE - SIZE / 2, 0, "ab");
    serve(&(struct server){.number = 1, .said_file = said}, mirror[1]);
    char part[200], path[200];
    snprintf(part, sizeof part, "%s/target", folder);
    cr_assert_eq(mkdir(part, 0777), 0);
    cr_assert_eq(mkdir(target, 0777), 0);
    snprintf(part, sizeof part, "%s/.part", target);
    cr_assert_eq(mkdir(part, 0777), 0);
    snprintf(part, sizeof part, "%s/.part/digits.gz", target);
    snprintf(path, sizeof path, "%s/mirror0/digits.gz", folder);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(rename(path, part), 0);
    cr_assert_eq(download(mirror[1], ""), 0, "%s", error.text);
    expect_whole();
    char expected[32];
    snprintf(expected, sizeof expected, "%ld\n0\n", (long)status.st_size);
    expect_starts(said, expected);
}

Test(fetch, server_that_cannot_go_on_begins_again) {
    char said[SCRATCH_PATH];
    scratch_write(folder, "said", "", said);
    put(0, good, SIZE, 0);
    serve(&(struct server){.cut = 4000, .whole = true, .said_file = said}, mirror[1]);
    cr_expect_eq(download(mirror[1], mirror[0]), 0, "%s", error.text);
    expect_whole();
}

Test(fetch, silent_server_is_left) {
    serve(&(struct server){.silent = true}, mirror[1]);
    expect_failure(mirror[1], "", ERROR_TIMEOUT, "127.0.0.1");
}

/* The signal comes to us alone, in the middle of a transfer: the other side sees it end. */
Test(fetch, signal_ends_it_at_once) {
    int status;
    cr_assert_eq(signals_install(&error), 0);
    setenv("DIGITSUM_STALL_SECONDS", "1000", 1);
    serve(&(struct server){.silent = true, .signal_to = getpid()}, mirror[1]);
    expect_failure(mirror[1], "", ERROR_INTERRUPTED, "interrupted");
    cr_assert_eq(waitpid(server_pid, &status, 0), server_pid);
    server_pid = 0;
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the transfer goes on");
}

/* Who waits for another's download finds its files. */
Test(fetch, two_at_a_time_are_one) {
    put(0, good, SIZE, 0);
    pid_t other = fork();
    if (other == 0)
        _exit(download(mirror[0], "") == 0 ? 0 : 1);
    int status;
    cr_expect_eq(download(mirror[0], ""), 0, "%s", error.text);
    cr_assert_eq(waitpid(other, &status, 0), other);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_whole();
}

/* The digests in the script are those of the MNIST that the dataset's own digest knows. */
Test(fetch, mnist_by_the_digests_of_the_script) {
    char found[PATH_MAX], path[PATH_MAX], address[PATH_MAX + 32];
    struct idx_files files;
    if (fetch_find(NULL, found, &files, &error) != 1 || !realpath(found, path))
        cr_skip_test("MNIST is not on this machine");
    snprintf(address, sizeof address, "%s/train-images-idx3-ubyte.gz", path);
    if (access(address, R_OK) != 0)
        cr_skip_test("MNIST is not on this machine as the mirrors have it");
    snprintf(address, sizeof address, "file://%s/", path);
    setenv("DIGITSUM_MIRRORS", address, 1);
    cr_assert_eq(fetch_download(target, NULL, &error), 0, "%s", error.text);
    cr_expect_eq(scratch_count(target), IDX_FILES);
    struct dataset_request request = {.data = target};
    struct dataset *dataset = dataset_open(&request, &error);
    cr_assert_not_null(dataset, "%s", error.text);
    cr_expect_str_eq(dataset->name, "MNIST");
    dataset_close(&dataset);
}

Test(fetch, cache_folder) {
    char cache[PATH_MAX];
    setenv("HOME", "/home/me", 1);
    unsetenv("XDG_CACHE_HOME");
    cr_assert_eq(fetch_cache(cache, &error), 0);
    cr_expect_str_eq(cache, "/home/me/.cache/digitsum/mnist");
    setenv("XDG_CACHE_HOME", "/caches", 1);
    cr_assert_eq(fetch_cache(cache, &error), 0);
    cr_expect_str_eq(cache, "/caches/digitsum/mnist");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    cr_expect_eq(fetch_cache(cache, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
}
