/* The gradient of a small convolution's weights on AMX tiles. The sum over the batch is split into
 * parts of a fixed number of images, which are then added in order: the same bits with any number
 * of threads. The Makefile compiles this file for AMX and AVX512. */
#include "cpu/tiles.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PART 8           /* images that one partial sum covers */
#define CHUNK 32         /* pixels in one tile: 16 pairs */
#define GROUP 5          /* products kept in tiles at once; two more tiles hold the operands */
#define TILE (16 * 16)   /* floats of one product */
#define PRODUCTS_MAX 512 /* input times output channels: above, oneDNN is as good */

bool tile_gradient_fits(struct shape in, struct shape out, const struct conv_attributes *conv) {
    return conv->stride == 1 && conv->kernel <= 16 && in.channels * out.channels <= PRODUCTS_MAX;
}

static size_t round_up(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}

int tile_gradient_plan(struct tile_gradient *plan, struct arena **arena, int batch, int threads,
                       struct shape in, struct shape out, const struct conv_attributes *conv,
                       const char *label, struct error *error) {
    bool single = in.channels == 1;
    *plan = (struct tile_gradient){
        .batch = batch,
        .threads = threads,
        .in = in,
        .out = out,
        .kernel = conv->kernel,
        .padding = conv->padding,
        .width = in.width + 2 * conv->padding,
        .height = in.height + 2 * conv->padding,
        .rows = single ? conv->kernel : 16,
        .row_blocks = single ? 1 : (in.channels + 15) / 16,
        .places = single ? conv->kernel : conv->kernel * conv->kernel,
        .column_blocks = (out.channels + 15) / 16,
    };
    plan->pixels = round_up((size_t)(out.height * plan->width), CHUNK);
    /* Loads run past the last pixel by up to a chunk, a kernel row and a kernel's columns. */
    plan->x_row = round_up(plan->pixels + (size_t)(conv->kernel * plan->width) + 16 + CHUNK, CHUNK);
    plan->x_size = plan->x_row * (size_t)(single ? 1 : 16 * plan->row_blocks);
    plan->y_size = plan->pixels * 16 * (size_t)plan->column_blocks;
    size_t part = (size_t)threads * PART * (plan->x_size + plan->y_size) * sizeof(uint16_t);
    size_t parts = (size_t)(batch + PART - 1) / PART;
    size_t products = (size_t)(plan->places * plan->row_blocks * plan->column_blocks);
    plan->scratch = arena_alloc(arena, part, label, error);
    plan->partials = arena_alloc(arena, parts * products * TILE * sizeof(float), label, error);
    return plan->scratch && plan->partials ? 0 : -1;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

bool tiles_available(void) {
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* One image of x, channel by channel, with a border of zeros that is never written. */
static void spread_input(const struct tile_gradient *plan, const uint16_t *x, uint16_t *to) {
    int channels = plan->in.channels;
    for (int y = 0; y < plan->in.height; y++) {
        size_t first = (size_t)((y + plan->padding) * plan->width + plan->padding);
        const uint16_t *row = x + (size_t)(y * plan->in.width * channels);
        if (channels == 1) {
            memcpy(to + first, row, (size_t)plan->in.width * sizeof *row);
            continue;
        }
        for (int c = 0; c < channels; c++) {
            uint16_t *line = to + (size_t)c * plan->x_row + first;
            for (int i = 0; i < plan->in.width; i++)
                line[i] = row[i * channels + c];
        }
    }
}

/* Transposes 32 pixels of 16 channels, `pixel` values apart: to[c][p], `line` values apart. A
 * register starts as two pixels; stage s swaps bit s of the register's number with bit s of the
 * place. */
static void transpose(const uint16_t *from, size_t pixel, uint16_t *to, size_t line) {
    __m512i r[16];
    uint16_t index[32];
    for (size_t i = 0; i < 16; i++)
        r[i] = _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(from + 2 * i * pixel))),
            _mm256_loadu_si256((const __m256i *)(from + (2 * i + 1) * pixel)), 1);
    for (int bit = 1; bit < 16; bit *= 2) {
        for (int i = 0; i < 32; i++)
            index[i] = (uint16_t)((i & ~bit) | (i & bit ? 32 : 0));
        __m512i low = _mm512_loadu_si512(index);
        __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16((short)bit));
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i & bit)
                continue;
            __m512i a = r[i], b = r[i | bit];
            r[i] = _mm512_permutex2var_epi16(a, low, b);
            r[i | bit] = _mm512_permutex2var_epi16(a, high, b);
        }
    }
    for (int i = 0; i < 32; i++) /* the pixel's lowest bit is still the place's highest */
        index[i] = (uint16_t)(i / 2 + i % 2 * 16);
    __m512i last = _mm512_loadu_si512(index);
