/* Synthetic digits: a glyph, in a hand, through a pen, onto 28x28 pixels. */
#include "loader/synthetic.h"
#include "common/philox.h"
#include "loader/glyphs.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SEED UINT64_C(0x6469676974732121) /* of the drawn dataset; not the seed of a run */
#define TRAIN_HANDS 1000
#define TEST_HANDS 250
#define HAND_WORD 2  /* counter word b of hands; those of samples are the halves, 0 and 1 */
#define SPAN_STEPS 6 /* segments that stand for the curve between two points */
#define PATH_POINTS (GLYPH_POINTS * SPAN_STEPS)
#define BOX 20.0f /* pixels of the longer side, as in MNIST */

/* --- randomness ------------------------------------------------------------------------------- */

/* The numbers of one sample or one hand, one after the other. */
struct draws {
    uint32_t a, b, block;
    uint32_t words[4];
    int left;
};

static uint32_t draw_word(struct draws *draws) {
    if (!draws->left) {
        philox_draw(SEED, PHILOX_DRAW, draws->a, draws->b, draws->block++, draws->words);
        draws->left = 4;
    }
    return draws->words[--draws->left];
}

/* Even in [least, most). */
static float draw_between(struct draws *draws, float least, float most) {
    return least + (most - least) * philox_float(draw_word(draws));
}

/* In (-1, 1), more often near 0: the mean of two even numbers. */
static float draw_about(struct draws *draws) {
    uint32_t word = draw_word(draws);
    return ((float)(word >> 16) + (float)(word & 0xffff)) * (1.0f / 65535.0f) - 1.0f;
}

/* --- hands ------------------------------------------------------------------------------------ */

struct hand {
    float slant;      /* x per y */
    float aspect;     /* width by height */
    float roundness;  /* of curves: length of their tangents */
    float bend;       /* of upright strokes */
    float pen;        /* half the stroke's width, pixels */
    float softness;   /* pixels from ink to paper */
    float shake;      /* displacement of points, in the glyph's box */
    uint8_t ways[10]; /* the usual variant of each digit */
};

static void draw_hand(uint32_t number, struct hand *hand) {
    struct draws draws = {.a = number, .b = HAND_WORD};
    hand->slant = 0.16f + 0.40f * draw_about(&draws);
    hand->aspect = 0.74f + 0.24f * draw_about(&draws);
    hand->roundness = 1.0f + 0.35f * draw_about(&draws);
    hand->bend = 0.16f * draw_about(&draws);
    hand->pen = 1.2f + 0.55f * draw_about(&draws);
    hand->softness = draw_between(&draws, 0.9f, 1.5f);
    hand->shake = draw_between(&draws, 0.02f, 0.055f);
    for (int digit = 0; digit < 10; digit++) {
        /* The lesser of two draws: the first variants are the common ones. */
        uint32_t one = philox_below(draw_word(&draws), (uint32_t)GLYPHS[digit].variants);
        uint32_t two = philox_below(draw_word(&draws), (uint32_t)GLYPHS[digit].variants);
        hand->ways[digit] = (uint8_t)(one < two ? one : two);
    }
}

/* This once: a hand is never quite itself. */
static void vary_hand(struct draws *draws, struct hand *hand) {
    hand->slant += 0.14f * draw_about(draws);
    hand->aspect *= 1.0f + 0.16f * draw_about(draws);
    hand->roundness *= 1.0f + 0.15f * draw_about(draws);
    hand->bend += 0.12f * draw_about(draws);
    hand->pen *= 1.0f + 0.2f * draw_about(draws);
}

/* --- from a glyph to a path ------------------------------------------------------------------- */

struct path_point {
    float x, y;
    float pen;  /* half the stroke's width here */
    bool start; /* no segment leads to it */
};

struct path {
    int count;
    struct path_point points[PATH_POINTS];
};

