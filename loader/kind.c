/* The table of magic numbers. */
#include "loader/kind.h"

#include <stdbool.h>
#include <string.h>

#define DOWNLOAD "the download went wrong, fetch it again"
#define UNPACK "unpack it"

/* clang-format off */
static const struct row {
    size_t at, size;
    const char *magic;
    enum kind kind;
    const char *name, *advice;
} rows[] = {
    {0, 3, "\0\0\x08", KIND_IDX, "an IDX file", NULL},
    {0, 3, "\0\0\x09", KIND_IDX, "an IDX file", NULL},
    {0, 3, "\0\0\x0b", KIND_IDX, "an IDX file", NULL},
    {0, 3, "\0\0\x0c", KIND_IDX, "an IDX file", NULL},
    {0, 3, "\0\0\x0d", KIND_IDX, "an IDX file", NULL},
    {0, 3, "\0\0\x0e", KIND_IDX, "an IDX file", NULL},
    {0, 2, "\x1f\x8b", KIND_GZIP, "a gzip file", "gunzip it"},
    {0, 4, "PK\3\4", KIND_ZIP, "a ZIP archive", UNPACK},
    {0, 4, "PK\5\6", KIND_ZIP, "an empty ZIP archive", DOWNLOAD},
    {0, 8, "\x89PNG\r\n\x1a\n", KIND_PNG, "a PNG image", NULL},
    {0, 3, "\xff\xd8\xff", KIND_IMAGE, "a JPEG image", NULL},
    {0, 4, "GIF8", KIND_IMAGE, "a GIF image", NULL},
    {0, 2, "BM", KIND_IMAGE, "a BMP image", NULL},
    {0, 4, "II*\0", KIND_IMAGE, "a TIFF image", NULL},
    {0, 4, "MM\0*", KIND_IMAGE, "a TIFF image", NULL},
    {8, 4, "WEBP", KIND_IMAGE, "a WebP image", NULL},
    {4, 8, "ftypavif", KIND_IMAGE, "an AVIF image", NULL},
    {4, 8, "ftypheic", KIND_IMAGE, "a HEIC image", NULL},
    {0, 5, "%PDF-", KIND_OTHER, "a PDF document", NULL},
    {0, 6, "\xfd" "7zXZ\0", KIND_OTHER, "compressed with xz", "unpack it with unxz"},
    {0, 3, "BZh", KIND_OTHER, "compressed with bzip2", "unpack it with bunzip2"},
    {0, 4, "\x28\xb5\x2f\xfd", KIND_OTHER, "compressed with zstd", "unpack it with unzstd"},
    {0, 4, "\x04\x22\x4d\x18", KIND_OTHER, "compressed with lz4", "unpack it with unlz4"},
    {0, 2, "\x1f\x9d", KIND_OTHER, "compressed with compress", "unpack it with uncompress"},
    {0, 2, "x\x01", KIND_OTHER, "compressed with zlib", "unpack it with pigz -dz"},
    {0, 2, "x\x9c", KIND_OTHER, "compressed with zlib", "unpack it with pigz -dz"},
    {0, 2, "x\xda", KIND_OTHER, "compressed with zlib", "unpack it with pigz -dz"},
    {0, 4, "\xd0\xcf\x11\xe0", KIND_OTHER, "a Microsoft Office document", "export it as CSV"},
    {0, 6, "7z\xbc\xaf\x27\x1c", KIND_OTHER, "a 7z archive", UNPACK},
    {0, 6, "Rar!\x1a\7", KIND_OTHER, "a RAR archive", UNPACK},
    {257, 5, "ustar", KIND_OTHER, "a tar archive", "unpack it with tar -xf"},
    {0, 6, "\x93NUMPY", KIND_OTHER, "a NumPy array (.npy)", NULL},
    {0, 8, "\x89HDF\r\n\x1a\n", KIND_OTHER, "an HDF5 file", NULL},
    {0, 4, "PAR1", KIND_OTHER, "a Parquet file", NULL},
    {0, 6, "ARROW1", KIND_OTHER, "an Arrow file", NULL},
    {0, 6, "MATLAB", KIND_OTHER, "a MATLAB file (.mat)", NULL},
    {0, 16, "SQLite format 3\0", KIND_OTHER, "an SQLite database", NULL},
    {0, 4, "\x7f" "ELF", KIND_OTHER, "a program", NULL},
    {0, 2, "\x80\2", KIND_OTHER, "a Python pickle", NULL},
    {0, 2, "\x80\3", KIND_OTHER, "a Python pickle", NULL},
    {0, 2, "\x80\4", KIND_OTHER, "a Python pickle", NULL},
    {0, 2, "\x80\5", KIND_OTHER, "a Python pickle", NULL},
    {0, 2, "\xff\xfe", KIND_OTHER, "text in UTF-16", "save it as UTF-8"},
    {0, 2, "\xfe\xff", KIND_OTHER, "text in UTF-16", "save it as UTF-8"},
};

