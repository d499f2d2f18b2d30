/* Conformance of conv: each row after a conv too, so that the gradient of its input counts. */
#include "tests/conformance/rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* 7x7 with as many channels as wanted, through a conv with a gradient. */
#define MAPS7(channels) CONV("m", "image", "kernel=4 stride=4 channels=" #channels)

static const struct row rows[] = {
    {"on the image, 5x5", 3, CONV("x", "image", "channels=2 kernel=5"), NULL, NULL},
    {"on the image, 3x3, 16 channels, 16 samples", 16,
     CONV("x", "image", "channels=16 kernel=3 padding=1 stride=2"), NULL, NULL},
    {"on the image without bias", 3, CONV("x", "image", "channels=3 kernel=7 bias=false"), NULL,
     NULL},
    {"1 sample", 1, MAPS7(3) CONV("x", "m", "channels=4 kernel=3"), NULL, NULL},
    {"1x1", 3, MAPS7(5) CONV("x", "m", "channels=3 kernel=1"), NULL, NULL},
    {"1x1, stride 2", 3, MAPS7(5) CONV("x", "m", "channels=3 kernel=1 stride=2"), NULL, NULL},
    {"1 channel to 1 channel", 3, MAPS7(1) CONV("x", "m", "channels=1 kernel=3"), NULL, NULL},
    {"to 1 channel", 3, MAPS7(4) CONV("x", "m", "channels=1 kernel=2"), NULL, NULL},
    {"padding 1", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=3 padding=1"), NULL, NULL},
    {"padding 2 of 3", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=3 padding=2"), NULL, NULL},
    {"stride 2", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=3 stride=2"), NULL, NULL},
    {"stride 2 that leaves a rest", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=2 stride=2"),
     NULL, NULL},
    {"stride 3, padding 1", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=3 stride=3 padding=1"),
     NULL, NULL},
    {"stride beyond the kernel", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=2 stride=4"), NULL,
     NULL},
    {"the whole map", 3, MAPS7(6) CONV("x", "m", "channels=10 kernel=7"), NULL, NULL},
    {"even kernel, padding", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=4 padding=2"), NULL,
     NULL},
    {"64 to 96 channels", 3, MAPS7(64) CONV("x", "m", "channels=96 kernel=3"), NULL, NULL},
    {"64 to 96 channels, padding", 16, MAPS7(64) CONV("x", "m", "channels=96 kernel=3 padding=1"),
     NULL, NULL},
    {"256 to 320 channels", 3, MAPS7(256) CONV("x", "m", "channels=320 kernel=3"), NULL, NULL},
    {"odd channels, 33 to 65", 3, MAPS7(33) CONV("x", "m", "channels=65 kernel=3"), NULL, NULL},
    {"without bias", 3, MAPS7(3) CONV("x", "m", "channels=4 kernel=3 bias=false"), NULL, NULL},
    {"three in a row", 3,
     CONV("a", "image", "channels=4 kernel=5 stride=2") CONV(
         "b", "a", "channels=8 kernel=3 padding=1") CONV("x", "b", "channels=8 kernel=3 stride=2"),
     NULL, NULL},
    {"relus between", 16,
     CONV("a", "image", "channels=8 kernel=5") RELU("r", "a")
         CONV("b", "r", "channels=16 kernel=5 stride=2") RELU("x", "b"),
     NULL, NULL},
    {"130 channels, padding", 3, MAPS7(130) CONV("x", "m", "channels=20 kernel=4 padding=1"), NULL,
     NULL},
    {"130 channels, padding 2, stride 2", 3,
     MAPS7(130) CONV("x", "m", "channels=20 kernel=3 padding=2 stride=2"), NULL, NULL},
    {"130 channels, padding 1, stride 3, 11 samples", 11,
     MAPS7(130) CONV("x", "m", "channels=7 kernel=3 padding=1 stride=3"), NULL, NULL},
    {"130 channels, 1x1, stride 2", 3, MAPS7(130) CONV("x", "m", "channels=17 kernel=1 stride=2"),
     NULL, NULL},
    {"130 channels on to a relu and a conv", 3,
     MAPS7(130) CONV("c", "m", "channels=128 kernel=3") RELU("r", "c")
         CONV("x", "r", "channels=9 kernel=3 padding=1"),
     NULL, NULL},
    {"130 channels, two users", 3,
     MAPS7(130) CONV("a", "m", "channels=6 kernel=3") CONV("b", "m", "channels=6 kernel=3")
         JOIN2("x", "add", "a", "b"),
     NULL, NULL},
    {"two users", 3,
     MAPS7(12) CONV("a", "m", "channels=6 kernel=3") CONV("b", "m", "channels=6 kernel=3")
         JOIN2("x", "add", "a", "b"),
     NULL, NULL},
    {"two users, one of them of the whole map", 3,
     MAPS7(12) CONV("a", "m", "channels=6 kernel=7") CONV("b", "m", "channels=6 kernel=3")
         JOIN2("x", "concat", "a", "b"),
     NULL, NULL},
    {"kernel 16", 3, CONV("x", "image", "channels=3 kernel=16"), NULL, NULL},
    {"kernel 17, 2 channels", 3,
     CONV("m", "image", "channels=2 kernel=3 padding=1") CONV("x", "m", "channels=3 kernel=17"),
     NULL, NULL},
    {"as in quick, 11 samples", 11,
     CONV("a", "image", "channels=16 kernel=5") NODE("p", "avgpool", "a", "size=2")
         CONV("x", "p", "channels=32 kernel=5"),
     NULL, NULL},
    {"few channels, padding, 17 samples", 17,
     CONV("a", "image", "channels=17 kernel=4 padding=3 bias=false")
         NODE("p", "avgpool", "a", "size=3") CONV("x", "p", "channels=19 kernel=2 padding=1"),
     NULL, NULL},
    {"as both outputs", 3,
     MAPS7(8) CONV("d", "m", "channels=10 kernel=7") CONV("s", "m", "channels=19 kernel=7"), "d",
     "s"},
};

ROWS_TESTS(conv, rows)

/* 1x1 kernels that step over pixels: oneDNN's own kernel for this weight gradient writes past its
 * scratch memory. With AVX2 each of these then shows a wrong gradient or a crash. */
static const struct row pointwise[] = {
    {"1x1, stride 2, on the image", 1,
     CONV("x", "image", "kernel=1 stride=2 channels=4 bias=false"), NULL, NULL},
    {"1x1, stride 2, 1 to 33 channels, 11 samples", 11,
     CONV("x", "image", "kernel=1 stride=2 channels=33"), NULL, NULL},
    {"1x1, stride 3, 7 to 8 channels", 4,
     CONV("m", "image", "kernel=3 channels=7") CONV("x", "m", "kernel=1 stride=3 channels=8"), NULL,
     NULL},
    {"1x1, stride 2, 9 to 33 channels, relu", 3,
     CONV("m", "image", "kernel=9 channels=9") CONV("c", "m", "kernel=1 stride=2 channels=33")
         RELU("x", "c"),
     NULL, NULL},
    {"1x1, stride 2, 2 to 64 channels", 4,
     CONV("m", "image", "kernel=3 channels=2") CONV("x", "m", "kernel=1 stride=2 channels=64"),
     NULL, NULL},
};

ROWS_TESTS(conv_pointwise, pointwise)

Test(conv_pointwise, avx2) {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1); /* oneDNN reads it when it is first used */
    rows_run(pointwise, sizeof pointwise / sizeof *pointwise, PRECISION_F32);
}
