/* Text for a terminal: cut to columns, safe to print whatever it holds, numbers for people.
 * Pure functions; knows nothing of what the text is about. */
#ifndef COMMON_DISPLAY_H
#define COMMON_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISPLAY_NUMBER 32 /* bytes that hold any number below, NUL included */

/* Copies `text` into `out` (`size` bytes, NUL included) up to `columns` terminal columns. Control
 * characters, bytes that are not UTF-8, and characters that change the direction or are invisible
 * become '?'; with `ascii` so does all that is not ASCII. A character is copied whole or not at
 * all. Returns the columns used. */
int display_fit(char *out, size_t size, const char *text, int columns, bool ascii);

/* Terminal columns of UTF-8 text, by the same rules. */
int display_columns(const char *text);

/* 1234567 → "1,234,567". Return `out`. */
const char *display_count(uint64_t number, char out[static DISPLAY_NUMBER]);

/* Seconds → "0.4 s", "59.9 s", "1:05", "2:03:04"; "-" where it is not a finite number ≥ 0. */
const char *display_duration(double seconds, char out[static DISPLAY_NUMBER]);

/* 0.98973 → "98.97 %"; "-" where it is not within 0-1. */
const char *display_share(double share, char out[static DISPLAY_NUMBER]);

#endif
