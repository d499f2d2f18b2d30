/* See warp.h. The pixel loops are plain C that the compiler turns into gathers; they are compiled
 * once per instruction set, and being integer arithmetic all of them give the same bits. */
#include "augment/warp.h"

#include "common/clones.h"
#include "common/philox.h"

#include <string.h>

enum {
    ONE = 1 << 16, /* a pixel */
    STRIDE = 32,   /* of the padded source and of the scratch rows: a multiple of any vector */
    PAD = 2,       /* zeros before the image's first row and column; more follow its last */
    SPACING = 7    /* pixels between the displacement's nodes */
};

/* --- parameters --------------------------------------------------------------------------------
 */

/* Taylor series: below 1e-12 off within ±45°. */
static double sine(double x) {
    double y = x * x;
    return x * (1 - y / 6 * (1 - y / 20 * (1 - y / 42 * (1 - y / 72 * (1 - y / 110)))));
}

static double cosine(double x) {
    double y = x * x;
    return 1 - y / 2 * (1 - y / 12 * (1 - y / 30 * (1 - y / 56 * (1 - y / 90 * (1 - y / 132)))));
}

/* The nearest integer; halves go up. */
static int32_t nearest(double x) {
    double shifted = x + 0.5;
    int32_t whole = (int32_t)shifted;
    return whole > shifted ? whole - 1 : whole;
}

/* Uniform in ±most. */
static double uniform(uint32_t word, float most) {
    return (2.0 * philox_float(word) - 1.0) * most;
}

/* Node displacements: sums of four 16-bit uniforms, near enough to normal, whose standard deviation
 * is 65536/sqrt(3) = 37837.2. The spline below averages neighbours, which halves the deviation
 * (0.46 … 0.50 over a cell): hence the 2. */
static void draw_nodes(double pixels, uint64_t seed, uint32_t epoch, uint32_t sample,
                       struct warp *warp) {
    int32_t *node = &warp->nodes[0][0][0];
    double factor = 2.0 * pixels * 4096.0 / 37837.2;
    for (uint32_t i = 0; i < 2 * WARP_NODES * WARP_NODES; i += 2) {
        uint32_t words[4];
        philox_draw(seed, PHILOX_WARP, sample, epoch, 2 + i / 2, words);
        for (uint32_t j = 0; j < 2; j++) {
            uint32_t a = words[2 * j], b = words[2 * j + 1];
            int32_t sum = (int32_t)((a & 65535) + (a >> 16) + (b & 65535) + (b >> 16)) - 2 * 65535;
            node[i + j] = nearest(sum * factor);
        }
    }
}

void warp_draw(const struct warps *warps, uint64_t seed, uint32_t epoch, uint32_t sample,
               struct warp *warp) {
    const double radian = 3.14159265358979323846 / 180.0;
    uint32_t first[4], second[4];
    philox_draw(seed, PHILOX_WARP, sample, epoch, 0, first);
    philox_draw(seed, PHILOX_WARP, sample, epoch, 1, second);
    double x = uniform(first[0], warps->shift), y = uniform(first[1], warps->shift);
    double angle = uniform(first[2], warps->rotate) * radian;
    double shrink = 1.0 / (1.0 + uniform(first[3], warps->scale));
    double slant = uniform(second[0], warps->shear) * radian;
    double s = sine(angle), c = cosine(angle), t = sine(slant) / cosine(slant);
    /* The image is scaled, sheared, turned, shifted; its pixels are fetched the other way round:
     * inverse = shrink · [1 −t; 0 1] · [c s; −s c]. */
    double a = shrink * (c + t * s), b = shrink * (s - t * c);
    double d = shrink * -s, e = shrink * c;
    const double middle = (IMAGE_COLUMNS - 1) / 2.0;
    warp->matrix[0][0] = nearest(a * ONE);
    warp->matrix[0][1] = nearest(b * ONE);
    warp->matrix[1][0] = nearest(d * ONE);
    warp->matrix[1][1] = nearest(e * ONE);
    warp->offset[0] = nearest((middle - a * x - b * y) * ONE);
    warp->offset[1] = nearest((middle - d * x - e * y) * ONE);
    warp->elastic = warps->elastic != 0;
    if (warp->elastic)
        draw_nodes(warps->elastic, seed, epoch, sample, warp);
}

/* --- pixels -------------------------------------------------------------------------------------
 */

/* Each entry packs the four neighbours that a bilinear fetch needs, so that one gather gets them:
 * entry (row, column) holds the padded image's (row, column), (row, column+1), (row+1, column),
 * (row+1, column+1). Bounds: columns and rows 0 … 30 are read, of 32; entry (31, 31) would be the
 * first to reach beyond `padded`, whose last row and column are spare. */
