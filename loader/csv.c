/* Tables of pixels. */
#include "loader/csv.h"
#include "loader/kind.h"
#include "loader/names.h"
#include "loader/source.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 64 << 10,
    CHUNK = 1 << 20,
    FIELD = 24,       /* bytes of a field that are shown or compared */
    BLANKS_MAX = 1000 /* lines */
};

struct table {
    const char *path;
    struct source *source;
    char *chunk; /* [CHUNK + 1], ends with a NUL behind `end` */
    const char *at, *end;
    bool last;     /* nothing follows in the source */
    uint64_t line; /* of `at`, from 1 */
    char delimiter;
    bool header;
    int columns, label, skip; /* label, skip: columns from 0, or -1 */
    uint8_t *images, *labels; /* of the rows so far */
    uint32_t count, room;
    uint8_t least, most; /* of the labels */
    uint64_t bad_line;   /* first with a label above 9; 0: none */
    uint8_t bad_label;
};

/* Makes a whole line available behind `at`, or all that is left. */
static int fill(struct table *table, struct error *error) {
    size_t left = (size_t)(table->end - table->at), got;
    if (table->last || left >= LINE_MAX_BYTES)
        return 0;
    memmove(table->chunk, table->at, left);
    if (source_read(table->source, table->chunk + left, CHUNK - left, &got, error))
        return -1;
    table->last = got < CHUNK - left;
    table->at = table->chunk;
    table->end = table->chunk + left + got;
    table->chunk[left + got] = 0;
    return 0;
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool is_blank(char c, char delimiter) {
    return (c == ' ' && delimiter != ' ') || (c == '\t' && delimiter != '\t');
}

static bool ends_line(const struct table *table, const char *at) {
    return *at == '\n' || *at == '\r' || at == table->end;
}

/* Behind the end of a line: LF, CRLF, CR, or the end of all. */
static void next_line(struct table *table, const char *at) {
    if (at < table->end && *at == '\r')
        at++;
    if (at < table->end && *at == '\n')
        at++;
    table->at = at;
    table->line++;
}

/* Copies a field as text, without quotes and blanks around it; returns what follows it. */
static const char *take_text(const struct table *table, const char *at, char text[FIELD]) {
    size_t size = 0;
    bool quoted = false;
    while (!ends_line(table, at) && (quoted || *at != table->delimiter)) {
        if (*at == '"')
            quoted = !quoted;
        else if (size + 1 < FIELD && (size || !is_blank(*at, table->delimiter)))
            text[size++] = *at >= ' ' ? *at : '?';
        at++;
    }
    while (size && text[size - 1] == ' ')
        size--;
    text[size] = 0;
    return at;
}

/* Reads any decimal number at `at`; NULL where there is none. */
static const char *take_real(const char *at, double *value) {
    char *end;
    if (at[strspn(at, "+-.")] < '0' || at[strspn(at, "+-.")] > '9' || at[1] == 'x' || at[1] == 'X')
        return NULL;
    *value = strtod(at, &end);
    return end;
}

/* Reads a whole number 0-255; NULL where there is none, else what follows it. "7.0" and "7.0e+00",
 * as numpy.savetxt writes it, are whole too. */
static const char *take_number(const struct table *table, const char *at, uint8_t *number) {
    unsigned value = 0;
    int digits = 0;
    while (is_blank(*at, table->delimiter))
        at++;
    bool quoted = *at == '"';
    const char *first = at + quoted;
    for (at = first; *at >= '0' && *at <= '9' && digits < 4; at++, digits++)
        value = 10 * value + (unsigned)(*at - '0');
    if (*at == '.' || *at == 'e' || *at == 'E') {
        double real;
        at = take_real(first, &real);
        if (!at || !(real >= 0 && real <= UINT8_MAX) || real != (double)(unsigned)real)
            return NULL;
        value = (unsigned)real;
        digits = 1;
    }
    if (quoted && *at++ != '"')
        return NULL;
    while (is_blank(*at, table->delimiter))
        at++;
    *number = (uint8_t)value;
    return digits && value <= UINT8_MAX && (*at == table->delimiter || ends_line(table, at)) ? at
                                                                                             : NULL;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int refuse_columns(const struct table *table, int columns, struct error *error) {
    return error_set(error, ERROR_CORRUPT, "%s:%" PRIu64 ": %d columns, %d expected", table->path,
                     table->line, columns, table->columns);
}

static int refuse_field(const struct table *table, const char *at, int column,
                        struct error *error) {
    char text[FIELD];
    double real;
    take_text(table, at, text);
    bool scaled = column != table->label && take_real(text, &real) && real > 0 && real < 1;
    return error_set(error, ERROR_CORRUPT,
                     "%s:%" PRIu64 ":%d: '%s', a whole number 0-255 expected%s", table->path,
                     table->line, column + 1, text,
                     scaled ? "; pixels scaled to 0-1 must be multiplied by 255" : "");
}

static int grow(struct table *table, struct error *error) {
    uint32_t room = table->room ? 2 * table->room : 4096;
    room = room > SPLIT_MAX ? SPLIT_MAX : room;
    if (table->count >= SPLIT_MAX)
        return error_set(error, ERROR_CORRUPT, "%s: more than %d rows", table->path, SPLIT_MAX);
    uint8_t *images = realloc(table->images, (size_t)room * IMAGE_PIXELS);
    table->images = images ? images : table->images;
    uint8_t *labels = images ? realloc(table->labels, room) : NULL;
    table->labels = labels ? labels : table->labels;
    if (!labels)
        return error_set(error, ERROR_MEMORY, "%s: no memory for %" PRIu32 " images", table->path,
                         room);
    table->room = room;
    return 0;
}

static void keep_label(struct table *table, uint8_t label) {
    table->labels[table->count] = label;
    table->least = label < table->least ? label : table->least;
    table->most = label > table->most ? label : table->most;
    if (label > 9 && !table->bad_line) {
        table->bad_line = table->line;
        table->bad_label = label;
    }
}

/* Reads the row at `at`. */
static int read_row(struct table *table, struct error *error) {
    if (table->count == table->room && grow(table, error))
        return -1;
    uint8_t *pixel = table->images + (size_t)table->count * IMAGE_PIXELS, number;
    const char *at = table->at;
    for (int column = 0; column < table->columns; column++) {
        char text[FIELD];
        const char *field = at;
        at = column == table->skip ? take_text(table, at, text) : take_number(table, at, &number);
        if (!at)
            return refuse_field(table, field, column, error);
        if (column == table->label)
            keep_label(table, number);
        else if (column != table->skip)
            *pixel++ = number;
        if (column + 1 < table->columns && *at++ != table->delimiter)
            return refuse_columns(table, column + 1, error);
    }
    if (!ends_line(table, at)) {
        int columns = table->columns;
        for (; !ends_line(table, at); at++)
            columns += *at == table->delimiter;
        return refuse_columns(table, columns, error);
    }
    table->count++;
    next_line(table, at);
    return 0;
}

/* Finds the next line that is not blank: 1, or 0 at the end, or -1. */
static int next_row(struct table *table, struct error *error) {
    for (int blanks = 0; blanks <= BLANKS_MAX; blanks++) {
        if (fill(table, error))
            return -1;
        const char *at = table->at;
        while (*at == ' ' || *at == '\t')
            at++;
        if (at == table->end && table->last)
            return 0;
        if (!ends_line(table, at) || at == table->end) {
            while (!ends_line(table, at))
                at++;
            if (at - table->at >= LINE_MAX_BYTES)
                return error_set(error, ERROR_CORRUPT,
                                 "%s:%" PRIu64 ": a line longer than %d bytes", table->path,
                                 table->line, LINE_MAX_BYTES);
            return 1;
        }
        next_line(table, at);
    }
    return error_set(error, ERROR_CORRUPT, "%s:%" PRIu64 ": more than %d blank lines", table->path,
                     table->line, BLANKS_MAX);
}

/* --- the first row ---------------------------------------------------------------------------- */

static char find_delimiter(const struct table *table) {
    bool quoted = false, blank = false;
    for (const char *at = table->at; !ends_line(table, at); at++) {
        if (*at == '"')
            quoted = !quoted;
        if (!quoted && (*at == ',' || *at == ';' || *at == '\t'))
            return *at;
        blank |= !quoted && *at == ' ';
    }
    return blank ? ' ' : ','; /* numpy.savetxt writes a space */
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* As programs write a value that is missing: no name of a column. */
static bool is_missing_value(const char *text) {
    return names_equal(text, "nan") || names_equal(text, "na") || names_equal(text, "null") ||
           names_equal(text, "none") || names_equal(text, "inf");
}

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++)
        if (names_equal(text, *list))
            return true;
    return false;
}

/* What the first row is, a header or an image, and with it what the columns are. */
static int read_first(struct table *table, struct error *error) {
    static const char *const labels[] = {"label", "labels", "class", "digit", "target", "y", NULL};
    static const char *const numbers[] = {"", "id", "index", "unnamed: 0", NULL};
    bool header = false;
    table->label = table->skip = -1;
    table->delimiter = find_delimiter(table);
    const char *at = table->at;
    for (table->columns = 0;; at++) {
        char text[FIELD];
        uint8_t number;
        bool is_number = take_number(table, at, &number) != NULL;
        at = take_text(table, at, text);
        header |= !is_number && is_letter(text[0]) && !is_missing_value(text);
        if (table->label < 0 && is_one_of(text, labels))
            table->label = table->columns;
        if (table->skip < 0 && is_one_of(text, numbers))
            table->skip = table->columns;
        table->columns++;
        if (*at != table->delimiter)
            break;
    }
    if (!header) {
        table->label = table->columns == IMAGE_PIXELS ? -1 : 0;
        table->skip = -1;
    }
    int expected = IMAGE_PIXELS + (table->skip >= 0);
    if (table->label < 0 && table->columns == expected)
        return error_set(error, ERROR_INVALID,
                         "%s: has %d columns and none of labels, as Kaggle's test.csv: HOLD_OUT=N "
                         "(--hold-out) scores N training images in its place",
                         table->path, table->columns);
    if (table->columns != expected + 1)
        return error_set(error, ERROR_CORRUPT,
                         "%s:%" PRIu64 ": %d columns, %d expected: a label and %d pixels",
                         table->path, table->line, table->columns, expected + 1, IMAGE_PIXELS);
    if (table->label < 0)
        return error_set(error, ERROR_CORRUPT,
                         "%s:%" PRIu64 ": no column is called label, class, digit, target or y",
                         table->path, table->line);
    table->header = header;
    if (header)
        next_line(table, at);
    return 0;
}

static int begin(struct table *table, struct error *error) {
    if (fill(table, error))
        return -1;
    size_t size = (size_t)(table->end - table->at);
    enum kind kind = kind_of(table->at, size < KIND_BYTES ? size : KIND_BYTES);
    if (kind == KIND_GZIP)
        return error_set(error, ERROR_CORRUPT, "%s: is compressed twice: gunzip it once",
                         table->path);
    if (kind != KIND_TEXT) {
        if (kind_refuse(table->path, table->at, size < KIND_BYTES ? size : KIND_BYTES, "a CSV file",
                        error) == 0)
            error_set(error, ERROR_CORRUPT, "%s: is not text, a CSV file expected", table->path);
        return -1;
    }
    if (size >= 3 && memcmp(table->at, "\xef\xbb\xbf", 3) == 0)
        table->at += 3;
    return 0;
}

/* Excel's first line "sep=;" is none of the table's. */
static void skip_separator(struct table *table) {
    const char *at = table->at;
    if (table->end - at < 6 || memcmp(at, "sep=", 4) != 0)
        return;
    while (!ends_line(table, at))
        at++;
    if (at - table->at <= 5)
        next_line(table, at);
}

/* Without a header nothing says where the labels are. Where the first column is always the same and
 * the last one differs, from 0 to 9, they are last: a pixel in the corner does not look so. */
static void find_labels(struct table *table) {
    uint8_t least = UINT8_MAX, most = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        uint8_t last = table->images[(size_t)(i + 1) * IMAGE_PIXELS - 1];
        least = last < least ? last : least;
        most = last > most ? last : most;
    }
    if (table->header || table->label != 0 || table->least != table->most || most > 9 ||
        least >= most)
        return;
    for (uint32_t i = 0; i < table->count; i++) {
        uint8_t *image = table->images + (size_t)i * IMAGE_PIXELS, label = image[IMAGE_PIXELS - 1];
        memmove(image + 1, image, IMAGE_PIXELS - 1);
        image[0] = table->labels[i];
        table->labels[i] = label;
    }
    table->bad_line = 0;
}