/* Texts: after a byte order mark and blanks, in any letter case. */
static const struct row texts[] = {
    {0, 34, "version https://git-lfs.github.com", KIND_OTHER, "a Git LFS pointer",
     "run git lfs pull"},
    {0, 15, "/annex/objects/", KIND_OTHER, "a git-annex pointer", "run git annex get"},
    {0, 9, "<!doctype", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 5, "<html", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 5, "<head", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 5, "<body", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 7, "<script", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 6, "<title", KIND_HTML, "a web page (HTML)", DOWNLOAD},
    {0, 4, "<svg", KIND_IMAGE, "an SVG image", NULL},
    {0, 4, "<!--", KIND_HTML, "a web page (HTML or XML)", DOWNLOAD},
    {0, 5, "<?xml", KIND_OTHER, "an XML document, as servers send for an error", DOWNLOAD},
    {0, 6, "<error", KIND_OTHER, "an XML document, as servers send for an error", DOWNLOAD},
    {0, 1, "{", KIND_OTHER, "JSON, as servers send for an error", DOWNLOAD},
    {0, 2, "[{", KIND_OTHER, "JSON", DOWNLOAD},
};
/* clang-format on */

static const struct row empty = {0, 0, "", KIND_EMPTY, "empty", DOWNLOAD};
static const struct row zeros = {0, 0, "", KIND_OTHER, "filled with zeros", DOWNLOAD};
static const struct row text_row = {0, 0, "", KIND_TEXT, "a text file", NULL};

static int lower(int c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool begins_text(const struct row *row, const uint8_t *bytes, size_t size) {
    if (size < row->size)
        return false;
    for (size_t i = 0; i < row->size; i++)
        if (lower(bytes[i]) != row->magic[i])
            return false;
    return true;
}

static bool is_text(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size && i < KIND_BYTES; i++)
        if (bytes[i] == 0x7f || (bytes[i] < ' ' && (bytes[i] < '\t' || bytes[i] > '\r')))
            return false;
    return true;
}

/* As a broken download or a full disk leaves it; shorter, it may be the begin of anything. */
static bool is_zero(const uint8_t *bytes, size_t size) {
    return size >= 16 && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* The row that fits; NULL where none does. */
static const struct row *find(const uint8_t *bytes, size_t size) {
    if (size == 0)
        return &empty;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (size >= rows[i].at + rows[i].size &&
            memcmp(bytes + rows[i].at, rows[i].magic, rows[i].size) == 0)
            return &rows[i];
    if (!is_text(bytes, size))
        return is_zero(bytes, size) ? &zeros : NULL;
    size_t at = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < size && (bytes[at] == ' ' || (bytes[at] >= '\t' && bytes[at] <= '\r')))
        at++;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (begins_text(&texts[i], bytes + at, size - at))
            return &texts[i];
    return &text_row;
}

enum kind kind_of(const void *bytes, size_t size) {
    const struct row *row = find(bytes, size);
    return row ? row->kind : KIND_UNKNOWN;
}

const char *kind_describe(const void *bytes, size_t size, const char **advice) {
    const struct row *row = find(bytes, size);
    if (advice)
        *advice = row ? row->advice : NULL;
    return row ? row->name : NULL;
}

int kind_refuse(const char *path, const void *bytes, size_t size, const char *expected,
                struct error *error) {
    const char *advice, *name = kind_describe(bytes, size, &advice);
    if (!name)
        return 0;
    return error_set(error, ERROR_CORRUPT, "%s: is %s, not %s%s%s", path, name, expected,
                     advice ? ": " : "", advice ? advice : "");
}
