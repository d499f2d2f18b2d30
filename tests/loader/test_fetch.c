/* The download and its checks, from mirrors that are folders or a server that never answers: the
 * next mirror is tried, and nothing but whole, right files is ever left. */
#include "common/sha256.h"
#include "loader/fetch.h"
#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { SIZE = 5000 };

struct rig {
    char folder[64], target[100], mirrors[3][160];
    const char *list[4];
    uint8_t bytes[SIZE];
    char hex[SHA256_HEX];
    struct fetch_file file;
    struct fetch_settings settings;
};

static void begin(struct rig *rig) {
    uint8_t digest[SHA256_SIZE];
    memset(rig, 0, sizeof *rig);
    scratch_begin(rig->folder);
    snprintf(rig->target, sizeof rig->target, "%s/target", rig->folder);
    for (int i = 0; i < SIZE; i++)
        rig->bytes[i] = (uint8_t)(i * 7 >> 2);
    sha256_bytes(rig->bytes, SIZE, digest);
    sha256_hex(digest, rig->hex);
    for (int i = 0; i < 2; i++) {
        char folder[100];
        snprintf(folder, sizeof folder, "%s/mirror%d", rig->folder, i);
        cr_assert_eq(mkdir(folder, 0777), 0);
        snprintf(rig->mirrors[i], sizeof rig->mirrors[i], "file://%s/", folder);
        rig->list[i] = rig->mirrors[i];
    }
    rig->file = (struct fetch_file){"digits", rig->hex, SIZE};
    rig->settings = fetch_defaults();
    rig->settings.mirrors = rig->list;
    rig->settings.files = &rig->file;
    rig->settings.count = 1;
    rig->settings.connect_seconds = 1;
    rig->settings.stall_seconds = 1;
}

/* Puts these bytes, as gzip, on a mirror; `cut` bytes of the gzip stream are left out. */
static void put(const struct rig *rig, int mirror, const uint8_t *bytes, size_t size, int cut) {
    char path[200];
    snprintf(path, sizeof path, "%s/mirror%d/digits.gz", rig->folder, mirror);
    gzFile file = gzopen(path, "wb");
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(truncate(path, status.st_size - cut), 0);
}

static void expect_failure(struct rig *rig, enum error_code code, const char *words) {
    struct error error = {0};
    cr_expect_eq(fetch_download(&rig->settings, rig->target, &error), -1);
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
    cr_expect_leq(scratch_count(rig->target), 0, "something is left in the folder");
}

Test(fetch, second_mirror_when_the_first_has_nothing) {
    struct rig rig;
    struct error error;
    char path[200];
    begin(&rig);
    put(&rig, 1, rig.bytes, SIZE, 0);
    cr_assert_eq(fetch_download(&rig.settings, rig.target, &error), 0, "%s", error.text);
    snprintf(path, sizeof path, "%s/digits.gz", rig.target);
    cr_expect_eq(access(path, R_OK), 0);
    cr_expect_eq(scratch_count(rig.target), 1);
    uint8_t back[SIZE + 1];
    gzFile file = gzopen(path, "rb");
    cr_assert_eq(gzread(file, back, SIZE + 1), SIZE);
    gzclose(file);
    cr_expect_eq(memcmp(back, rig.bytes, SIZE), 0);
    scratch_end(rig.folder);
}

Test(fetch, second_mirror_when_the_first_lies) {
    struct rig rig;
    struct error error;
    begin(&rig);
    uint8_t wrong[SIZE];
    memcpy(wrong, rig.bytes, SIZE);
    wrong[17] ^= 1;
    put(&rig, 0, wrong, SIZE, 0);
    put(&rig, 1, rig.bytes, SIZE, 0);
    cr_expect_eq(fetch_download(&rig.settings, rig.target, &error), 0, "%s", error.text);
    scratch_end(rig.folder);
}

Test(fetch, wrong_bytes_are_never_kept) {
    struct rig rig;
    begin(&rig);
    uint8_t wrong[SIZE];
    memset(wrong, 1, SIZE);
    put(&rig, 0, wrong, SIZE, 0);
    put(&rig, 1, wrong, SIZE, 0);
    expect_failure(&rig, ERROR_CORRUPT, "SHA-256");
    put(&rig, 1, rig.bytes, SIZE - 1, 0);
    expect_failure(&rig, ERROR_CORRUPT, "4999 bytes, 5000 expected");
    put(&rig, 1, rig.bytes, SIZE, 9);
    expect_failure(&rig, ERROR_CORRUPT, "digits.gz");
    scratch_end(rig.folder);
}

Test(fetch, nothing_anywhere) {
    struct rig rig;
    begin(&rig);
    expect_failure(&rig, ERROR_IO, "mirror1/digits.gz");
    scratch_end(rig.folder);
}

/* A server that takes the call and never says a word. */
Test(fetch, silent_server_is_left) {
    struct rig rig;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    begin(&rig);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(server, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server, 8), 0);
    cr_assert_eq(getsockname(server, (struct sockaddr *)&address, &size), 0);
    snprintf(rig.mirrors[2], sizeof rig.mirrors[2], "http://127.0.0.1:%d/",
             ntohs(address.sin_port));
    rig.list[0] = rig.list[1] = rig.mirrors[2];
    rig.list[1] = NULL;
    expect_failure(&rig, ERROR_TIMEOUT, "127.0.0.1");
    close(server);
    scratch_end(rig.folder);
}

Test(fetch, cache_folder) {
    char folder[PATH_MAX];
    struct error error;
    setenv("HOME", "/home/me", 1);
    unsetenv("XDG_CACHE_HOME");
    cr_assert_eq(fetch_cache(folder, &error), 0);
    cr_expect_str_eq(folder, "/home/me/.cache/digitsum/mnist");
    setenv("XDG_CACHE_HOME", "/caches", 1);
    cr_assert_eq(fetch_cache(folder, &error), 0);
    cr_expect_str_eq(folder, "/caches/digitsum/mnist");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    cr_expect_eq(fetch_cache(folder, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
}
