/* Text for a terminal: cut to columns, safe to print whatever it holds, numbers for people.
 * Pure functions; knows nothing of what the text is about. */
#ifndef DEPLOY_TEXT_H
#define DEPLOY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_NUMBER 32 /* bytes that hold any number below, NUL included */

/* Copies `text` into `out` (`size` bytes, NUL included) up to `columns` terminal columns. Control
 * characters, bytes that are not UTF-8, and characters that change the direction or are invisible
 * become '?'; with `ascii` so does all that is not ASCII. A character is copied whole or not at
 * all. Returns the columns used. */
int text_fit(char *out, size_t size, const char *text, int columns, bool ascii);

/* Terminal columns of UTF-8 text, by the same rules. */
int text_columns(const char *text);

/* 1234567 → "1,234,567". Return `out`. */
const char *text_count(uint64_t number, char out[static TEXT_NUMBER]);

/* Seconds → "0.4 s", "59.9 s", "1:05", "2:03:04"; "-" where it is not a finite number ≥ 0. */
const char *text_duration(double seconds, char out[static TEXT_NUMBER]);

/* 0.98973 → "98.97 %"; "-" where it is not within 0-1. */
const char *text_share(double share, char out[static TEXT_NUMBER]);

#endif
