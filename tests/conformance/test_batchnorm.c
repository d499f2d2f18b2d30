/* Conformance of batchnorm: on maps and on vectors, with and without a relu behind it. A batch of
 * one vector has no variance, so rows of one sample are maps. */
#include "tests/conformance/rows.h"

#include <criterion/criterion.h>

#define NORM(name, input, attributes) NODE(name, "batchnorm", input, attributes)
#define MAPS7(channels) CONV("m", "image", "kernel=4 stride=4 channels=" #channels)
#define MAPS24(channels) CONV("m", "image", "kernel=5 channels=" #channels)

static const struct row rows[] = {
    {"on the image", 3, NORM("x", "image", ""), NULL, NULL},
    {"1 sample", 1, MAPS7(3) NORM("x", "m", ""), NULL, NULL},
    {"3 samples", 3, MAPS7(3) NORM("x", "m", ""), NULL, NULL},
    {"16 samples", 16, MAPS24(16) NORM("x", "m", ""), NULL, NULL},
    {"1 channel", 3, MAPS7(1) NORM("x", "m", ""), NULL, NULL},
    {"odd channels", 3, MAPS7(37) NORM("x", "m", ""), NULL, NULL},
    {"many channels", 3, MAPS7(200) NORM("x", "m", ""), NULL, NULL},
    {"momentum and epsilon", 3, MAPS7(4) NORM("x", "m", "momentum=0.3 epsilon=0.05"), NULL, NULL},
    {"momentum 1", 3, MAPS7(4) NORM("x", "m", "momentum=1"), NULL, NULL},
    {"momentum 0", 3, MAPS7(4) NORM("x", "m", "momentum=0"), NULL, NULL},
    {"a relu behind", 16, MAPS7(8) NORM("b", "m", "") RELU("x", "b"), NULL, NULL},
    {"relu, then a conv", 3,
     MAPS24(8) NORM("b", "m", "") RELU("r", "b") CONV("x", "r", "channels=4 kernel=5"), NULL, NULL},
    {"maxpool, norm, relu", 16,
     MAPS24(8) NODE("p", "maxpool", "m", "size=2") NORM("b", "p", "") RELU("x", "b"), NULL, NULL},
    {"norm, relu, maxpool", 3,
     MAPS24(8) NORM("b", "m", "") RELU("r", "b") NODE("x", "maxpool", "r", "size=2"), NULL, NULL},
    {"behind a relu", 3, MAPS7(8) RELU("r", "m") NORM("x", "r", ""), NULL, NULL},
    {"twice", 3, MAPS7(8) NORM("a", "m", "") NORM("x", "a", ""), NULL, NULL},
    {"vectors", 3, DENSE("h", "image", 12) NORM("x", "h", ""), NULL, NULL},
    {"vectors, 16 samples, relu", 16, DENSE("h", "image", 33) NORM("b", "h", "") RELU("x", "b"),
     NULL, NULL},
    {"vectors of one value", 3, DENSE("h", "image", 1) NORM("x", "h", ""), NULL, NULL},
    {"maps of one pixel", 16,
     CONV("m", "image", "channels=20 kernel=28") NORM("b", "m", "") RELU("x", "b"), NULL, NULL},
    {"a rate of its own", 3, MAPS7(4) NORM("x", "m", "rate=1"), NULL, NULL},
};

ROWS_TESTS(batchnorm, rows)