CLONES static void pack(const uint8_t *restrict padded, uint32_t *restrict quads) {
    for (int i = 0; i < (STRIDE - 1) * STRIDE; i++)
        quads[i] = (uint32_t)padded[i] | (uint32_t)padded[i + 1] << 8 |
                   (uint32_t)padded[i + STRIDE] << 16 | (uint32_t)padded[i + STRIDE + 1] << 24;
}

/* One row: source positions in, grey levels out; 32 of each, of which 28 are used. */
CLONES static void fetch_row(const uint32_t *restrict quads, const int32_t *restrict xs,
                             const int32_t *restrict ys, int32_t *restrict out) {
    for (int i = 0; i < STRIDE; i++) {
        /* Beyond the padding all is zero: −2 and 28 are as far as it is worth looking. */
        int32_t x = xs[i] < -PAD * ONE ? -PAD * ONE : xs[i];
        int32_t y = ys[i] < -PAD * ONE ? -PAD * ONE : ys[i];
        x = x > IMAGE_COLUMNS * ONE ? IMAGE_COLUMNS * ONE : x;
        y = y > IMAGE_ROWS * ONE ? IMAGE_ROWS * ONE : y;
        x += PAD * ONE;
        y += PAD * ONE;
        uint32_t quad = quads[(y >> 16) * STRIDE + (x >> 16)];
        int32_t fx = (x >> 8) & 255, fy = (y >> 8) & 255;
        int32_t above = (int32_t)(quad & 255) * (256 - fx) + (int32_t)(quad >> 8 & 255) * fx;
        int32_t below = (int32_t)(quad >> 16 & 255) * (256 - fx) + (int32_t)(quad >> 24) * fx;
        out[i] = (above * (256 - fy) + below * fy + 32768) >> 16;
    }
}

/* Weights of the uniform cubic B-spline at k/7 of a cell, in 1/4096: (7−k)³, 3k³−42k²+1372,
 * −3k³+21k²+147k+343, k³ over 2058, rounded so that each row sums to 4096. */
static const int32_t spline[SPACING][4] = {
    {683, 2730, 683, 0},   {430, 2653, 1011, 2},  {249, 2444, 1387, 16}, {127, 2140, 1775, 54},
    {54, 1775, 2140, 127}, {16, 1387, 2444, 249}, {2, 1011, 2653, 430}};

/* Adds the displacement of one row to its positions. */
static void displace_row(const struct warp *warp, int row, int axis, int32_t *positions) {
    const int32_t *down = spline[row % SPACING];
    int32_t across[WARP_NODES];
    for (int column = 0; column < WARP_NODES; column++) {
        int32_t sum = 0;
        for (int i = 0; i < 4; i++)
            sum += down[i] * (warp->nodes[axis][row / SPACING + i][column] / 16);
        across[column] = sum / 256; /* 1/4096 again: /16 and /256 together */
    }
    for (int x = 0; x < IMAGE_COLUMNS; x++) {
        const int32_t *weights = spline[x % SPACING];
        int32_t sum = 0;
        for (int i = 0; i < 4; i++)
            sum += weights[i] * (across[x / SPACING + i] / 16);
        positions[x] += sum / 256 * 16;
    }
}

void warp_apply(const struct warp *warp, const uint8_t *from, uint8_t *to) {
    uint8_t padded[STRIDE * STRIDE + 1] = {0};
    uint32_t quads[STRIDE * STRIDE];
    for (int row = 0; row < IMAGE_ROWS; row++)
        memcpy(padded + (row + PAD) * STRIDE + PAD, from + row * IMAGE_COLUMNS, IMAGE_COLUMNS);
    pack(padded, quads);
    for (int row = 0; row < IMAGE_ROWS; row++) {
        int32_t xs[STRIDE], ys[STRIDE], out[STRIDE];
        /* Pixels count from the middle, which lies between two of them: in halves. */
        int32_t dy = 2 * row - (IMAGE_ROWS - 1);
        for (int i = 0; i < STRIDE; i++) {
            int32_t dx = 2 * i - (IMAGE_COLUMNS - 1);
            xs[i] = warp->offset[0] + (warp->matrix[0][0] * dx + warp->matrix[0][1] * dy) / 2;
            ys[i] = warp->offset[1] + (warp->matrix[1][0] * dx + warp->matrix[1][1] * dy) / 2;
        }
        if (warp->elastic) {
            displace_row(warp, row, 0, xs);
            displace_row(warp, row, 1, ys);
        }
        fetch_row(quads, xs, ys, out);
        for (int i = 0; i < IMAGE_COLUMNS; i++)
            to[row * IMAGE_COLUMNS + i] = (uint8_t)out[i];
    }
}
