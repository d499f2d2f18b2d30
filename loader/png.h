/* Trees of PNG files: <folder>/<split>/<label 0-9>/…png, on libpng. */
#ifndef LOADER_PNG_H
#define LOADER_PNG_H

#include "common/error.h"
#include "loader/split.h"

/* Reads <folder>/<name>/0 … 9 into `split` (free with split_free), sorted by label, then by file
 * name in byte order. Files that do not end in .png and names that begin with a dot are passed
 * over; label folders may be absent. Images must be 28x28. Any colour type and depth becomes 8-bit
 * gray by the stored values: 8-bit gray as it is, 16 bits rounded to 8, colours by libpng's
 * weights for luminance, transparency over 0; gamma is not applied.
 * Refused with ERROR_CORRUPT and a sentence that names the file: what is no PNG, of another size
 * (known before anything is inflated), damaged, truncated, or larger than 1 MiB; a folder that is
 * not a label; no samples or more than SPLIT_MAXIMUM. On -1 `split` is empty. */
int png_read_split(const char *folder, const char *name, struct split *split, struct error *error);

/* The same with the split that is there: <folder>/test, otherwise <folder>/t10k. */
int png_read_test(const char *folder, struct split *split, struct error *error);

#endif
