/* A checkpoint's way from the disk. What the bytes mean is checkpoint.c's. */
#include "model/checkpoint.h"

#include "common/file.h"

#include <stdlib.h>

#define FILE_MAX                                                                                   \
    (8 + (uint64_t)CHECKPOINT_HEADER_MAXIMUM + 4 * sizeof(float) * (uint64_t)NET_PARAMETERS_MAX)

int checkpoint_load(const char *path, uint8_t **bytes, size_t *size, struct error *error) {
    return file_read(path, FILE_MAX, bytes, size, error) == 0 ? 0
                                                              : error_prefix(error, "checkpoint");
}

struct checkpoint *checkpoint_read(const char *path, struct error *error) {
    uint8_t *bytes;
    size_t size;
    if (checkpoint_load(path, &bytes, &size, error) != 0)
        return NULL;
    struct checkpoint *checkpoint = checkpoint_decode(bytes, size, path, error);
    free(bytes);
    return checkpoint;
}
