/* Random warps of 28×28 images: a pure function of (seed, epoch, sample), equal bit for bit on
 * every machine. Parameters are computed with IEEE + − × ÷ alone (no libm, whose last bits differ
 * between versions), pixels with integers alone. */
#ifndef AUGMENT_WARP_H
#define AUGMENT_WARP_H

#include "common/batch.h"
#include "common/warps.h"

#include <stdbool.h>
#include <stdint.h>

#define WARP_NODES 7 /* of the displacement's grid along each axis: one every 7 pixels */

/* The warp of one image: where in the source each pixel of the result comes from,
 *     source = matrix · (pixel − middle) + offset + displacement(pixel), in 1/65536 pixels. */
struct warp {
    int32_t matrix[2][2]; /* [x, y][dx, dy] */
    int32_t offset[2];    /* x, y */
    bool elastic;
    int32_t nodes[2][WARP_NODES][WARP_NODES]; /* [x, y][row][column], 1/4096 pixels */
};

/* Draws the warp of a sample. */
void warp_draw(const struct warps *warps, uint64_t seed, uint32_t epoch, uint32_t sample,
               struct warp *warp);

/* Applies it: bilinear, zero outside. `from` and `to` are [28][28] and may be the same. */
void warp_apply(const struct warp *warp, const uint8_t *from, uint8_t *to);

#endif
