/* The text of a network before libconfig sees it: where it is read from, and what libconfig would
 * let pass. Private to model/. Knows nothing of nodes. */
#ifndef MODEL_TEXT_H
#define MODEL_TEXT_H

#include "common/error.h"

#include <stddef.h>

/* Refuses what libconfig accepts or acts on but we must not: @include (a text from the network must
 * not open files), NUL bytes, bytes that are not UTF-8 (a checkpoint carries the text in JSON), a
 * comment or string without an end, a string where none belongs, escapes in strings, whole numbers
 * that do not fit in 32 bits (libconfig wraps them around), brackets nested more than 16 deep, and
 * more than NET_TEXT_MAXIMUM bytes. 0, or -1 with ERROR_INVALID and "origin:line: ". */
int text_check(const char *text, size_t size, const char *origin, struct error *error);

#endif
