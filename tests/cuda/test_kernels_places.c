/* Kernels that move values: joins, parts, transposes. */
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

/* Where a value of the piece lies in the concatenation. */
static size_t place_of(const struct kernel_piece *piece, int sample, int pixel, int channel) {
    return (size_t)sample * (size_t)piece->joined +
           (size_t)(piece->first + pixel * piece->pixel_step + channel * piece->channel_step);
}

static void check_piece(struct kernel_piece piece, enum element to, enum element from, bool add) {
    struct rig rig = rig_open();
    size_t own = (size_t)piece.batch * (size_t)(piece.pixels * piece.channels), i = 0;
    size_t all = (size_t)piece.batch * (size_t)piece.joined;
    struct array a = rig_random(&rig, from, own, 1), joined = rig_random(&rig, to, all, 2);
    struct array b = rig_random(&rig, from, own, 3), source = rig_random(&rig, to, all, 4);
    double *wanted = rig_alloc(&rig, all * sizeof *wanted);
    double *parted = rig_alloc(&rig, own * sizeof *parted);
    for (size_t k = 0; k < all; k++)
        wanted[k] = joined.host[k];
    for (int n = 0; n < piece.batch; n++)
        for (int p = 0; p < piece.pixels; p++)
            for (int c = 0; c < piece.channels; c++, i++) {
                wanted[place_of(&piece, n, p, c)] = a.host[i];
                parted[i] = source.host[place_of(&piece, n, p, c)] + (add ? b.host[i] : 0);
            }
    rig_done(&rig, kernel_join(joined.values, a.values, &piece, rig.stream));
    rig_done(&rig, kernel_part(b.values, source.values, &piece, add, rig.stream));
    rig_expect(&rig, &joined, wanted, 0, "join");
    rig_expect(&rig, &b, parted, 1e-7, "part");
    rig_close(&rig);
}

static void check_piece_types(struct kernel_piece piece) {
    for (int k = 0; k < 8; k++)
        check_piece(piece, types[k & 1], types[k >> 1 & 1], k >> 2);
}

/* {batch, pixels, channels, joined, first, pixel_step, channel_step} */
Test(cuda_places, maps_interleave_channels) {
    check_piece_types((struct kernel_piece){2, 9, 16, 9 * 40, 8, 40, 1}); /* vectors */
    check_piece_types((struct kernel_piece){2, 9, 16, 9 * 20, 4, 20, 1}); /* vectors of f32 */
    check_piece_types((struct kernel_piece){3, 9, 16, 9 * 41, 8, 41, 1});
    check_piece_types((struct kernel_piece){2, 9, 16, 9 * 40, 3, 40, 1});
    check_piece_types((struct kernel_piece){2, 25, 5, 25 * 16, 8, 16, 1});
    check_piece_types((struct kernel_piece){1, 300, 8, 300 * 8, 0, 8, 1}); /* all of it */
}

Test(cuda_places, vectors_take_whole_channels) {
    check_piece_types((struct kernel_piece){3, 16, 5, 100, 10, 1, 16});
    check_piece_types((struct kernel_piece){2, 49, 33, 49 * 33 + 10, 10, 1, 49});
    check_piece_types((struct kernel_piece){128, 1, 10, 20, 10, 1, 1});
    check_piece_types((struct kernel_piece){5, 1, 24, 40, 16, 1, 1});
    check_piece_types((struct kernel_piece){5, 1, 24, 41, 16, 1, 1});
}

static void check_transpose(int batch, int rows, int columns, enum element to, enum element from,
                            bool add) {
    struct rig rig = rig_open();
    size_t n = (size_t)rows, m = (size_t)columns, count = (size_t)batch * n * m;
    struct array x = rig_random(&rig, from, count, 1), y = rig_random(&rig, to, count, 2);
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    for (size_t i = 0; i < count; i++) {
        size_t sample = i / (n * m), row = i % (n * m) / m, column = i % m;
        size_t at = sample * n * m + column * n + row;
        wanted[at] = x.host[i] + (add ? y.host[at] : 0);
    }
    rig_done(&rig, kernel_transpose(y.values, x.values, batch, rows, columns, add, rig.stream));
    rig_expect(&rig, &y, wanted, 1e-7, "transpose");
    rig_close(&rig);
}

Test(cuda_places, transposes_each_sample) {
    const int shapes[][3] = {{1, 1, 1},   {2, 16, 32}, {3, 32, 16}, {2, 33, 31},
                             {1, 49, 70}, {70, 4, 5},  {1, 1, 100}, {2, 100, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 8; k++)
            check_transpose(shapes[s][0], shapes[s][1], shapes[s][2], types[k & 1],
                            types[k >> 1 & 1], k >> 2);
}
