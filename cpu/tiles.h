/* The gradient of a small convolution's weights on AMX tiles, by our own kernel.
 *
 * oneDNN's kernel for this product wants many channels on both sides; with 1 or 16 of them it
 * spends most of its time elsewhere. Ours sees each image as one long row of pixels: for the kernel
 * place (i, j) the input is that row shifted by i * width + j, which a tile load does for free, so
 *     dW[i][j][in][out] = Σ_pixel x[in][pixel + i * width + j] · dy[pixel][out]
 * is a plain product once x lies channel by channel and dy has zeros where a row of outputs ends.
 */
#ifndef CPU_TILES_H
#define CPU_TILES_H

#include "cpu/arena.h"
#include "model/graph.h"

/* Whether this process may use tiles; asks the system for permission. */
bool tiles_available(void);

struct tile_gradient {
    int batch, threads;
    struct shape in, out;
    int kernel, padding;
    int width, height;            /* of the padded input */
    int rows, row_blocks;         /* of the product: channels, or kernel columns for one channel */
    int places;                   /* kernel places that have a product of their own */
    int column_blocks;            /* of 16 output channels */
    size_t pixels;                /* of dy as one row, a multiple of 32 */
    size_t x_row, x_size, y_size; /* elements: one channel, one image of x and of dy */
    uint16_t *scratch;            /* [threads][part of images][x_size + y_size] */
    float *partials;              /* [parts][products] */
};

/* Whether the kernel does this shape and is meant for it. */
bool tile_gradient_fits(struct shape in, struct shape out, const struct conv_attributes *conv);

/* Fills `plan` and allocates. -1 with ERROR_MEMORY. */
int tile_gradient_plan(struct tile_gradient *plan, struct arena **arena, int batch, int threads,
                       struct shape in, struct shape out, const struct conv_attributes *conv,
                       const char *label, struct error *error);

/* gradient[kernel][kernel][in][out] from bf16 x [batch][height][width][in] and dy likewise. */
void tile_gradient_run(const struct tile_gradient *plan, const uint16_t *x, const uint16_t *dy,
                       float *gradient);

#endif
