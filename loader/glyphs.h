/* How digits are written: for each of 0-9 a few ways to draw it, as strokes of a pen. Data only;
 * synthetic gives them a hand. */
#ifndef LOADER_GLYPHS_H
#define LOADER_GLYPHS_H

#include <stdint.h>

#define GLYPH_POINTS 24  /* most points of one glyph */
#define GLYPH_VARIANTS 7 /* most ways to write one digit */

enum glyph_mark {
    GLYPH_SMOOTH, /* the pen runs through the point in a curve */
    GLYPH_CORNER, /* the pen turns at it */
    GLYPH_START   /* the pen is set down at it: a new stroke */
};

struct glyph_point {
    uint8_t x, y; /* 0-100 in the digit's box, from its left and from its top */
    uint8_t mark;
};

struct glyph {
    int count;
    struct glyph_point points[GLYPH_POINTS]; /* strokes of two points and more */
};

struct glyph_digit {
    int variants;
    struct glyph glyphs[GLYPH_VARIANTS]; /* the more common ones first */
};

extern const struct glyph_digit GLYPHS[10];

#endif
