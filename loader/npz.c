/* NumPy archives. */
#include "loader/npz.h"
#include "loader/kind.h"
#include "loader/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum {
    HEADER_MAX = 65536, /* bytes of an array's header, which is some 80 */
    RANK_MAX = 4,
    DEFLATE_RATIO = 1032, /* no deflate stream grows more (zlib's notes) */
    MEMBERS_SHOWN = 6
};

/* An array in an archive, opened behind its header. */
struct array {
    const char *path;
    char name[64]; /* of the member */
    zip_file_t *file;
    char type[8]; /* as '|u1', '<i8' */
    bool fortran;
    int rank;
    uint64_t shape[RANK_MAX];
    char shape_text[48]; /* as it stands in the header, for sentences */
    uint64_t rest;       /* bytes behind the header, as the archive says */
    uint64_t packed;     /* bytes that the member takes in the archive */
};

static int refuse(const struct array *array, const char *what, struct error *error) {
    return error_set(error, ERROR_CORRUPT, "%s: %s: %s", array->path, array->name, what);
}

/* Reads exactly `size` bytes. */
static int read_bytes(struct array *array, void *bytes, size_t size, struct error *error) {
    size_t done = 0;
    while (done < size) {
        zip_int64_t got = zip_fread(array->file, (uint8_t *)bytes + done, size - done);
        if (got < 0)
            return refuse(array, zip_file_strerror(array->file), error);
        if (got == 0)
            return refuse(array, "is cut short", error);
        done += (size_t)got;
    }
    return 0;
}

/* Nothing may follow; at the end libzip has checked the member's CRC. */
static int read_end(struct array *array, struct error *error) {
    uint8_t beyond;
    zip_int64_t got = zip_fread(array->file, &beyond, 1);
    if (got == 0)
        return 0;
    return refuse(array,
                  got < 0 ? zip_file_strerror(array->file)
                          : "has trailing data after its last element",
                  error);
}

/* --- the header of an array ------------------------------------------------------------------- */

/* What stands behind 'key': in the header's dictionary; NULL where it is not there. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    at = at ? at + strlen(key) : NULL;
    while (at && (*at == ' ' || *at == ':'))
        at++;
    return at;
}

/* "(60000, 28, 28)"; -1 where it is none. */
static int parse_shape(struct array *array, const char *at) {
    size_t shown = strcspn(at, ")") + 1;
    snprintf(array->shape_text, sizeof array->shape_text, "%.*s",
             shown < sizeof array->shape_text ? (int)shown : (int)sizeof array->shape_text - 1, at);
    array->rank = 0;
    if (*at++ != '(')
        return -1;
    while (*at != ')') {
        char *end;
        if (array->rank == RANK_MAX || *at < '0' || *at > '9')
            return -1;
        uint64_t extent = strtoull(at, &end, 10);
        if (extent > UINT32_MAX)
            return -1;
        array->shape[array->rank++] = extent;
        at = end + strspn(end, "L, ");
    }
    return 0;
}

static int refuse_shape(const struct array *array, const char *expected, struct error *error) {
    return error_set(error, ERROR_CORRUPT, "%s: %s: its shape is %s, that of %s expected",
                     array->path, array->name, array->shape_text, expected);
}

static int parse_header(struct array *array, const char *header, struct error *error) {
    const char *type = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (!type || !order || !shape)
        return refuse(array, "its header lacks descr, fortran_order or shape", error);
    size_t size = *type == '\'' ? strcspn(type + 1, "'") : sizeof array->type;
    if (size >= sizeof array->type)
        return refuse(array, "holds no plain numbers", error);
    memcpy(array->type, type + 1, size);
    array->type[size] = 0;
    array->fortran = strncmp(order, "True", 4) == 0;
    return parse_shape(array, shape) == 0 ? 0 : refuse_shape(array, "images or labels", error);
}

