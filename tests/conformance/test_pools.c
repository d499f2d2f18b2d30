/* Conformance of maxpool and avgpool, on the image and behind a conv that learns. */
#include "tests/conformance/rows.h"

#include <criterion/criterion.h>

#define POOL(name, kind, input, size, stride)                                                      \
    NODE(name, kind, input, "size=" #size " stride=" #stride)
#define MAPS7(channels) CONV("m", "image", "kernel=4 stride=4 channels=" #channels)
#define MAPS24(channels) CONV("m", "image", "kernel=5 channels=" #channels)
#define MAPS27(channels) CONV("m", "image", "kernel=2 channels=" #channels)

/* Both kinds take the same rows. */
#define POOL_ROWS(kind)                                                                            \
    {"on the image", 3, POOL("x", kind, "image", 2, 2), NULL, NULL},                               \
        {"on the image, 7 by 7", 1, POOL("x", kind, "image", 7, 7), NULL, NULL},                   \
        {"1 channel, 1 sample", 1, MAPS24(1) POOL("x", kind, "m", 2, 2), NULL, NULL},              \
        {"16 channels, 16 samples", 16, MAPS24(16) POOL("x", kind, "m", 2, 2), NULL, NULL},        \
        {"odd channels", 3, MAPS24(5) POOL("x", kind, "m", 2, 2), NULL, NULL},                     \
        {"many channels", 3, MAPS7(100) POOL("x", kind, "m", 2, 2), NULL, NULL},                   \
        {"odd size", 3, MAPS27(6) POOL("x", kind, "m", 2, 2), NULL, NULL},                         \
        {"odd size, 1 sample", 1, MAPS7(3) POOL("x", kind, "m", 2, 2), NULL, NULL},                \
        {"overlapping, 3 by 2", 3, MAPS7(4) POOL("x", kind, "m", 3, 2), NULL, NULL},               \
        {"overlapping, 2 by 1", 3, MAPS7(4) POOL("x", kind, "m", 2, 1), NULL, NULL},               \
        {"gaps, 2 by 3", 3, MAPS7(4) POOL("x", kind, "m", 2, 3), NULL, NULL},                      \
        {"size 1", 3, MAPS7(4) POOL("x", kind, "m", 1, 1), NULL, NULL},                            \
        {"size 1 by 2", 3, MAPS7(4) POOL("x", kind, "m", 1, 2), NULL, NULL},                       \
        {"the whole map", 16, MAPS7(12) POOL("x", kind, "m", 7, 7), NULL, NULL},                   \
        {"a rest of three", 3, MAPS7(4) POOL("x", kind, "m", 4, 4), NULL, NULL},                   \
        {"twice", 3, MAPS24(8) POOL("p", kind, "m", 2, 2) POOL("x", kind, "p", 3, 3), NULL, NULL}, \
        {"behind a relu", 3, MAPS24(8) RELU("r", "m") POOL("x", kind, "r", 2, 2), NULL, NULL},     \
        {"behind a relu, odd size", 3, MAPS7(8) RELU("r", "m") POOL("x", kind, "r", 2, 2), NULL,   \
         NULL},                                                                                    \
        {"behind a relu, overlapping", 3, MAPS7(8) RELU("r", "m") POOL("x", kind, "r", 3, 2),      \
         NULL, NULL},                                                                              \
        {"behind a relu, gaps", 3, MAPS7(8) RELU("r", "m") POOL("x", kind, "r", 2, 3), NULL,       \
         NULL},                                                                                    \
        {"before a relu", 3, MAPS24(8) POOL("p", kind, "m", 2, 2) RELU("x", "p"), NULL, NULL}, {   \
        "before a conv", 16,                                                                       \
            MAPS24(8) POOL("p", kind, "m", 2, 2) CONV("x", "p", "channels=6 kernel=5"), NULL, NULL \
    }

static const struct row max_rows[] = {POOL_ROWS("maxpool")};
static const struct row average_rows[] = {POOL_ROWS("avgpool")};

ROWS_TESTS(maxpool, max_rows)
ROWS_TESTS(avgpool, average_rows)
