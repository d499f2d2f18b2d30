/* IDX files. */
#include "loader/idx.h"
#include "loader/source.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TYPE_BYTES 0x08
#define IMAGES_RANK 3
#define LABELS_RANK 1

const char *const IDX_NAMES[IDX_FILES] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

/* Whether `folder` holds `name` in one of its spellings; leaves the path in `path`. */
static bool locate_one(const char *folder, const char *name, char path[PATH_MAX]) {
    for (int spelling = 0; spelling < 4; spelling++) {
        int size = snprintf(path, PATH_MAX, "%s/%s%s", folder, name, spelling & 1 ? ".gz" : "");
        if (size < 0 || size >= PATH_MAX)
            return false;
        if (spelling & 2) {
            char *dash = strstr(path + strlen(folder), "-idx");
            *dash = '.';
        }
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

int idx_locate(const char *folder, struct idx_files *files, struct error *error) {
    for (int file = 0; file < IDX_FILES; file++)
        if (!locate_one(folder, IDX_NAMES[file], files->path[file]))
            return error_set(error, ERROR_INVALID, "%s: holds no %s, plain or .gz", folder,
                             IDX_NAMES[file]);
    return 0;
}

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Reads and checks a header of `rank` dimensions, and leaves the first in *count. */
static int read_header(struct source *source, const char *path, uint8_t rank, uint32_t *count,
                       struct error *error) {
    uint8_t header[4 + 4 * IMAGES_RANK];
    size_t size = 4 + 4 * (size_t)rank, got;
    if (source_read(source, header, size, &got, error))
        return -1;
    if (got >= 4 && (header[0] || header[1]))
        return error_set(error, ERROR_CORRUPT, "%s: magic 0x%08x, 0x%08x expected", path,
                         big_endian(header), (unsigned)(TYPE_BYTES << 8 | rank));
    if (got >= 4 && header[2] != TYPE_BYTES)
        return error_set(error, ERROR_CORRUPT,
                         "%s: IDX type 0x%02x, 0x%02x (unsigned bytes) expected", path, header[2],
                         TYPE_BYTES);
    if (got >= 4 && header[3] != rank)
        return error_set(error, ERROR_CORRUPT, "%s: IDX rank %u, %u (%s) expected", path, header[3],
                         rank, rank == IMAGES_RANK ? "images" : "labels");
    if (got < size)
        return error_set(error, ERROR_CORRUPT, "%s: ends after %zu bytes, within its header of %zu",
                         path, got, size);
    *count = big_endian(header + 4);
    if (rank == IMAGES_RANK) {
        uint32_t rows = big_endian(header + 8), columns = big_endian(header + 12);
        if (rows != IMAGE_ROWS || columns != IMAGE_COLUMNS)
            return error_set(error, ERROR_CORRUPT,
                             "%s: images of %" PRIu32 "x%" PRIu32 " pixels, %dx%d expected", path,
                             rows, columns, IMAGE_ROWS, IMAGE_COLUMNS);
    }
    return 0;
}

/* Reads the `size` bytes behind a header of `header` bytes, and makes sure that nothing follows. */
static int read_body(struct source *source, const char *path, size_t header, uint8_t *bytes,
                     size_t size, struct error *error) {
    size_t got;
    uint8_t beyond;
    if (source_read(source, bytes, size, &got, error))
        return -1;
    if (got < size)
        return error_set(error, ERROR_CORRUPT,
                         "%s: ends after %zu bytes, but its header announces %zu", path,
                         header + got, header + size);
    if (source_read(source, &beyond, 1, &got, error))
        return -1;
    if (got)
        return error_set(error, ERROR_CORRUPT,
                         "%s: goes on after the %zu bytes that its header announces", path,
                         header + size);
    return 0;
}

static int check_labels(const char *path, const struct split *split, struct error *error) {
    for (uint32_t i = 0; i < split->count; i++)
        if (split->labels[i] > 9)
            return error_set(error, ERROR_CORRUPT,
                             "%s: label %u of sample %" PRIu32 ", 0-9 expected", path,
                             split->labels[i], i);
    return 0;
}

int idx_read(const char *images, const char *labels, struct split *split, struct error *error) {
    const size_t images_header = 4 + 4 * IMAGES_RANK, labels_header = 4 + 4 * LABELS_RANK;
    int status = -1;
    uint32_t image_count, label_count;
    struct source *image_source = NULL, *label_source = NULL;
    memset(split, 0, sizeof *split);
    image_source = source_open(images, error);
    if (!image_source || read_header(image_source, images, IMAGES_RANK, &image_count, error))
        goto done;
    label_source = source_open(labels, error);
    if (!label_source || read_header(label_source, labels, LABELS_RANK, &label_count, error))
        goto done;
    if (image_count != label_count) {
        error_set(error, ERROR_CORRUPT, "%s: %" PRIu32 " labels, but %s has %" PRIu32 " images",
                  labels, label_count, images, image_count);
        goto done;
    }
    /* The sizes are looked at before memory is asked for; the count is bounded in the allocation,
     * and 32 bits times an image cannot overflow 64. */
    size_t image_bytes = (size_t)image_count * IMAGE_PIXELS;
    if (image_count && image_count <= SPLIT_MAXIMUM &&
        (source_expect(image_source, images_header + image_bytes, error) ||
         source_expect(label_source, labels_header + label_count, error)))
        goto done;
    if (split_allocate(split, image_count, images, error) ||
        read_body(image_source, images, images_header, split->memory, image_bytes, error) ||
        read_body(label_source, labels, labels_header, split->memory + image_bytes, label_count,
                  error) ||
        check_labels(labels, split, error))
        goto done;
    status = 0;
done:
    if (status)
        split_free(split);
    source_close(&image_source);
    source_close(&label_source);
    return status;
}
