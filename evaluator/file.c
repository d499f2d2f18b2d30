/* Records at the end of a file, and files replaced as a whole. */
#include "evaluator/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    else if (fdatasync(descriptor))
        error_set_errno(error, "%s: cannot sync to the disk", path);
    else {
        *end += size;
        return 0;
    }
    if (ftruncate(descriptor, (off_t)*end))
        error_prefix(error, "%s: a torn record stays at byte %llu", path, (unsigned long long)*end);
    return -1;
}

int file_replace(const char *path, const void *bytes, size_t size, struct error *error) {
    char *temporary = NULL;
    FILE *file = NULL;
    int result = -1;
    if (asprintf(&temporary, "%s.part", path) < 0) {
        temporary = NULL;
        return error_set(error, ERROR_MEMORY, "%s: no memory for a file name", path);
    }
    file = fopen(temporary, "we");
    if (!file) {
        error_set_errno(error, "%s: cannot create", temporary);
        goto done;
    }
    int failed = size > 0 && fwrite(bytes, 1, size, file) != size;
    if (fclose(file) || failed) {
        error_set_errno(error, "%s: cannot write %zu bytes", temporary, size);
        unlink(temporary);
    } else if (rename(temporary, path)) {
        error_set_errno(error, "%s: cannot take its place", path);
        unlink(temporary);
    } else
        result = 0;
done:
    free(temporary);
    return result;
}

int file_make_folder(const char *path, struct error *error) {
    struct stat status;
    if (mkdir(path, 0777) == 0)
        return 0;
    if (errno != EEXIST)
        return error_set_errno(error, "%s: cannot make the folder", path);
    if (stat(path, &status))
        return error_set_errno(error, "%s: cannot be looked at", path);
    if (!S_ISDIR(status.st_mode))
        return error_set(error, ERROR_IO, "%s: expected a folder, found something else", path);
    return 0;
}

int file_sync_folder(const char *path, struct error *error) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder)
        return error_set(error, ERROR_IO, "%s: the path is too long", path);
    if (length > 0)
        memcpy(folder, path, length);
    else
        folder[length++] = slash ? '/' : '.';
    folder[length] = '\0';
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(error, "%s: cannot open the folder", folder);
    int result = fsync(descriptor);
    if (result)
        error_set_errno(error, "%s: cannot sync the folder", folder);
    close(descriptor);
    return result;
}