/* Versions 1 to 3: the size of the dictionary in 2 or 4 bytes, little-endian. */
static int read_header(struct array *array, uint64_t size, struct error *error) {
    uint8_t head[12];
    if (read_bytes(array, head, 10, error))
        return -1;
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
        return refuse(array, "is no NumPy array of version 1 to 3", error);
    uint32_t length = head[8] | (uint32_t)head[9] << 8;
    if (head[6] > 1) {
        if (read_bytes(array, head + 10, 2, error))
            return -1;
        length |= (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24;
    }
    uint64_t before = (head[6] > 1 ? 12 : 10) + (uint64_t)length;
    if (length > HEADER_MAX || before > size)
        return refuse(array, "its header is longer than it may be", error);
    array->rest = size - before;
    char *header = malloc(length + 1);
    if (!header)
        return error_set(error, ERROR_MEMORY, "%s: no memory to read it", array->path);
    int status = read_bytes(array, header, length, error);
    header[length] = 0;
    if (status == 0)
        status = parse_header(array, header, error);
    free(header);
    return status;
}

/* --- members ---------------------------------------------------------------------------------- */

static int refuse_missing(zip_t *zip, const char *path, const char *name, struct error *error) {
    char there[256] = "nothing";
    size_t used = 0;
    zip_int64_t count = zip_get_num_entries(zip, 0);
    for (zip_int64_t i = 0; i < count && i < MEMBERS_SHOWN && used < sizeof there; i++) {
        const char *member = zip_get_name(zip, (zip_uint64_t)i, 0);
        used += (size_t)snprintf(there + used, sizeof there - used, "%s%.40s", i ? ", " : "",
                                 member ? member : "?");
    }
    return error_set(error, ERROR_INVALID, "%s: holds no array %s; it holds %s%s", path, name,
                     there,
                     strstr(name, "test") ? "; HOLD_OUT=N (--hold-out) scores N training images in "
                                            "place of a test split"
                                          : "");
}

/* Opens the member that is called by one of these names, ended by NULL. */
static int open_array(struct array *array, zip_t *zip, const char *const *names,
                      struct error *error) {
    zip_stat_t stat;
    zip_int64_t index = -1;
    for (int i = 0; index < 0 && names[i]; i++) {
        snprintf(array->name, sizeof array->name, "%s.npy", names[i]);
        index = zip_name_locate(zip, array->name, ZIP_FL_NOCASE);
    }
    if (index < 0)
        return refuse_missing(zip, array->path, names[0], error);
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(zip, (zip_uint64_t)index, 0, &stat) != 0 || (stat.valid & needed) != needed)
        return refuse(array, "its entry in the archive is damaged", error);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
        return refuse(array, "is encrypted", error);
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
        return refuse(array, "is neither stored nor deflated", error);
    array->packed = stat.comp_size;
    array->file = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (!array->file)
        return refuse(array, zip_strerror(zip), error);
    return read_header(array, stat.size, error);
}

/* Refuses, before memory is asked for, what cannot be as large as its shape says. */
static int check_size(const struct array *array, uint64_t size, struct error *error) {
    if (array->rest != size)
        return error_set(error, ERROR_CORRUPT,
                         "%s: %s: %" PRIu64 " bytes of elements, but its shape announces %" PRIu64,
                         array->path, array->name, array->rest, size);
    if (array->packed < size / DEFLATE_RATIO)
        return refuse(array, "is too small for its shape", error);
    return 0;
}

/* --- images and labels ------------------------------------------------------------------------ */

static bool is_images_shape(const struct array *array) {
    uint64_t pixels = 1;
    const uint64_t *s = array->shape;
    for (int i = 1; i < array->rank; i++)
        pixels *= s[i] <= IMAGE_PIXELS ? s[i] : 0;
    return pixels == IMAGE_PIXELS &&
           (array->rank == 2 || (array->rank == 3 && s[1] == IMAGE_ROWS) ||
            (array->rank == 4 &&
             ((s[1] == IMAGE_ROWS && s[2] == IMAGE_COLUMNS) || (s[1] == 1 && s[2] == IMAGE_ROWS))));
}

/* Bytes of a number; 0 where it is none of the kinds, among u(nsigned), i(nteger) and f(loat). */
static unsigned number_size(const struct array *array, const char *kinds) {
    const char *type = array->type;
    bool number = type[1] && strchr(kinds, type[1]) && type[2] &&
                  strchr(type[1] == 'f' ? "48" : "1248", type[2]) && !type[3];
    return number ? (unsigned)(type[2] - '0') : 0;
}

static int check_images(const struct array *array, struct error *error) {
    if (!number_size(array, "uif"))
        return error_set(error, ERROR_CORRUPT,
                         "%s: %s: holds elements of type %s, unsigned bytes 0-255 (uint8) expected",
                         array->path, array->name, array->type);
    return is_images_shape(array) ? 0
                                  : refuse_shape(array,
                                                 "images: (n, 28, 28), (n, 784), (n, 28, 28, 1) or "
                                                 "(n, 1, 28, 28)",
                                                 error);
}

