/* Dropout, against common/philox.h element by element. */
#include "common/philox.h"
#include "tests/cuda/kernels_rig.h"

#include <criterion/criterion.h>

#define SEED UINT64_C(0x123456789abcdef0)

static const enum element types[] = {ELEMENT_F32, ELEMENT_BF16};

/* Whether the element at `at` in memory, [sample][pixel][channel], is kept. */
static bool kept(const struct kernel_dropout *dropout, size_t at, uint64_t step) {
    size_t channels = (size_t)dropout->channels, pixels = (size_t)dropout->pixels;
    size_t channel = at % channels, pixel = at / channels % pixels;
    size_t map = at / channels / pixels * channels + channel;
    size_t element = dropout->spatial ? map : map * pixels + pixel;
    uint32_t words[4];
    philox_draw(dropout->seed, PHILOX_DROPOUT, (uint32_t)(element / 4), dropout->node,
                (uint32_t)step, words);
    return philox_float(words[element % 4]) >= dropout->rate;
}

static void check_dropout(enum element type, int batch, int pixels, int channels, float rate,
                          bool spatial, bool add) {
    struct rig rig = rig_open();
    struct step_arguments arguments = {.step = UINT64_C(0x500000007)};
    size_t count = (size_t)batch * (size_t)(pixels * channels), dropped = 0;
    struct array from = rig_random(&rig, type, count, 1), to = rig_random(&rig, type, count, 2);
    double *wanted = rig_alloc(&rig, count * sizeof *wanted);
    struct kernel_dropout dropout = {
        batch, pixels, channels, SEED,
        17,    rate,   spatial,  rig_put(&rig, &arguments, sizeof arguments)};
    for (size_t i = 0; i < count; i++) {
        bool keeps = kept(&dropout, i, arguments.step);
        dropped += !keeps;
        wanted[i] = (add ? to.host[i] : 0) + (keeps ? from.host[i] / (1.0 - (double)rate) : 0);
    }
    if ((spatial ? batch * channels : batch * channels * pixels) >
        100) /* otherwise the test proves little */
        cr_assert(dropped > 0 && dropped < count);
    rig_done(&rig, kernel_dropout(&dropout, to.values, from.values, add, rig.stream));
    rig_expect(&rig, &to, wanted, 1e-6, "dropout");
    rig_close(&rig);
}

Test(cuda_dropout, vectors_follow_philox) {
    const int shapes[][2] = {{1, 1}, {1, 7}, {3, 10}, {128, 10}, {5, 16}, {7, 127}, {33, 64}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++)
            check_dropout(types[k & 1], shapes[s][0], 1, shapes[s][1], k >> 1 ? 0.5f : 0.2f, false,
                          k >> 1);
}

Test(cuda_dropout, maps_follow_philox) {
    const int shapes[][3] = {{2, 16, 16}, {3, 4, 8},  {2, 64, 4},  {2, 16, 5},  {2, 49, 16},
                             {3, 9, 10},  {2, 2, 3},  {5, 3, 1},   {2, 5, 33},  {3, 6, 8},
                             {1, 784, 1}, {4, 7, 24}, {1, 25, 64}, {2, 144, 12}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++)
            check_dropout(types[k & 1], shapes[s][0], shapes[s][1], shapes[s][2],
                          k >> 1 ? 0.5f : 0.25f, false, k >> 1);
}

Test(cuda_dropout, whole_maps_follow_philox) {
    const int shapes[][3] = {{2, 16, 16}, {3, 4, 8},   {33, 9, 4}, {29, 16, 5}, {2, 49, 72},
                             {3, 9, 10},  {128, 2, 1}, {5, 3, 1},  {7, 5, 33},  {1, 784, 1},
                             {4, 7, 28},  {1, 25, 64}, {7, 1, 33}, {16, 1, 16}, {2, 144, 12}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++)
            check_dropout(types[k & 1], shapes[s][0], shapes[s][1], shapes[s][2],
                          k >> 1 ? 0.5f : 0.25f, true, k >> 1);
}

Test(cuda_dropout, a_rate_of_zero_keeps_everything) {
    struct rig rig = rig_open();
    struct step_arguments arguments = {.step = 3};
    struct array from = rig_random(&rig, ELEMENT_F32, 320, 1);
    struct array to = rig_empty(&rig, ELEMENT_F32, 320);
    struct kernel_dropout dropout = {2, 16,   10,    SEED,
                                     4, 0.0f, false, rig_put(&rig, &arguments, sizeof arguments)};
    rig_done(&rig, kernel_dropout(&dropout, to.values, from.values, false, rig.stream));
    rig_expect(&rig, &to, from.host, 0, "dropout");
    rig_close(&rig);
}
