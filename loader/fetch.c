/* Finding MNIST on disk, and downloading it with libcurl. */
#include "loader/fetch.h"
#include "common/sha256.h"
#include "common/signals.h"
#include "loader/names.h"
#include "loader/source.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STALL_SPEED 1000L /* bytes a second */
#define REDIRECTIONS 5L
#define GZIP_SLACK                                                                                 \
    4096 /* a stored gzip is this much larger than its content at most, for our sizes */
#define CHUNK 65536

const struct fetch_file FETCH_MNIST[IDX_FILES] = {
    {"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
     47040016},
    {"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
     60008},
    {"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
     7840016},
    {"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
     10008},
};

static const char *const mirrors[] = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                                      "https://storage.googleapis.com/cvdf-datasets/mnist/", NULL};

struct fetch_settings fetch_defaults(void) {
    return (struct fetch_settings){.mirrors = mirrors,
                                   .files = FETCH_MNIST,
                                   .count = IDX_FILES,
                                   .connect_seconds = 5,
                                   .stall_seconds = 10};
}

/* --- on disk ---------------------------------------------------------------------------------- */

int fetch_cache(char folder[PATH_MAX], struct error *error) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int size = -1;
    if (cache && cache[0] == '/')
        size = snprintf(folder, PATH_MAX, "%s/digitsum/mnist", cache);
    else if (home && home[0])
        size = snprintf(folder, PATH_MAX, "%s/.cache/digitsum/mnist", home);
    else
        return error_set(error, ERROR_INVALID,
                         "no folder to keep MNIST in: neither XDG_CACHE_HOME nor HOME is set");
    if (size < 0 || size >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "the cache folder's path is longer than %d bytes",
                         PATH_MAX);
    return 0;
}

int fetch_find(struct notices *notices, char folder[PATH_MAX], struct idx_files *files,
               struct error *error) {
    char cache[PATH_MAX];
    const char *named = getenv("MNIST_DIR");
    const char *folders[] = {named && named[0] ? named : NULL,
                             "data/mnist",
                             "data/MNIST",
                             "MNIST",
                             "../shared/mnist",
                             fetch_cache(cache, NULL) ? NULL : cache};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct error bad;
        if (!folders[i])
            continue;
        /* A folder that a person named may hold any set; what is found must be MNIST's. */
        if ((i == 0 ? idx_locate : idx_locate_mnist)(folders[i], files, &bad) == 0) {
            snprintf(folder, PATH_MAX, "%s", folders[i]);
            return 1;
        }
        if (bad.code == ERROR_IO || bad.code == ERROR_MEMORY) {
            *error = bad;
            return -1;
        }
        if (i == 0 && notices)
            notices_add(notices, "MNIST_DIR was passed over: %s", bad.text);
    }
    return 0;
}

bool fetch_find_keras(char path[PATH_MAX]) {
    const char *keras = getenv("KERAS_HOME"), *home = getenv("HOME");
    int size = -1;
    if (keras && keras[0])
        size = snprintf(path, PATH_MAX, "%s/datasets/mnist.npz", keras);
    else if (home && home[0])
        size = snprintf(path, PATH_MAX, "%s/.keras/datasets/mnist.npz", home);
    return size > 0 && size < PATH_MAX && names_is_file(path);
}

/* --- one file from one mirror ----------------------------------------------------------------- */

/* The compressed bytes of a file as they come. */
struct download {
    const struct fetch_settings *settings;
    const struct fetch_file *file;
    uint8_t *bytes;
    size_t size, room;
    bool too_large, no_memory;
};

static size_t most_bytes(const struct fetch_file *file) {
    return (size_t)file->size + GZIP_SLACK;
}

static size_t on_bytes(char *bytes, size_t one, size_t size, void *context) {
    struct download *download = context;
    (void)one;
    if (size > most_bytes(download->file) - download->size) {
        download->too_large = true;
        return 0;
    }
    if (download->size + size > download->room) {
        size_t room = 2 * (download->size + size);
        uint8_t *grown = realloc(download->bytes, room);
        if (!grown) {
            download->no_memory = true;
            return 0;
        }
        download->bytes = grown;
        download->room = room;
    }
    memcpy(download->bytes + download->size, bytes, size);
    download->size += size;
    return size;
}

/* Called by libcurl at least once a second: it is also where a signal ends the transfer. */
static int on_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t upload_total,
                       curl_off_t uploaded) {
    const struct download *download = context;
    const struct fetch_settings *settings = download->settings;
    (void)upload_total;
    (void)uploaded;
    if (settings->progress && done > 0)
        settings->progress(settings->context, download->file->name, (uint64_t)done,
                           total > 0 ? (uint64_t)total : 0);
    return signals_stop();
}

static int transfer_failed(const struct download *download, const char *address, CURLcode code,
                           const char *detail, struct error *error) {
    if (signals_stop())
        return error_set(error, ERROR_INTERRUPTED, "%s: the download was interrupted", address);
    if (download->no_memory)
        return error_set(error, ERROR_MEMORY, "%s: no memory for what comes", address);
    if (download->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return error_set(error, ERROR_CORRUPT, "%s: is larger than %zu bytes", address,
                         most_bytes(download->file));
    return error_set(error, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_IO, "%s: %s",
                     address, detail[0] ? detail : curl_easy_strerror(code));
}

static int transfer(struct download *download, const char *address, struct error *error) {
    const struct fetch_settings *settings = download->settings;
    char detail[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    if (!curl)
        return error_set(error, ERROR_MEMORY, "%s: libcurl has no memory", address);
    curl_easy_setopt(curl, CURLOPT_URL, address);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTIONS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "digitsum");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, settings->connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_SPEED);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, settings->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)most_bytes(download->file));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, download);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? 0 : transfer_failed(download, address, code, detail, error);
}