/* In Fortran order the first index moves fastest: sample, then row, then column. */
static int reorder(uint8_t *images, uint32_t count, int rank, struct error *error) {
    size_t size = (size_t)count * IMAGE_PIXELS;
    uint8_t *copy = malloc(size);
    if (!copy)
        return error_set(error, ERROR_MEMORY, "no memory for %zu bytes", size);
    memcpy(copy, images, size);
    for (size_t i = 0; i < size; i++) {
        size_t sample = i / IMAGE_PIXELS, pixel = i % IMAGE_PIXELS;
        size_t row = pixel / IMAGE_COLUMNS, column = pixel % IMAGE_COLUMNS;
        images[i] = copy[sample + count * (rank == 2 ? pixel : row + IMAGE_ROWS * column)];
    }
    free(copy);
    return 0;
}

/* The bits of a number in the order of this machine, in the lowest `size` bytes. */
static uint64_t bits_of(const struct array *array, const uint8_t *bytes, unsigned size) {
    uint64_t bits = 0;
    for (unsigned k = 0; k < size; k++)
        bits = bits << 8 | bytes[array->type[0] == '>' ? k : size - 1 - k];
    return bits;
}

/* The value of a whole number with a sign, or as many bits without one. */
static int64_t whole_of(const struct array *array, uint64_t bits, unsigned size) {
    unsigned unused = 64 - 8 * size;
    if (array->type[1] == 'i')
        return (int64_t)(bits << unused) >> unused;
    return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
}

static double value_of_number(const struct array *array, const uint8_t *bytes, unsigned size) {
    uint64_t bits = bits_of(array, bytes, size);
    uint32_t low = (uint32_t)bits;
    float small;
    double real;
    if (array->type[1] != 'f')
        return (double)whole_of(array, bits, size);
    memcpy(&small, &low, sizeof small);
    memcpy(&real, &bits, sizeof real);
    return size == 4 ? (double)small : real;
}

static int refuse_pixel(const struct array *array, uint64_t at, double value, struct error *error) {
    return error_set(
        error, ERROR_CORRUPT, "%s: %s: element %" PRIu64 " is %g, whole numbers 0-255 expected%s",
        array->path, array->name, at, value,
        value > 0 && value < 1 ? "; pixels scaled to 0-1 must be multiplied by 255" : "");
}

/* Reads pixels of any type of numbers, an image's worth at a time. */
static int read_numbers(struct array *array, struct split *split, struct error *error) {
    uint8_t bytes[8 * IMAGE_PIXELS];
    unsigned size = number_size(array, "uif");
    for (uint32_t i = 0; i < split->count; i++) {
        if (read_bytes(array, bytes, (size_t)size * IMAGE_PIXELS, error))
            return -1;
        for (unsigned k = 0; k < IMAGE_PIXELS; k++) {
            double value = value_of_number(array, bytes + (size_t)k * size, size);
            if (!(value >= 0 && value <= UINT8_MAX) || value != (double)(unsigned)value)
                return refuse_pixel(array, (uint64_t)i * IMAGE_PIXELS + k, value, error);
            split->memory[(size_t)i * IMAGE_PIXELS + k] = (uint8_t)value;
        }
    }
    return 0;
}

static int read_images(struct array *array, struct split *split, struct error *error) {
    bool bytes = strcmp(array->type + 1, "u1") == 0;
    if ((bytes ? read_bytes(array, split->memory, (size_t)split->count * IMAGE_PIXELS, error)
               : read_numbers(array, split, error)) ||
        read_end(array, error))
        return -1;
    return array->fortran ? reorder(split->memory, split->count, array->rank, error) : 0;
}

/* Bytes of a label; 0 where labels are not whole numbers in one column. */
static unsigned label_size(const struct array *array) {
    bool column = array->rank == 1 || (array->rank == 2 && array->shape[1] == 1);
    return column ? number_size(array, "ui") : 0;
}

static int check_labels(const struct array *array, struct error *error) {
    if (label_size(array))
        return 0;
    return error_set(error, ERROR_CORRUPT,
                     "%s: %s: whole numbers of shape (n) expected, it holds type %s of shape %s",
                     array->path, array->name, array->type, array->shape_text);
}

