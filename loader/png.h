/* One PNG file, on libpng. Where the files lie is up to tree. */
#ifndef LOADER_PNG_H
#define LOADER_PNG_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define PNG_FILE_MAX ((size_t)1 << 20) /* bytes: a 28x28 image takes a few hundred */

/* Reads an image of 28x28 into image[784]; space[PNG_FILE_MAX + 1] is used on the way. Any colour
 * type and depth becomes 8-bit gray by the stored values: 8-bit gray as it is, 16 bits rounded to
 * 8, colours by libpng's weights for luminance, transparency over 0; gamma is not applied. Refused
 * with ERROR_CORRUPT and a sentence that names the file: what is no PNG, of another size (known
 * before anything is inflated), damaged, truncated, or larger than PNG_FILE_MAX. ERROR_IO. */
int png_read(const char *path, uint8_t *image, uint8_t *space, struct error *error);

#endif
