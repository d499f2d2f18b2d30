/* One PNG file. Not by libpng's simplified API (png_image_*), which applies gamma: it turns
 * colours, palettes, transparency and gray with a gAMA chunk into other bytes than those that are
 * stored. */
#include "loader/png.h"
#include "common/batch.h"
#include "loader/kind.h"
#include "loader/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_SIZE 33 /* signature and IHDR chunk */

/* A file under decoding. */
struct decoder {
    const char *path;
    const uint8_t *bytes;
    size_t size, at;
    char reason[128]; /* libpng's word for what was wrong */
};

static void on_error(png_structp png, png_const_charp message) {
    struct decoder *decoder = png_get_error_ptr(png);
    snprintf(decoder->reason, sizeof decoder->reason, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep bytes, size_t size) {
    struct decoder *decoder = png_get_io_ptr(png);
    if (size > decoder->size - decoder->at)
        png_error(png, "the file is cut short");
    memcpy(bytes, decoder->bytes + decoder->at, size);
    decoder->at += size;
}

/* Asks for 8-bit gray, whatever is stored. */
static void set_gray(png_structp png, png_infop info) {
    png_color_16 paper = {0};
    int type = png_get_color_type(png, info);
    bool transparent = (type & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, info, PNG_INFO_tRNS);
    png_set_expand(png); /* palettes to colours, 1-4 bits to 8, tRNS to alpha */
    png_set_scale_16(png);
    if (type & PNG_COLOR_MASK_COLOR)
        png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, PNG_RGB_TO_GRAY_DEFAULT,
                            PNG_RGB_TO_GRAY_DEFAULT);
    if (transparent)
        png_set_background(png, &paper, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

/* The part that libpng may leave by a jump: no locals of this function live across it. */
static int decode_rows(png_structp png, png_infop info, uint8_t *image) {
    png_bytep rows[IMAGE_ROWS];
    if (setjmp(png_jmpbuf(png)))
        return -1;
    png_read_info(png, info);
    set_gray(png, info);
    if (png_get_rowbytes(png, info) != IMAGE_COLUMNS)
        png_error(png, "it does not convert to 8-bit gray");
    for (int row = 0; row < IMAGE_ROWS; row++)
        rows[row] = image + row * IMAGE_COLUMNS;
    png_read_image(png, rows);
    png_read_end(png, NULL);
    return 0;
}

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Signature and size are ours to check: then libpng never sees a bomb. */
static int check_header(const struct decoder *decoder, struct error *error) {
    static const uint8_t ihdr[8] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    const uint8_t *bytes = decoder->bytes;
    if (decoder->size < 8 || png_sig_cmp(bytes, 0, 8)) {
        enum kind kind = kind_of(bytes, decoder->size);
        if (kind == KIND_IMAGE)
            return error_set(
                error, ERROR_CORRUPT,
                "%s: is %s, not a PNG file; ImageMagick converts a copy of the folder: "
                "find COPY -iname '*.png' -exec mogrify -format png -resize '28x28!' "
                "{} +",
                decoder->path, kind_describe(bytes, decoder->size, NULL));
        if (kind != KIND_TEXT &&
            kind_refuse(decoder->path, bytes, decoder->size, "a PNG file", error) != 0)
            return -1;
        return error_set(error, ERROR_CORRUPT, "%s: is not a PNG file", decoder->path);
    }
    if (decoder->size < HEADER_SIZE || memcmp(bytes + 8, ihdr, sizeof ihdr))
        return error_set(error, ERROR_CORRUPT, "%s: damaged PNG: it does not begin with IHDR",
                         decoder->path);
    uint32_t columns = big_endian(bytes + 16), rows = big_endian(bytes + 20);
    if (columns != IMAGE_COLUMNS || rows != IMAGE_ROWS)
        return error_set(error, ERROR_CORRUPT,
                         "%s: is %" PRIu32 "x%" PRIu32
                         " pixels, %dx%d expected; ImageMagick resizes a "
                         "copy of the folder: find COPY -iname '*.png' -exec mogrify -resize "
                         "'28x28!' {} +",
                         decoder->path, columns, rows, IMAGE_COLUMNS, IMAGE_ROWS);
    return 0;
}

static int decode(struct decoder *decoder, uint8_t *image, struct error *error) {
    if (check_header(decoder, error))
        return -1;
    int status = -1;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, decoder, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        error_set(error, ERROR_MEMORY, "%s: no memory to decode it", decoder->path);
        goto done;
    }
    png_set_user_limits(png, IMAGE_COLUMNS, IMAGE_ROWS);
    png_set_chunk_malloc_max(png, PNG_FILE_MAX); /* compressed text and profiles */
    png_set_chunk_cache_max(png, 16);
    png_set_read_fn(png, decoder, on_read);
    status = decode_rows(png, info, image);
    if (status)
        error_set(error, ERROR_CORRUPT, "%s: damaged PNG: %s", decoder->path, decoder->reason);
done:
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}

/* Reads a whole file of at most PNG_FILE_MAX bytes into `bytes`, which holds one more. */
static int read_file(const char *path, uint8_t *bytes, size_t *size, struct error *error) {
    int status = -1, file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return names_refuse(error, path, "cannot be opened");
    *size = 0;
    while (*size <= PNG_FILE_MAX) {
        ssize_t got = read(file, bytes + *size, PNG_FILE_MAX + 1 - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            names_refuse(error, path, "cannot be read");
            goto done;
        }
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    if (*size > PNG_FILE_MAX)
        error_set(error, ERROR_CORRUPT, "%s: is larger than the %zu bytes allowed", path,
                  PNG_FILE_MAX);
    else
        status = 0;
done:
    close(file);
    return status;
}

int png_read(const char *path, uint8_t *image, uint8_t *space, struct error *error) {
    struct decoder decoder = {.path = path, .bytes = space};
    return read_file(path, space, &decoder.size, error) || decode(&decoder, image, error) ? -1 : 0;
}
