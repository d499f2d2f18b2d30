/* Trees of PNG files. */
#include "loader/png.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAXIMUM ((size_t)1 << 20) /* bytes: a 28x28 image takes a few hundred */
#define HEADER_SIZE 33                 /* signature and IHDR chunk */

/* --- one file --------------------------------------------------------------------------------- */

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
    if (decoder->size < 8 || png_sig_cmp(bytes, 0, 8))
        return error_set(error, ERROR_CORRUPT, "%s: is not a PNG file", decoder->path);
    if (decoder->size < HEADER_SIZE || memcmp(bytes + 8, ihdr, sizeof ihdr))
        return error_set(error, ERROR_CORRUPT, "%s: damaged PNG: it does not begin with IHDR",
                         decoder->path);
    uint32_t columns = big_endian(bytes + 16), rows = big_endian(bytes + 20);
    if (columns != IMAGE_COLUMNS || rows != IMAGE_ROWS)
        return error_set(error, ERROR_CORRUPT,
                         "%s: is %" PRIu32 "x%" PRIu32 " pixels, %dx%d expected", decoder->path,
                         columns, rows, IMAGE_COLUMNS, IMAGE_ROWS);
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
    png_set_chunk_malloc_max(png, FILE_MAXIMUM); /* compressed text and profiles */
    png_set_chunk_cache_max(png, 16);
    png_set_read_fn(png, decoder, on_read);
    status = decode_rows(png, info, image);
    if (status)
        error_set(error, ERROR_CORRUPT, "%s: damaged PNG: %s", decoder->path, decoder->reason);
done:
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}

/* Reads a whole file of at most FILE_MAXIMUM bytes into `bytes`, which holds one more. */
static int read_file(const char *path, uint8_t *bytes, size_t *size, struct error *error) {
    int status = -1, file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return error_set_errno(error, "%s: cannot be opened", path);
    *size = 0;
    while (*size <= FILE_MAXIMUM) {
        ssize_t got = read(file, bytes + *size, FILE_MAXIMUM + 1 - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set_errno(error, "%s: cannot be read", path);
            goto done;
        }
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    if (*size > FILE_MAXIMUM)
        error_set(error, ERROR_CORRUPT, "%s: is larger than the %zu bytes allowed", path,
                  FILE_MAXIMUM);
    else
        status = 0;
done:
    close(file);
    return status;
}

/* --- the tree --------------------------------------------------------------------------------- */

struct listing {
    char **names[10];
    uint32_t counts[10];
    uint64_t total;
};

static int by_bytes(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void listing_free(struct listing *listing) {
    for (int label = 0; label < 10; label++) {
        for (uint32_t i = 0; i < listing->counts[label]; i++)
            free(listing->names[label][i]);
        free(listing->names[label]);
    }
}

static int join(char path[PATH_MAX], const char *folder, const char *name, struct error *error) {
    int size = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    if (size < 0 || size >= PATH_MAX)
        return error_set(error, ERROR_INVALID, "%s: the path is longer than %d bytes", folder,
                         PATH_MAX);
    return 0;
}

static bool ends_in_png(const char *name) {
    size_t size = strlen(name);
    return name[0] != '.' && size > 4 && strcmp(name + size - 4, ".png") == 0;
}

/* Adds a name to a label's list, which grows by doubling. */
static int listing_add(struct listing *listing, int label, const char *name, struct error *error) {
    uint32_t count = listing->counts[label];
    if (count == 0 || (count >= 64 && (count & (count - 1)) == 0)) {
        size_t room = count ? 2 * (size_t)count : 64;
        char **names = realloc(listing->names[label], room * sizeof *names);
        if (!names)
            return error_set(error, ERROR_MEMORY, "no memory for a list of %zu file names", room);
        listing->names[label] = names;
    }
    listing->names[label][count] = strdup(name);
    if (!listing->names[label][count])
        return error_set(error, ERROR_MEMORY, "no memory for a file name");
    listing->counts[label]++;
    listing->total++;
    return 0;
}

static int list_label(struct listing *listing, const char *folder, int label, struct error *error) {
    DIR *directory = opendir(folder);
    if (!directory)
        return error_set_errno(error, "%s: cannot be listed", folder);
    int status = 0;
    const struct dirent *entry;
    while (!status && (errno = 0, entry = readdir(directory))) {
        if (!ends_in_png(entry->d_name))
            continue;
        if (listing->total >= SPLIT_MAXIMUM)
            status = error_set(error, ERROR_CORRUPT, "%s: more than %d samples in this split",
                               folder, SPLIT_MAXIMUM);
        else
            status = listing_add(listing, label, entry->d_name, error);
    }
    if (!status && errno)
        status = error_set_errno(error, "%s: cannot be listed", folder);
    closedir(directory);
    if (!status && listing->counts[label])
        qsort(listing->names[label], listing->counts[label], sizeof(char *), by_bytes);
    return status;
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Lists the label folders; files beside them are passed over. */
static int list_split(struct listing *listing, const char *folder, struct error *error) {
    DIR *directory = opendir(folder);
    if (!directory)
        return error_set_errno(error, "%s: cannot be listed", folder);
    int status = 0;
    char path[PATH_MAX];
    const struct dirent *entry;
    while (!status && (entry = readdir(directory))) {
        const char *name = entry->d_name;
        if (name[0] == '.')
            continue;
        if (join(path, folder, name, error))
            status = -1;
        else if (!is_folder(path))
            continue;
        else if (name[0] < '0' || name[0] > '9' || name[1])
            status =
                error_set(error, ERROR_CORRUPT, "%s: is not a label, folders 0-9 expected", path);
        else
            status = list_label(listing, path, name[0] - '0', error);
    }
    closedir(directory);
    return status;
}

int png_read_split(const char *folder, const char *name, struct split *split, struct error *error) {
    int status = -1;
    char root[PATH_MAX], path[PATH_MAX];
    struct listing listing = {0};
    uint8_t *bytes = NULL;
    memset(split, 0, sizeof *split);
    if (join(root, folder, name, error) || list_split(&listing, root, error) ||
        split_allocate(split, listing.total, root, error))
        goto done;
    bytes = malloc(FILE_MAXIMUM + 1);
    if (!bytes) {
        error_set(error, ERROR_MEMORY, "%s: no memory for %zu bytes", root, FILE_MAXIMUM);
        goto done;
    }
    uint8_t *image = split->memory, *labels = split->memory + listing.total * IMAGE_PIXELS;
    for (int label = 0; label < 10; label++)
        for (uint32_t i = 0; i < listing.counts[label]; i++) {
            int size =
                snprintf(path, sizeof path, "%s/%d/%s", root, label, listing.names[label][i]);
            if (size < 0 || size >= PATH_MAX) {
                error_set(error, ERROR_INVALID, "%s: the path is longer than %d bytes", root,
                          PATH_MAX);
                goto done;
            }
            struct decoder decoder = {.path = path, .bytes = bytes};
            if (read_file(path, bytes, &decoder.size, error) || decode(&decoder, image, error))
                goto done;
            image += IMAGE_PIXELS;
            *labels++ = (uint8_t)label;
        }
    status = 0;
done:
    if (status)
        split_free(split);
    free(bytes);
    listing_free(&listing);
    return status;
}

int png_read_test(const char *folder, struct split *split, struct error *error) {
    char path[PATH_MAX];
    if (join(path, folder, "test", error))
        return -1;
    return png_read_split(folder, is_folder(path) ? "test" : "t10k", split, error);
}