#pragma GCC unroll 16
    for (size_t c = 0; c < 16; c++)
        _mm512_storeu_si512(to + c * line, _mm512_permutexvar_epi16(last, r[c]));
}

/* spread_input where there is no border and channels come in sixteens: an image is one run. */
static void spread_input_fast(const struct tile_gradient *plan, const uint16_t *x, uint16_t *to) {
    size_t pixels = (size_t)(plan->in.height * plan->in.width), i = 0;
    size_t channels = (size_t)plan->in.channels;
    for (; i + 32 <= pixels; i += 32)
        for (size_t c = 0; c < channels; c += 16)
            transpose(x + i * channels + c, channels, to + c * plan->x_row + i, plan->x_row);
    for (; i < pixels; i++)
        for (size_t c = 0; c < channels; c++)
            to[c * plan->x_row + i] = x[i * channels + c];
}

/* One image of dy as [column block][pixel pair][16 channels][2]: what a tile's second operand looks
 * like. Pixels beyond the end of a row of outputs stay zero. */
static void spread_gradient(const struct tile_gradient *plan, const uint16_t *dy, uint16_t *to) {
    int channels = plan->out.channels;
    for (int y = 0; y < plan->out.height; y++)
        for (int x = 0; x < plan->out.width; x++) {
            size_t pixel = (size_t)(y * plan->width + x);
            const uint16_t *from = dy + (size_t)((y * plan->out.width + x) * channels);
            for (int c = 0; c < channels; c++)
                to[(size_t)(c / 16) * plan->pixels * 16 + pixel / 2 * 32 + (size_t)(c % 16 * 2) +
                   pixel % 2] = from[c];
        }
}

/* The usual case: 16 channels at a time, and pairs of pixels that never straddle two rows. */
static void spread_gradient_fast(const struct tile_gradient *plan, const uint16_t *dy,
                                 uint16_t *to) {
    int channels = plan->out.channels;
    uint16_t order[32];
    for (int i = 0; i < 32; i++)
        order[i] = (uint16_t)(i / 2 + i % 2 * 16);
    __m512i zip = _mm512_loadu_si512(order);
    for (int y = 0; y < plan->out.height; y++)
        for (int block = 0; block < plan->column_blocks; block++) {
            const uint16_t *from = dy + (size_t)(y * plan->out.width * channels + block * 16);
            uint16_t *pair =
                to + (size_t)block * plan->pixels * 16 + (size_t)(y * plan->width / 2 * 32);
            for (int x = 0; x < plan->out.width; x += 2, pair += 32, from += 2 * channels) {
                __m512i both = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)from));
                both = _mm512_inserti64x4(
                    both, _mm256_loadu_si256((const __m256i *)(from + channels)), 1);
                _mm512_storeu_si512(pair, _mm512_permutexvar_epi16(zip, both));
            }
        }
}

/* What ldtilecfg reads. */
struct tile_config {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void configure(const struct tile_gradient *plan) {
    struct tile_config config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = tile == 7 ? 16 : (uint8_t)plan->rows; /* 7: dy */
    }
    _tile_loadconfig(&config);
}

/* Up to GROUP products of one pair of blocks over all images of a part: `x` and `dy` point to the
 * blocks of the first image, `shift` says where each place's pixels begin. */
static void multiply(const struct tile_gradient *plan, const uint16_t *x, const uint16_t *dy,
                     int images, const size_t shift[GROUP], int count, float *products) {
    size_t stride = plan->in.channels == 1 ? sizeof *x : plan->x_row * sizeof *x;
    size_t next = (size_t)(plan->row_blocks * plan->column_blocks) * TILE;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
#define PLACE(i)                                                                                   \
    if (count > i) {                                                                               \
        _tile_loadd(6, here + shift[i], stride);                                                   \
        _tile_dpbf16ps(i, 6, 7);                                                                   \
    }
    for (int image = 0; image < images; image++)
        for (size_t pixel = 0; pixel < plan->pixels; pixel += CHUNK) {
            const uint16_t *here = x + (size_t)image * plan->x_size + pixel;
            _tile_loadd(7, dy + (size_t)image * plan->y_size + pixel * 16, 64);
            PLACE(0)
            PLACE(1)
            PLACE(2)
            PLACE(3)
            PLACE(4)
        }
#undef PLACE
#define STORE(i)                                                                                   \
    if (count > i)                                                                                 \
        _tile_stored(i, products + i * next, 64);
    STORE(0)
    STORE(1)
    STORE(2)
    STORE(3)
    STORE(4)
#undef STORE
}

