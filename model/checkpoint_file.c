/* A checkpoint's way to the disk and back: whole or not there. What the bytes mean is
 * checkpoint.c's. */
#include "model/checkpoint.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAXIMUM                                                                               \
    (8 + (uint64_t)CHECKPOINT_HEADER_MAXIMUM + 4 * sizeof(float) * (uint64_t)NET_PARAMETERS_MAXIMUM)
#define ATTEMPTS 1000 /* at a temporary name that nobody has */

/* --- read ------------------------------------------------------------------------------------ */

/* Returns how many bytes there were, up to `size`, or -1. */
static ssize_t read_all(int file, uint8_t *bytes, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t now = read(file, bytes + got, size - got);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return -1;
        if (now == 0)
            break;
        got += (size_t)now;
    }
    return (ssize_t)got;
}

int checkpoint_load(const char *path, uint8_t **out, size_t *out_size, struct error *error) {
    assert(path);
    int result = -1;
    uint8_t *bytes = NULL;
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
    if (file < 0 || fstat(file, &status)) {
        error_set_errno(error, "cannot open the checkpoint %s", path);
        goto done;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, ERROR_IO, "cannot read the checkpoint %s: it is not a regular file", path);
        goto done;
    }
    if ((uint64_t)status.st_size > FILE_MAXIMUM) {
        error_set(error, ERROR_CORRUPT, "checkpoint %s: %lld bytes are more than any has", path,
                  (long long)status.st_size);
        goto done;
    }
    bytes = malloc((size_t)status.st_size + 1);
    if (!bytes) {
        error_set(error, ERROR_MEMORY, "no memory for the %lld bytes of the checkpoint %s",
                  (long long)status.st_size, path);
        goto done;
    }
    ssize_t size = read_all(file, bytes, (size_t)status.st_size);
    if (size < 0) {
        error_set_errno(error, "cannot read the checkpoint %s", path);
        goto done;
    }
    *out = bytes;
    *out_size = (size_t)size;
    bytes = NULL;
    result = 0;
done:
    free(bytes);
    if (file >= 0)
        close(file);
    return result;
}

struct checkpoint *checkpoint_read(const char *path, struct error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (checkpoint_load(path, &bytes, &size, error) != 0)
        return NULL;
    struct checkpoint *checkpoint = checkpoint_decode(bytes, size, path, error);
    free(bytes);
    return checkpoint;
}

/* --- write ----------------------------------------------------------------------------------- */

/* 0, or -1 with errno set. */
static int write_all(int file, const uint8_t *bytes, size_t size) {
    size_t put = 0;
    while (put < size) {
        ssize_t now = write(file, bytes + put, size - put);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return -1;
        put += (size_t)now;
    }
    return 0;
}

/* Our own name and O_EXCL rather than mkstemp, so that the file gets the usual permissions. The
 * process id keeps two programs in one folder apart, the counter two threads and what a killed
 * process left. */
static int create_temporary(int folder, char name[static NAME_MAX]) {
    for (int n = 0; n < ATTEMPTS; n++) {
        snprintf(name, NAME_MAX, ".checkpoint-%ld-%d.tmp", (long)getpid(), n);
        int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

static int open_folder(const char *path, const char *slash) {
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder)
        return -1;
    int opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int reason = errno;
    free(folder);
    errno = reason;
    return opened;
}

/* Some file systems cannot sync a folder and say so with EINVAL: there is nothing more to do. */
static int sync_folder(int folder) {
    return fsync(folder) && errno != EINVAL ? -1 : 0;
}

int checkpoint_write(const char *path, const uint8_t *bytes, size_t size, struct error *error) {
    assert(path && (bytes || size == 0));
    int result = -1, file = -1;
    char temporary[NAME_MAX] = "";
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int folder = open_folder(path, slash);
    if (folder < 0) {
        error_set_errno(error, "cannot open the folder of the checkpoint %s", path);
        goto done;
    }
    file = create_temporary(folder, temporary);
    if (file < 0) {
        temporary[0] = '\0';
        error_set_errno(error, "cannot create a temporary file beside the checkpoint %s", path);
        goto done;
    }
    if (write_all(file, bytes, size) || fsync(file)) {
        error_set_errno(error, "cannot write the %zu bytes of the checkpoint %s", size, path);
        goto done;
    }
    int closed = close(file);
    file = -1;
    if (closed || renameat(folder, temporary, folder, name)) {
        error_set_errno(error, "cannot put the checkpoint %s in place", path);
        goto done;
    }
    temporary[0] = '\0';
    if (sync_folder(folder)) {
        error_set_errno(error, "cannot sync the folder of the checkpoint %s", path);
        goto done;
    }
    result = 0;
done:
    if (file >= 0)
        close(file);
    if (temporary[0])
        unlinkat(folder, temporary, 0);
    if (folder >= 0)
        close(folder);
    return result;
}

int checkpoint_sync(const char *path, struct error *error) {
    int folder = open_folder(path, strrchr(path, '/'));
    int status = folder >= 0 ? sync_folder(folder) : -1;
    if (status != 0)
        error_set_errno(error, "cannot sync the folder of %s", path);
    if (folder >= 0)
        close(folder);
    return status;
}

void checkpoint_sweep(const char *folder, bool alone) {
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        long process;
        int n, length = 0;
        if (sscanf(entry->d_name, ".checkpoint-%ld-%d.tmp%n", &process, &n, &length) != 2 ||
            length == 0 || entry->d_name[length] != '\0' || process <= 0)
            continue;
        if (alone || process == getpid() || (kill((pid_t)process, 0) != 0 && errno == ESRCH))
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}
