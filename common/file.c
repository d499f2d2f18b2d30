/* See file.h. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY ".digitsum-%ld-%d.tmp" /* process id, attempt */
#define ATTEMPTS 1000                    /* at a temporary name that nobody has */

int path_join(char path[static PATH_MAX], const char *folder, const char *name,
              struct error *error) {
    int size = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    if (size >= 0 && size < PATH_MAX)
        return 0;
    path[0] = '\0';
    return error_set(error, ERROR_INVALID, "%.200s…: the path is longer than %d bytes", folder,
                     PATH_MAX - 1);
}

/* --- read ------------------------------------------------------------------------------------- */

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

static int read_open(int file, const char *path, size_t max, uint8_t **bytes, size_t *size,
                     struct error *error) {
    struct stat status;
    if (fstat(file, &status) != 0)
        return error_set_errno(error, "cannot read %s", path);
    errno = 0;
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_IO, "cannot read %s: it is not a regular file", path);
    if ((uint64_t)status.st_size > max)
        return error_set(error, ERROR_CORRUPT, "%s is larger than %zu bytes (%lld)", path, max,
                         (long long)status.st_size);
    *bytes = malloc((size_t)status.st_size + 1);
    if (!*bytes)
        return error_set(error, ERROR_MEMORY, "no memory for the %lld bytes of %s",
                         (long long)status.st_size, path);
    ssize_t got = read_all(file, *bytes, (size_t)status.st_size);
    if (got < 0)
        return error_set_errno(error, "cannot read %s", path);
    (*bytes)[got] = '\0';
    *size = (size_t)got;
    return 0;
}

int file_read(const char *path, size_t max, uint8_t **bytes, size_t *size, struct error *error) {
    *bytes = NULL;
    *size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
    if (file < 0)
        return error_set_errno(error, "cannot open %s", path);
    int status = read_open(file, path, max, bytes, size, error), reason = errno;
    if (status != 0) {
        free(*bytes);
        *bytes = NULL;
    }
    close(file);
    errno = reason;
    return status;
}

/* --- folders ---------------------------------------------------------------------------------- */

/* Opens the folder that holds `path`; -1 with errno set. */
static int open_parent(const char *path) {
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (length > 0) {
        memcpy(folder, path, length);
        folder[length] = '\0';
    }
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int sync_folder(int folder) {
    return fsync(folder) != 0 && errno != EINVAL ? -1 : 0;
}

int file_sync_folder(const char *path, struct error *error) {
    int folder = open_parent(path);
    int status = folder >= 0 ? sync_folder(folder) : -1;
    if (status != 0)
        error_set_errno(error, "cannot sync the folder of %s", path);
    if (folder >= 0)
        close(folder);
    return status;
}

int file_make_folder(const char *path, struct error *error) {
    struct stat status;
    if (mkdir(path, 0777) != 0) {
        if (errno != EEXIST)
            return error_set_errno(error, "cannot make the folder %s", path);
        if (stat(path, &status) != 0)
            return error_set_errno(error, "cannot look at the folder %s", path);
        if (!S_ISDIR(status.st_mode))
            return error_set(error, ERROR_IO, "%s: expected a folder, found something else", path);
    }
    return file_sync_folder(path, error);
}

/* --- write ------------------------------------------------------------------------------------ */

/* 0, or -1 with errno set. */
static int write_all(int file, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t now = write(file, bytes, size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return -1;
        bytes += now;
        size -= (size_t)now;
    }
    return 0;
}

/* Our own name and O_EXCL rather than mkstemp, so that the file gets the usual permissions. The
 * process id keeps two programs in one folder apart, the counter two threads and what a killed
 * process left. */
static int create_temporary(int folder, char name[static NAME_MAX]) {
    for (int n = 0; n < ATTEMPTS; n++) {
        snprintf(name, NAME_MAX, TEMPORARY, (long)getpid(), n);
        int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* Writes, syncs and closes `file`, and gives it its name in the folder. */
static int put_in_place(int folder, int file, const char *temporary, const char *path,
                        const void *bytes, size_t size, struct error *error) {
    const char *slash = strrchr(path, '/');
    if (write_all(file, bytes, size) != 0 || fsync(file) != 0) {
        error_set_errno(error, "cannot write the %zu bytes of %s", size, path);
        close(file);
        return -1;
    }
    if (close(file) != 0 || renameat(folder, temporary, folder, slash ? slash + 1 : path) != 0)
        return error_set_errno(error, "cannot put %s in place", path);
    return 0;
}

int file_write(const char *path, const void *bytes, size_t size, struct error *error) {
    char temporary[NAME_MAX];
    int folder = open_parent(path);
    if (folder < 0)
        return error_set_errno(error, "cannot open the folder of %s", path);
    int status = -1, file = create_temporary(folder, temporary);
    if (file < 0)
        error_set_errno(error, "cannot create a temporary file beside %s", path);
    else if (put_in_place(folder, file, temporary, path, bytes, size, error) != 0)
        unlinkat(folder, temporary, 0);
    else if (sync_folder(folder) != 0)
        error_set_errno(error, "cannot sync the folder of %s", path);
    else
        status = 0;
    close(folder);
    return status;
}

int file_append(int descriptor, const char *path, const void *bytes, size_t size, uint64_t *end,
                struct error *error) {
    ssize_t written;
    do
        written = pwrite(descriptor, bytes, size, (off_t)*end);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        error_set_errno(error, "%s: cannot append %zu bytes", path, size);
    else if ((size_t)written < size)
        /* What a disk that fills up does first: it takes a part without an errno. */
        error_set(error, ERROR_IO, "%s: only %zd of %zu bytes could be appended; is the disk full?",
                  path, written, size);
    else if (fdatasync(descriptor) != 0)
        error_set_errno(error, "%s: cannot sync to the disk", path);
    else {
        *end += size;
        return 0;
    }
    if (ftruncate(descriptor, (off_t)*end) != 0)
        error_prefix(error, "%s: a torn record stays at byte %llu", path, (unsigned long long)*end);
    return -1;
}

void file_sweep(const char *folder, bool alone) {
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        long process;
        int n, length = 0;
        if (sscanf(entry->d_name, TEMPORARY "%n", &process, &n, &length) != 2 || length == 0 ||
            entry->d_name[length] != '\0' || process <= 0)
            continue;
        if (alone || process == getpid() || (kill((pid_t)process, 0) != 0 && errno == ESRCH))
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}