static void run_part(const struct tile_gradient *plan, const uint16_t *x, const uint16_t *dy,
                     int part, uint16_t *scratch) {
    int first = part * PART, images = plan->batch - first < PART ? plan->batch - first : PART;
    uint16_t *xs = scratch, *ys = scratch + PART * plan->x_size;
    bool run = plan->padding == 0 && plan->in.channels % 16 == 0;
    bool fast = plan->width % 2 == 0 && plan->out.width % 2 == 0 && plan->out.channels % 16 == 0;
    for (int i = 0; i < images; i++) {
        size_t image = (size_t)(first + i);
        (run ? spread_input_fast : spread_input)(plan, x + image * (size_t)shape_values(plan->in),
                                                 xs + (size_t)i * plan->x_size);
        (fast ? spread_gradient_fast : spread_gradient)(
            plan, dy + image * (size_t)shape_values(plan->out), ys + (size_t)i * plan->y_size);
    }
    int blocks = plan->row_blocks * plan->column_blocks;
    float *products = plan->partials + (size_t)(part * plan->places * blocks) * TILE;
    for (int block = 0; block < blocks; block++)
        for (int place = 0; place < plan->places; place += GROUP) {
            size_t shift[GROUP] = {0};
            int count = plan->places - place < GROUP ? plan->places - place : GROUP;
            for (int i = 0; i < count; i++)
                shift[i] = plan->in.channels == 1
                               ? (size_t)((place + i) * plan->width)
                               : (size_t)((place + i) / plan->kernel * plan->width +
                                          (place + i) % plan->kernel);
            multiply(plan, xs + (size_t)(block / plan->column_blocks * 16) * plan->x_row,
                     ys + (size_t)(block % plan->column_blocks) * plan->pixels * 16, images, shift,
                     count, products + (size_t)(place * blocks + block) * TILE);
        }
}

/* Adds up the parts of one place and brings them into [in][out] order. */
static void gather_place(const struct tile_gradient *plan, int place, float *gradient) {
    int blocks = plan->row_blocks * plan->column_blocks, in = plan->in.channels;
    int parts = (plan->batch + PART - 1) / PART, out = plan->out.channels;
    int rows = in == 1 ? plan->kernel : in;
    for (int row = 0; row < rows; row++)
        for (int block = 0; block < plan->column_blocks; block++) {
            size_t at = (size_t)(place * blocks + row / 16 * plan->column_blocks + block) * TILE +
                        (size_t)(row % 16 * 16);
            __m512 sum = _mm512_setzero_ps();
            for (int part = 0; part < parts; part++)
                sum = _mm512_add_ps(
                    sum, _mm512_loadu_ps(plan->partials +
                                         (size_t)(part * plan->places * blocks) * TILE + at));
            int left = out - block * 16;
            __mmask16 mask = (__mmask16)(left >= 16 ? 0xffff : (1u << left) - 1);
            _mm512_mask_storeu_ps(gradient + (size_t)((place * rows + row) * out + block * 16),
                                  mask, sum);
        }
}

void tile_gradient_run(const struct tile_gradient *plan, const uint16_t *x, const uint16_t *dy,
                       float *gradient) {
    int parts = (plan->batch + PART - 1) / PART;
    size_t own = PART * (plan->x_size + plan->y_size);
#pragma omp parallel num_threads(plan->threads)
    {
#pragma omp for schedule(static)
        for (int thread = 0; thread < plan->threads; thread++) {
            configure(plan);
            for (int part = thread; part < parts; part += plan->threads)
                run_part(plan, x, dy, part, plan->scratch + (size_t)thread * own);
            _tile_release();
        }
#pragma omp for schedule(static)
        for (int place = 0; place < plan->places; place++)
            gather_place(plan, place, gradient);
    }
}

#else

bool tiles_available(void) {
    return false;
}

void tile_gradient_run(const struct tile_gradient *plan, const uint16_t *x, const uint16_t *dy,
                       float *gradient) {
    (void)plan, (void)x, (void)dy, (void)gradient; /* tiles_available keeps callers away */
}

#endif
