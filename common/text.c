/* See text.h. One pass over the bytes that knows strings and comments, and nothing else of
 * libconfig. */
#include "common/text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NESTING 16 /* brackets within brackets; a network file needs three */

enum place { OUTSIDE, STRING, LINE_COMMENT, BLOCK_COMMENT };

struct scan {
    const char *origin, *kind;
    struct error *error;
    enum place place;
    int line;
    int begun;          /* the line on which the present string or comment began */
    char last;          /* the last byte outside comments that is not blank; '"' after a string */
    char open[NESTING]; /* the brackets that are open */
    int depth;
};

static int refuse(const struct scan *scan, int line, const char *what) {
    return error_set(scan->error, ERROR_INVALID, "%s:%d: %s", scan->origin, line, what);
}

/* `what` has no place in `where` of this kind of file. */
static int refuse_thing(const struct scan *scan, int line, const char *what, const char *where) {
    return error_set(scan->error, ERROR_INVALID, "%s:%d: %s has no place in %s%s", scan->origin,
                     line, what, scan->kind, where);
}

/* jansson's own check, since jansson is what would stumble over such a text later. A line is enough
 * at a time: a line feed is never a part of another character. */
static int check_utf8(const struct scan *scan, const char *text, size_t size) {
    int line = 1;
    for (const char *at = text, *end = text + size; at < end; line++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((feed ? feed : end) - at);
        if (memchr(at, '\0', length))
            return refuse_thing(scan, line, "a NUL byte", "");
        json_t *probe = json_stringn(at, length);
        if (!probe)
            return refuse(scan, line, "the text is not UTF-8");
        json_decref(probe);
        at += length + 1;
    }
    return 0;
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '*' || c == '-' || c == '+';
}

/* `word` is a run of the bytes that numbers and names are made of. */
static int check_number(const struct scan *scan, const char *word, size_t length) {
    const char *end = word + length;
    while (word < end && (*word == '-' || *word == '+'))
        word++;
    while (word < end && (end[-1] == 'L' || end[-1] == 'l'))
        end--;
    bool hexadecimal = end - word > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    if (hexadecimal)
        word += 2;
    while (word < end && *word == '0')
        word++;
    long long value = 0;
    for (const char *at = word; at < end; at++) {
        if (!(hexadecimal ? isxdigit((unsigned char)*at) : isdigit((unsigned char)*at)))
            return 0; /* a name, or a number with a fraction */
        if (!hexadecimal && end - word <= 10)
            value = value * 10 + (*at - '0');
    }
    if (end - word > (hexadecimal ? 8 : 10) || value > 2147483647)
        return refuse(scan, scan->line, "a whole number is greater than 2147483647");
    return 0;
}

/* Where libconfig's grammar has no string, its parser (1.5) drops the one that it has just read
 * without freeing it: such a text must not come that far. */
static bool takes_string(const struct scan *scan) {
    char within = scan->depth > 0 ? scan->open[scan->depth - 1] : '{';
    return scan->last && (strchr("=:([\"", scan->last) || (scan->last == ',' && within != '{'));
}

static int begin_string(struct scan *scan) {
    if (!takes_string(scan))
        return refuse(scan, scan->line, "a string has no place here");
    scan->place = STRING;
    scan->begun = scan->line;
    return 0;
}

/* Whether brackets match is libconfig's to say. */
static int count_bracket(struct scan *scan, char bracket) {
    if (strchr(")]}", bracket)) {
        scan->depth -= scan->depth > 0;
        return 0;
    }
    if (scan->depth == NESTING)
        return refuse(scan, scan->line, "brackets nest too deeply");
    scan->open[scan->depth++] = bracket;
    return 0;
}

/* Takes one step outside strings and comments; returns how many bytes it used, or 0 on an error. */
static size_t step_outside(struct scan *scan, const char *at, size_t left) {
    bool pair = left > 1 && at[0] == '/' && (at[1] == '/' || at[1] == '*');
    if (*at == '#' || pair) {
        scan->place = pair && at[1] == '*' ? BLOCK_COMMENT : LINE_COMMENT;
        scan->begun = scan->line;
        return pair ? 2 : 1;
    }
    if (*at == '"' && begin_string(scan))
        return 0;
    if (*at == '@') {
        refuse_thing(scan, scan->line, "'@'", ": it includes no others");
        return 0;
    }
    if (strchr("()[]{}", *at) && count_bracket(scan, *at))
        return 0;
    size_t length = 0;
    while (length < left && is_word(at[length]))
        length++;
    if (length > 0 && check_number(scan, at, length))
        return 0;
    if (!isspace((unsigned char)*at))
        scan->last = *at;
    return length > 0 ? length : 1;
}

/* Inside a string or comment; as above. */
static size_t step_inside(struct scan *scan, const char *at, size_t left) {
    if (scan->place == STRING && *at == '\\') {
        refuse_thing(scan, scan->line, "a backslash", "'s strings");
        return 0;
    }
    bool ends = (scan->place == STRING && *at == '"') ||
                (scan->place == LINE_COMMENT && *at == '\n') ||
                (scan->place == BLOCK_COMMENT && left > 1 && at[0] == '*' && at[1] == '/');
    size_t used = ends && scan->place == BLOCK_COMMENT ? 2 : 1;
    if (ends)
        scan->place = OUTSIDE;
    return used;
}

int text_check(const char *text, size_t size, const char *origin, const char *kind,
               struct error *error) {
    struct scan scan = {.origin = origin, .kind = kind, .error = error, .line = 1};
    if (size > TEXT_MAXIMUM)
        return error_set(error, ERROR_INVALID, "%s: %s has at most %d bytes; this one has more",
                         origin, kind, TEXT_MAXIMUM);
    if (check_utf8(&scan, text, size))
        return -1;
    for (size_t i = 0; i < size;) {
        size_t used = scan.place == OUTSIDE ? step_outside(&scan, text + i, size - i)
                                            : step_inside(&scan, text + i, size - i);
        if (used == 0)
            return -1;
        if (text[i] == '\n')
            scan.line++;
        i += used;
    }
    if (scan.place == STRING || scan.place == BLOCK_COMMENT)
        return refuse(&scan, scan.begun,
                      scan.place == STRING ? "a string without an end"
                                           : "a comment without an end");
    return 0;
}

const char *text_begin(const char *text) {
    return strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
}