static int read_labels(struct array *array, uint8_t *labels, uint32_t count, struct error *error) {
    uint8_t bytes[8];
    unsigned size = label_size(array);
    for (uint32_t i = 0; i < count; i++) {
        if (read_bytes(array, bytes, size, error))
            return -1;
        int64_t value = whole_of(array, bits_of(array, bytes, size), size);
        if (value < 0)
            return error_set(error, ERROR_CORRUPT,
                             "%s: %s: label %" PRId64 " of sample %" PRIu32 ", 0-9 expected",
                             array->path, array->name, value, i);
        labels[i] = value < UINT8_MAX ? (uint8_t)value : UINT8_MAX;
    }
    return read_end(array, error);
}

/* --- the archive ------------------------------------------------------------------------------ */

static const char *const array_names[2][2][4] = {
    {{"x_train", "train_images", "train_x", NULL}, {"y_train", "train_labels", "train_y", NULL}},
    {{"x_test", "test_images", "test_x", NULL}, {"y_test", "test_labels", "test_y", NULL}},
};

static int read_split(zip_t *zip, const char *path, bool test, struct array arrays[2],
                      struct split *split, struct error *error) {
    struct array *images = &arrays[0], *labels = &arrays[1];
    if (open_array(images, zip, array_names[test][0], error) || check_images(images, error) ||
        open_array(labels, zip, array_names[test][1], error) || check_labels(labels, error))
        return -1;
    uint64_t count = images->shape[0];
    if (count != labels->shape[0])
        return error_set(error, ERROR_CORRUPT,
                         "%s: %" PRIu64 " labels in %s, but %" PRIu64 " images in %s", path,
                         labels->shape[0], labels->name, count, images->name);
    if (check_size(images, count * IMAGE_PIXELS * number_size(images, "uif"), error) ||
        check_size(labels, count * label_size(labels), error) ||
        split_allocate(split, count, path, error) || read_images(images, split, error) ||
        read_labels(labels, split->memory + count * IMAGE_PIXELS, split->count, error))
        return -1;
    char who[PATH_MAX + 80];
    snprintf(who, sizeof who, "%s: %s", path, labels->name);
    return split_check_labels(split, who, error);
}

/* libzip has a code of its own for it since 1.11; before, a file without its end is no archive. */
static bool is_truncated(int code) {
#ifdef ZIP_ER_TRUNCATED_ZIP
    if (code == ZIP_ER_TRUNCATED_ZIP)
        return true;
#endif
    return code == ZIP_ER_NOZIP;
}

/* Says what a file is that libzip does not open. */
static int refuse_archive(const char *path, int code, struct error *error) {
    uint8_t bytes[KIND_BYTES];
    zip_error_t reason;
    FILE *file = fopen(path, "re");
    if (!file)
        return names_refuse(error, path, "cannot be opened");
    size_t got = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (kind_of(bytes, got) == KIND_ZIP && is_truncated(code))
        return error_set(error, ERROR_CORRUPT,
                         "%s: is a NumPy archive (.npz) that is cut short: the download was broken "
                         "off, fetch it again",
                         path);
    if (kind_of(bytes, got) != KIND_ZIP &&
        kind_refuse(path, bytes, got, "a NumPy archive (.npz)", error) != 0)
        return -1;
    zip_error_init_with_code(&reason, code);
    error_set(error, zip_error_system_type(&reason) == ZIP_ET_SYS ? ERROR_IO : ERROR_CORRUPT,
              "%s: cannot be opened as a NumPy archive (.npz): %s", path,
              zip_error_strerror(&reason));
    zip_error_fini(&reason);
    return -1;
}

int npz_read(const char *path, bool test, struct split *split, struct error *error) {
    int code, status;
    struct array arrays[2] = {{.path = path}, {.path = path}};
    memset(split, 0, sizeof *split);
    if (!names_is_file(path))
        return error_set(error, ERROR_INVALID, "%s: there is no such file", path);
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    if (!zip)
        return refuse_archive(path, code, error);
    status = read_split(zip, path, test, arrays, split, error);
    if (status)
        split_free(split);
    for (int i = 0; i < 2; i++)
        if (arrays[i].file)
            zip_fclose(arrays[i].file);
    zip_discard(zip);
    return status;
}
