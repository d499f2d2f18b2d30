/* IDX files. */
#include "loader/idx.h"
#include "loader/kind.h"
#include "loader/source.h"

#include <inttypes.h>
#include <string.h>

#define TYPE_BYTES 0x08
#define TYPE_INT 0x0c /* 32 bits, big-endian */
#define IMAGES_RANK 3
#define LABELS_RANK 1
#define COLUMNS_MAX 64 /* of labels: QMNIST's have 8 */

/* What a header says. */
struct header {
    size_t size;      /* of the header itself */
    uint32_t count;   /* of samples */
    uint32_t columns; /* of labels: the first is the digit */
    uint8_t type;
};

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Says what a file is that does not begin as IDX, of which `got` bytes were read. */
static int refuse_kind(struct source *source, const char *path, const uint8_t *header, size_t got,
                       uint32_t expected, struct error *error) {
    uint8_t bytes[KIND_BYTES];
    size_t more = 0;
    memcpy(bytes, header, got);
    if (source_read(source, bytes + got, sizeof bytes - got, &more, error) != 0)
        return -1;
    got += more;
    if (kind_of(bytes, got) == KIND_GZIP)
        return error_set(error, ERROR_CORRUPT, "%s: is compressed twice: gunzip it once", path);
    if (kind_refuse(path, bytes, got, "an IDX file", error) != 0)
        return -1;
    return got < 4 ? error_set(error, ERROR_CORRUPT, "%s: ends after %zu bytes, within its header",
                               path, got)
                   : error_set(error, ERROR_CORRUPT, "%s: magic 0x%08x, 0x%08x expected", path,
                               big_endian(bytes), (unsigned)expected);
}

/* Whether labels may be stored so: bytes, or integers as QMNIST has them, 8 columns of them. */
static int is_integer_labels(uint8_t rank, const uint8_t *header) {
    return rank == LABELS_RANK && header[2] == TYPE_INT && (header[3] == 1 || header[3] == 2);
}

static int check_dimensions(const char *path, uint8_t rank, const uint8_t *bytes,
                            struct header *header, struct error *error) {
    header->count = big_endian(bytes + 4);
    header->type = bytes[2];
    header->columns = 1;
    if (rank == LABELS_RANK && bytes[3] == 2)
        header->columns = big_endian(bytes + 8);
    if (header->columns < 1 || header->columns > COLUMNS_MAX)
        return error_set(error, ERROR_CORRUPT, "%s: labels of %" PRIu32 " columns, 1-%d expected",
                         path, header->columns, COLUMNS_MAX);
    if (rank == IMAGES_RANK) {
        uint32_t rows = big_endian(bytes + 8), columns = big_endian(bytes + 12);
        if (rows != IMAGE_ROWS || columns != IMAGE_COLUMNS)
            return error_set(error, ERROR_CORRUPT,
                             "%s: images of %" PRIu32 "x%" PRIu32 " pixels, %dx%d expected", path,
                             rows, columns, IMAGE_ROWS, IMAGE_COLUMNS);
    }
    return 0;
}

/* Reads and checks the header of images (rank 3) or labels (rank 1). */
static int read_header(struct source *source, const char *path, uint8_t rank, struct header *header,
                       struct error *error) {
    uint8_t bytes[4 + 4 * IMAGES_RANK];
    size_t got, more;
    header->size = 4 + 4 * (size_t)rank;
    if (source_read(source, bytes, header->size, &got, error))
        return -1;
    if (got < 4 || bytes[0] || bytes[1] || !bytes[2])
        return refuse_kind(source, path, bytes, got, (uint32_t)(TYPE_BYTES << 8 | rank), error);
    if (!is_integer_labels(rank, bytes)) {
        if (bytes[2] != TYPE_BYTES)
            return error_set(error, ERROR_CORRUPT,
                             "%s: IDX type 0x%02x, 0x%02x (unsigned bytes) expected", path,
                             bytes[2], TYPE_BYTES);
        if (bytes[3] != rank)
            return error_set(error, ERROR_CORRUPT, "%s: IDX rank %u, %u (%s) expected%s", path,
                             bytes[3], rank, rank == IMAGES_RANK ? "images" : "labels",
                             bytes[3] != IMAGES_RANK && bytes[3] != LABELS_RANK ? ""
                             : rank == IMAGES_RANK
                                 ? "; these are labels: are the names of the files swapped?"
                                 : "; these are images: are the names of the files swapped?");
    } else if (bytes[3] > rank && got == header->size) {
        header->size += 4;
        if (source_read(source, bytes + got, 4, &more, error))
            return -1;
        got += more;
    }
    if (got < header->size)
        return error_set(error, ERROR_CORRUPT, "%s: ends after %zu bytes, within its header of %zu",
                         path, got, header->size);
    return check_dimensions(path, rank, bytes, header, error);
}