/* The glyph's points as this hand sets them this time: coordinates about the box's centre. */
static void place_points(const struct glyph *glyph, const struct hand *hand, struct draws *draws,
                         struct path_point points[static GLYPH_POINTS]) {
    /* A rotation without sine and cosine: t is the tangent of half the angle. */
    float t = 0.07f * draw_about(draws);
    float cosine = (1.0f - t * t) / (1.0f + t * t), sine = 2.0f * t / (1.0f + t * t);
    for (int i = 0; i < glyph->count; i++) {
        float x = (float)glyph->points[i].x * 0.01f - 0.5f + hand->shake * draw_about(draws);
        float y = (float)glyph->points[i].y * 0.01f - 0.5f + hand->shake * draw_about(draws);
        x = hand->aspect * x - hand->slant * y + hand->bend * (4.0f * y * y - 0.5f);
        points[i].x = cosine * x - sine * y;
        points[i].y = sine * x + cosine * y;
        points[i].pen = hand->pen * (1.0f + 0.22f * draw_about(draws));
        points[i].start = glyph->points[i].mark == GLYPH_START;
    }
}

/* The direction of the curve at point i, on the side of the span from `from` to `from` + 1. */
static void tangent(const struct glyph *glyph, const struct path_point *points, int i, int from,
                    float roundness, float *dx, float *dy) {
    bool end = i + 1 == glyph->count || points[i + 1].start;
    if (points[i].start || end || glyph->points[i].mark == GLYPH_CORNER) {
        *dx = points[from + 1].x - points[from].x;
        *dy = points[from + 1].y - points[from].y;
    } else {
        *dx = 0.5f * roundness * (points[i + 1].x - points[i - 1].x);
        *dy = 0.5f * roundness * (points[i + 1].y - points[i - 1].y);
    }
}

/* Cubic Hermite spans (those of Catmull and Rom, with tangents of our own length) as segments. */
static void flatten(const struct glyph *glyph, const struct path_point *points, float roundness,
                    struct path *path) {
    path->count = 0;
    for (int i = 0; i < glyph->count; i++) {
        if (points[i].start) {
            path->points[path->count++] = points[i];
            continue;
        }
        const struct path_point *a = &points[i - 1], *b = &points[i];
        float ax, ay, bx, by;
        tangent(glyph, points, i - 1, i - 1, roundness, &ax, &ay);
        tangent(glyph, points, i, i - 1, roundness, &bx, &by);
        for (int step = 1; step <= SPAN_STEPS; step++) {
            float u = (float)step / SPAN_STEPS, v = 1.0f - u;
            float from = v * v * (1.0f + 2.0f * u), to = u * u * (1.0f + 2.0f * v);
            float leave = u * v * v, arrive = -u * u * v;
            path->points[path->count++] = (struct path_point){
                from * a->x + to * b->x + leave * ax + arrive * bx,
                from * a->y + to * b->y + leave * ay + arrive * by, v * a->pen + u * b->pen, false};
        }
    }
}

/* --- onto the page ---------------------------------------------------------------------------- */

static float least(float a, float b) {
    return a < b ? a : b;
}

static float most(float a, float b) {
    return a > b ? a : b;
}

/* Scales the path to the box and moves its centre of mass near the middle of the image. */
static void fit(struct path *path, float pen, struct draws *draws) {
    float left = 1e9f, right = -1e9f, top = 1e9f, bottom = -1e9f;
    float mass = 0, mass_x = 0, mass_y = 0;
    for (int i = 0; i < path->count; i++) {
        const struct path_point *p = &path->points[i];
        left = least(left, p->x);
        right = most(right, p->x);
        top = least(top, p->y);
        bottom = most(bottom, p->y);
        if (p->start)
            continue;
        float dx = p->x - p[-1].x, dy = p->y - p[-1].y, length = sqrtf(dx * dx + dy * dy);
        mass += length;
        mass_x += length * 0.5f * (p->x + p[-1].x);
        mass_y += length * 0.5f * (p->y + p[-1].y);
    }
    float size = BOX * (1.0f + 0.07f * draw_about(draws)) - 2.0f * pen;
    float scale = size / most(most(right - left, bottom - top), 0.1f);
    float middle_x = 14.0f + 0.9f * draw_about(draws);
    float middle_y = 14.0f + 0.9f * draw_about(draws);
    for (int i = 0; i < path->count; i++) {
        path->points[i].x = (path->points[i].x - mass_x / mass) * scale + middle_x;
        path->points[i].y = (path->points[i].y - mass_y / mass) * scale + middle_y;
    }
}