/* Inflates what came, in pieces, and compares size and digest. */
static int verify(const struct download *download, const char *address, struct error *error) {
    const struct fetch_file *file = download->file;
    int status = -1;
    uint64_t size = 0;
    size_t got;
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    uint8_t *chunk = malloc(CHUNK);
    struct sha256 *sha = sha256_create();
    struct source *source = source_open_memory(address, download->bytes, download->size, error);
    if (!source)
        goto done;
    if (!chunk || !sha) {
        error_set(error, ERROR_MEMORY, "%s: no memory to check it", address);
        goto done;
    }
    do {
        if (source_read(source, chunk, CHUNK, &got, error))
            goto done;
        sha256_update(sha, chunk, got);
        size += got;
    } while (got == CHUNK && size <= file->size);
    if (size != file->size) {
        error_set(error, ERROR_CORRUPT, "%s: inflates to %s%" PRIu64 " bytes, %" PRIu64 " expected",
                  address, size > file->size ? "at least " : "", size, file->size);
        goto done;
    }
    sha256_digest(sha, digest);
    sha256_hex(digest, hex);
    if (strcmp(hex, file->sha256)) {
        error_set(error, ERROR_CORRUPT, "%s: SHA-256 %s, %s expected", address, hex, file->sha256);
        goto done;
    }
    status = 0;
done:
    source_close(&source);
    sha256_destroy(&sha);
    free(chunk);
    return status;
}

/* Tries the mirrors in turn, beginning with *mirror, and leaves there the one that served. */
static int download_file(struct download *download, size_t *mirror, struct error *error) {
    const struct fetch_settings *settings = download->settings;
    size_t count = 0;
    while (settings->mirrors[count])
        count++;
    assert(count > 0);
    for (size_t attempt = 0; attempt < count; attempt++) {
        char address[1024];
        snprintf(address, sizeof address, "%s%s.gz", settings->mirrors[*mirror],
                 download->file->name);
        struct error failure = {0};
        download->size = 0;
        download->too_large = false;
        if (transfer(download, address, &failure) == 0 && verify(download, address, &failure) == 0)
            return 0;
        error_set(error, failure.code, "%s", failure.text);
        if (failure.code == ERROR_INTERRUPTED || failure.code == ERROR_MEMORY)
            return -1;
        log_warning(settings->log, "%s", failure.text);
        *mirror = (*mirror + 1) % count;
    }
    return -1;
}

/* --- into the folder -------------------------------------------------------------------------- */

static int make_folders(const char *folder, struct error *error) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", folder) >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "%s: the path is longer than %d bytes", folder,
                         PATH_MAX);
    for (char *slash = path + 1;; slash++) {
        if (*slash && *slash != '/')
            continue;
        char kept = *slash;
        *slash = '\0';
        if (mkdir(path, 0755) && errno != EEXIST)
            return error_set_errno(error, "%s: the folder cannot be made", path);
        *slash = kept;
        if (!kept)
            return 0;
    }
}

static int write_all(int file, const uint8_t *bytes, size_t size) {
    while (size) {
        ssize_t wrote = write(file, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return 0;
}

/* Written aside, synced, renamed: the name appears with the whole content or not at all. */
static int store(const struct download *download, const char *folder, struct error *error) {
    char path[PATH_MAX], aside[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s.gz", folder, download->file->name);
    int size_aside = snprintf(aside, sizeof aside, "%s/.%s.XXXXXX", folder, download->file->name);
    if (size < 0 || size >= PATH_MAX || size_aside < 0 || size_aside >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "%s: the path is longer than %d bytes", folder,
                         PATH_MAX);
    int file = mkstemp(aside);
    if (file < 0)
        return error_set_errno(error, "%s: cannot be written", aside);
    int failed =
        write_all(file, download->bytes, download->size) || fchmod(file, 0644) || fsync(file);
    if (failed)
        error_set_errno(error, "%s: cannot be written", path);
    if (close(file) && !failed)
        failed = error_set_errno(error, "%s: cannot be written", path);
    if (!failed && rename(aside, path))
        failed = error_set_errno(error, "%s: cannot be renamed to %s", aside, path);
    if (failed)
        (void)unlink(aside);
    return failed ? -1 : 0;
}

int fetch_download(const struct fetch_settings *settings, const char *folder, struct error *error) {
    assert(settings->count > 0 && settings->count <= IDX_FILES);
    int status = -1, stored = 0;
    size_t mirror = 0;
    struct download downloads[IDX_FILES] = {0};
    if (make_folders(folder, error))
        return -1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (int i = 0; i < settings->count; i++) {
        downloads[i].settings = settings;
        downloads[i].file = &settings->files[i];
        if (download_file(&downloads[i], &mirror, error))
            goto done;
    }
    for (; stored < settings->count; stored++)
        if (store(&downloads[stored], folder, error))
            goto done;
    status = 0;
done:
    for (int i = 0; status && i < stored; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s.gz", folder, settings->files[i].name) < PATH_MAX)
            (void)unlink(path);
    }
    for (int i = 0; i < settings->count; i++)
        free(downloads[i].bytes);
    curl_global_cleanup();
    return status;
}
