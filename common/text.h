/* The text of a network or recipe before libconfig sees it: what libconfig would let pass. Knows
 * nothing of nodes or settings. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "common/error.h"

#include <stddef.h>

#define TEXT_MAXIMUM 65536 /* bytes of a text file that we parse */

/* Refuses what libconfig accepts or acts on but we must not: @include (a text from the network must
 * not open files), NUL bytes, bytes that are not UTF-8 (a checkpoint carries the text in JSON), a
 * comment or string without an end, a string where none belongs, escapes in strings, whole numbers
 * that do not fit in 32 bits (libconfig wraps them around), brackets nested more than 16 deep, and
 * more than TEXT_MAXIMUM bytes. `kind` is what sentences call it: "a network file", "a recipe". 0,
 * or -1 with ERROR_INVALID and "origin:line: ". */
int text_check(const char *text, size_t size, const char *origin, const char *kind,
               struct error *error);

/* Where a text begins: behind a byte order mark (UTF-8), which some editors put first and libconfig
 * takes for a syntax error. */
const char *text_begin(const char *text);

#endif