/* Reads the `size` bytes that come `before` bytes behind the file's beginning, of `whole`. */
static int read_part(struct source *source, const char *path, uint64_t before, uint8_t *bytes,
                     size_t size, uint64_t whole, struct error *error) {
    size_t got;
    if (source_read(source, bytes, size, &got, error))
        return -1;
    if (got < size)
        return error_set(error, ERROR_CORRUPT,
                         "%s: ends after %" PRIu64 " bytes, but its header announces %" PRIu64,
                         path, before + got, whole);
    return 0;
}

/* Makes sure that nothing follows. */
static int read_end(struct source *source, const char *path, uint64_t whole, struct error *error) {
    size_t got;
    uint8_t beyond;
    if (source_read(source, &beyond, 1, &got, error))
        return -1;
    if (got)
        return error_set(error, ERROR_CORRUPT,
                         "%s: has trailing data after the %" PRIu64
                         " bytes that its header announces",
                         path, whole);
    return 0;
}

static uint64_t whole_size(const struct header *header, size_t sample) {
    return header->size + (uint64_t)header->count * sample;
}

static int read_images(struct source *source, const char *path, const struct header *header,
                       uint8_t *images, struct error *error) {
    uint64_t whole = whole_size(header, IMAGE_PIXELS);
    if (read_part(source, path, header->size, images, (size_t)header->count * IMAGE_PIXELS, whole,
                  error))
        return -1;
    return read_end(source, path, whole, error);
}

static size_t label_size(const struct header *header) {
    return header->columns * (header->type == TYPE_INT ? 4u : 1u);
}

static int read_labels(struct source *source, const char *path, const struct header *header,
                       uint8_t *labels, struct error *error) {
    uint8_t row[4 * COLUMNS_MAX];
    size_t size = label_size(header);
    uint64_t whole = whole_size(header, size);
    if (size == 1 && read_part(source, path, header->size, labels, header->count, whole, error))
        return -1;
    for (uint32_t i = 0; size > 1 && i < header->count; i++) {
        if (read_part(source, path, header->size + (uint64_t)i * size, row, size, whole, error))
            return -1;
        uint32_t label = big_endian(row);
        labels[i] = label < UINT8_MAX ? (uint8_t)label : UINT8_MAX;
    }
    return read_end(source, path, whole, error);
}

int idx_read(const char *images, const char *labels, struct split *split, struct error *error) {
    int status = -1;
    struct header image, label;
    struct source *image_source = NULL, *label_source = NULL;
    memset(split, 0, sizeof *split);
    image_source = source_open(images, error);
    if (!image_source || read_header(image_source, images, IMAGES_RANK, &image, error))
        goto done;
    label_source = source_open(labels, error);
    if (!label_source || read_header(label_source, labels, LABELS_RANK, &label, error))
        goto done;
    if (image.count != label.count) {
        error_set(error, ERROR_CORRUPT, "%s: %" PRIu32 " labels, but %s has %" PRIu32 " images",
                  labels, label.count, images, image.count);
        goto done;
    }
    /* The sizes are looked at before memory is asked for; the count is bounded in the allocation,
     * and 32 bits times an image cannot overflow 64. */
    if (image.count && image.count <= SPLIT_MAX &&
        (source_expect(image_source, whole_size(&image, IMAGE_PIXELS), error) ||
         source_expect(label_source, whole_size(&label, label_size(&label)), error)))
        goto done;
    if (split_allocate(split, image.count, images, error) ||
        read_images(image_source, images, &image, split->memory, error) ||
        read_labels(label_source, labels, &label,
                    split->memory + (size_t)image.count * IMAGE_PIXELS, error) ||
        split_check_labels(split, labels, error))
        goto done;
    status = 0;
done:
    if (status)
        split_free(split);
    source_close(&image_source);
    source_close(&label_source);
    return status;
}
