/* The text files that people write for us, networks and recipes: one statement a line. A line is
 * words between blanks; `key=value`, also with blanks around the '=', is one word with a value; a
 * '#' and what follows it is a comment. Knows nothing of nodes or settings.
 *
 *     int more = lines_begin(&lines, text, size, "quick.net", &form, error);
 *     while (more == 0 && (more = lines_next(&lines)) == 1)
 *         more = read(lines.words, lines.count);    // 0, or -1 by way of lines_fail
 *     lines_end(&lines); */
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

#include "common/error.h"

#include <stddef.h>

#define LINES_TEXT_MAX 65536 /* bytes of a text */
#define LINES_WORDS_MAX 32   /* words of a line */

struct lines_form {
    const char *kind; /* what sentences call such a text: "network" */
    const char *rule; /* what its lines are: "one node a line, as in: conv1 conv image kernel=5" */
};

struct word {
    const char *text;
    const char *value; /* of text=value; NULL: it has none */
    int line, column;  /* of its first byte, counted from 1 */
};

struct lines {
    const char *origin;
    const struct lines_form *form;
    struct error *error; /* may be NULL */
    int line;            /* that the words are from; after the last one, the number of lines */
    int count;
    struct word words[LINES_WORDS_MAX]; /* their texts live until lines_end */
    char *text, *next, *end;            /* a copy; its line behind `line`; its end */
};

/* Reads the file of such a text, of at most LINES_TEXT_MAX bytes; the caller frees it. `kind` names
 * it in errors. NULL with ERROR_INVALID for what only a person can change (no such file, a folder,
 * too large), ERROR_IO or ERROR_MEMORY. */
char *lines_read(const char *path, const char *kind, size_t *size, struct error *error);

/* Copies `text` (`size` bytes, need not end in NUL; a byte order mark is passed over). `origin`
 * names it in errors. 0, or -1 with ERROR_INVALID (more than LINES_TEXT_MAX bytes) or ERROR_MEMORY:
 * then lines_end has nothing to do. */
int lines_begin(struct lines *lines, const char *text, size_t size, const char *origin,
                const struct lines_form *form, struct error *error);

/* The words of the next line that has any: 1; 0 at the end; -1 with ERROR_INVALID for what no line
 * may have: bytes that are not UTF-8, NUL bytes, '=' without a name or a value, and what the form
 * of earlier versions was made of (quotes, semicolons, brackets, C comments). */
int lines_next(struct lines *lines);

/* "quick.net:12:8: sentence" as ERROR_INVALID, where `at` stands; NULL: at the end of the text.
 * Returns -1. */
int lines_fail(const struct lines *lines, const struct word *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void lines_end(struct lines *lines);

#endif