static int read_rows(struct table *table, struct error *error) {
    int more = begin(table, error) ? -1 : 0;
    if (more == 0)
        skip_separator(table);
    more = more ? -1 : next_row(table, error);
    if (more == 1 && read_first(table, error))
        return -1;
    while (more == 1 && (more = next_row(table, error)) == 1)
        if (read_row(table, error))
            return -1;
    if (more < 0)
        return -1;
    find_labels(table);
    if (table->bad_line)
        return error_set(error, ERROR_CORRUPT, "%s:%" PRIu64 ":%d: label %u, 0-9 expected%s",
                         table->path, table->bad_line, table->label + 1, table->bad_label,
                         split_guess_labels(table->least, table->most));
    return 0;
}

int csv_read(const char *path, struct split *split, struct error *error) {
    struct table table = {.path = path, .line = 1, .least = UINT8_MAX};
    int status = -1;
    memset(split, 0, sizeof *split);
    table.source = source_open(path, error);
    if (!table.source)
        return -1;
    table.chunk = malloc(CHUNK + 1);
    table.at = table.end = table.chunk;
    if (!table.chunk)
        error_set(error, ERROR_MEMORY, "%s: no memory for %d bytes", path, CHUNK);
    else if (read_rows(&table, error) == 0 &&
             split_allocate(split, table.count, path, error) == 0) {
        size_t images = (size_t)table.count * IMAGE_PIXELS;
        memcpy(split->memory, table.images, images);
        memcpy(split->memory + images, table.labels, table.count);
        status = 0;
    }
    free(table.chunk);
    free(table.images);
    free(table.labels);
    source_close(&table.source);
    return status;
}
