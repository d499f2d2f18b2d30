/* Tables of pixels, as Kaggle and others keep MNIST: a row an image, its label and 784 pixels. */
#ifndef LOADER_CSV_H
#define LOADER_CSV_H

#include "common/error.h"
#include "loader/split.h"

/* Reads a table into `split` (free with split_free), plain or gzip, in the order of the file. Rows
 * end with LF, CRLF or CR; fields are parted by the first of comma, semicolon and tab that is in
 * the first row, may be quoted and have blanks around them; a byte order mark and blank lines are
 * passed over. A first row with a field that is no number is a header: the label's column is the
 * one called label, labels, class, digit, target or y, and a column of numbers called id or index
 * or nothing is passed over; without a header the label comes first. The pixels follow each other
 * row by row from the top left, 0-255.
 * Refused with ERROR_CORRUPT and "path:line:column: ", the column counted in fields: what is no
 * whole number 0-255, another number of columns, a label above 9, a line over 64 KiB; what is no
 * text, named for what it is; no rows, or more than SPLIT_MAX; damaged gzip. ERROR_INVALID: a
 * table without labels. ERROR_IO, ERROR_MEMORY as they are. On -1 `split` is empty. */
int csv_read(const char *path, struct split *split, struct error *error);

#endif