/* Lowers `depth` to how far each pixel near the segment lies outside its ink (negative: inside). */
static void stroke(const struct path_point *a, const struct path_point *b, float softness,
                   float depth[static IMAGE_PIXELS]) {
    float reach = most(a->pen, b->pen) + softness;
    int first_x = (int)most(least(a->x, b->x) - reach, 0);
    int first_y = (int)most(least(a->y, b->y) - reach, 0);
    int last_x = (int)least(most(a->x, b->x) + reach, IMAGE_COLUMNS - 1);
    int last_y = (int)least(most(a->y, b->y) + reach, IMAGE_ROWS - 1);
    float dx = b->x - a->x, dy = b->y - a->y;
    float inverse = 1.0f / most(dx * dx + dy * dy, 1e-6f), widening = b->pen - a->pen;
    for (int row = first_y; row <= last_y; row++) {
        float y = (float)row + 0.5f - a->y, *out = depth + row * IMAGE_COLUMNS;
        for (int column = first_x; column <= last_x; column++) {
            float x = (float)column + 0.5f - a->x;
            float along = least(most((x * dx + y * dy) * inverse, 0.0f), 1.0f);
            float off_x = x - along * dx, off_y = y - along * dy;
            float outside = sqrtf(off_x * off_x + off_y * off_y) - (a->pen + along * widening);
            out[column] = least(out[column], outside);
        }
    }
}

static void render(const struct path *path, float softness, uint8_t image[static IMAGE_PIXELS]) {
    float depth[IMAGE_PIXELS];
    for (int i = 0; i < IMAGE_PIXELS; i++)
        depth[i] = softness;
    for (int i = 1; i < path->count; i++)
        if (!path->points[i].start)
            stroke(&path->points[i - 1], &path->points[i], softness, depth);
    float inverse = 1.0f / softness;
    for (int i = 0; i < IMAGE_PIXELS; i++) {
        float ink = least(most(0.5f - depth[i] * inverse, 0.0f), 1.0f);
        image[i] = (uint8_t)(255.0f * ink + 0.5f);
    }
}

static uint8_t draw_digit(enum synthetic_split half, uint32_t index, uint8_t *image) {
    struct draws draws = {.a = index, .b = half};
    struct hand hand;
    struct path_point points[GLYPH_POINTS];
    struct path path;
    uint8_t digit = (uint8_t)philox_below(draw_word(&draws), 10);
    uint32_t number = half == SYNTHETIC_TRAIN
                          ? philox_below(draw_word(&draws), TRAIN_HANDS)
                          : TRAIN_HANDS + philox_below(draw_word(&draws), TEST_HANDS);
    draw_hand(number, &hand);
    vary_hand(&draws, &hand);
    const struct glyph_digit *ways = &GLYPHS[digit];
    uint32_t way = hand.ways[digit];
    if (philox_below(draw_word(&draws), 4) == 0)
        way = philox_below(draw_word(&draws), (uint32_t)ways->variants);
    const struct glyph *glyph = &ways->glyphs[way];
    place_points(glyph, &hand, &draws, points);
    flatten(glyph, points, hand.roundness, &path);
    fit(&path, hand.pen, &draws);
    render(&path, hand.softness, image);
    return digit;
}

int synthetic_draw(enum synthetic_split half, uint32_t count, struct split *split,
                   struct error *error) {
    if (split_allocate(split, count, "synthetic digits", error))
        return -1;
    uint8_t *images = split->memory, *labels = images + (size_t)count * IMAGE_PIXELS;
#pragma omp parallel for schedule(static)
    for (uint32_t i = 0; i < count; i++)
        labels[i] = draw_digit(half, i, images + (size_t)i * IMAGE_PIXELS);
    return 0;
}
