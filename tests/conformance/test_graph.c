/* Conformance of graphs rather than of nodes: several users of one value, outputs in the middle,
 * and the arrangements that an engine may fuse (relu into what is before it, its mask into what is
 * behind). */
#include "tests/conformance/rows.h"

#include <criterion/criterion.h>

#define MAPS7(name, channels) CONV(name, "image", "kernel=4 stride=4 channels=" #channels)
#define MAPS24(name, channels) CONV(name, "image", "kernel=5 channels=" #channels)
#define POOL(name, input) NODE(name, "maxpool", input, "size=2")

static const struct row relu_rows[] = {
    {"on the image", 3, RELU("x", "image"), NULL, NULL},
    {"of a conv", 1, MAPS7("m", 5) RELU("x", "m"), NULL, NULL},
    {"of a dense", 16, DENSE("h", "image", 40) RELU("x", "h"), NULL, NULL},
    {"of a conv that has another user", 3,
     MAPS7("m", 5) RELU("r", "m") JOIN2("x", "concat", "r", "m"), NULL, NULL},
    {"two of one conv", 3, MAPS7("m", 5) RELU("r", "m") RELU("q", "m") JOIN2("x", "add", "r", "q"),
     NULL, NULL},
    {"of a relu", 3, MAPS7("m", 5) RELU("r", "m") RELU("x", "r"), NULL, NULL},
    {"into a pool and a conv", 3,
     MAPS7("m", 5) RELU("r", "m") POOL("p", "r") CONV("c", "r", "channels=4 kernel=3")
         JOIN2("x", "concat", "p", "c"),
     NULL, NULL},
    {"into two pools", 3,
     MAPS7("m", 5) RELU("r", "m") POOL("p", "r") NODE("q", "maxpool", "r", "size=3")
         JOIN2("x", "concat", "p", "q"),
     NULL, NULL},
    {"of batchnorm, into a pool and a flatten", 3,
     MAPS7("m", 5) NODE("b", "batchnorm", "m", "") RELU("r", "b") POOL("p", "r")
         NODE("f", "flatten", "r", "") JOIN2("x", "concat", "p", "f"),
     NULL, NULL},
    {"of a flatten of a conv", 3, MAPS7("m", 5) NODE("f", "flatten", "m", "") RELU("x", "f"), NULL,
     NULL},
    {"of a conv, then a flatten", 3, MAPS7("m", 5) RELU("r", "m") NODE("x", "flatten", "r", ""),
     NULL, NULL},
    {"of an add, of a concat, of a pool", 3,
     MAPS7("m", 5) MAPS7("n", 5) JOIN2("a", "add", "m", "n") RELU("r", "a")
         JOIN2("j", "concat", "r", "n") RELU("s", "j") POOL("p", "s") RELU("x", "p"),
     NULL, NULL},
    {"as the digit output", 16, DENSE("h", "image", 10) RELU("d", "h") DENSE("s", "d", 19), "d",
     "s"},
    {"as both outputs", 16,
     DENSE("h", "image", 10) RELU("d", "h") DENSE("g", "image", 19) RELU("s", "g"), "d", "s"},
    {"of an output", 16, DENSE("d", "image", 10) RELU("r", "d") DENSE("s", "r", 19), "d", "s"},
};

static const struct row output_rows[] = {
    {"a conv is the digit output and goes on", 3,
     CONV("d", "image", "channels=10 kernel=28") NODE("o", "onehot", "digit", "")
         JOIN2("j", "concat", "d", "o") DENSE("h", "j", 20) RELU("r", "h") DENSE("s", "r", 19),
     "d", "s"},
    {"the sum comes before the digit", 3, DENSE("s", "image", 19) DENSE("d", "s", 10), "d", "s"},
    {"the digit output is a softmax", 3,
     DENSE("h", "image", 10) NODE("d", "softmax", "h", "") DENSE("s", "d", 19), "d", "s"},
    {"the digit output is an avgpool", 3,
     CONV("c", "image", "channels=10 kernel=5 stride=4") NODE("d", "avgpool", "c", "size=6")
         DENSE("s", "d", 19),
     "d", "s"},
    {"the digit output is a maxpool behind a relu", 3,
     CONV("c", "image", "channels=10 kernel=5 stride=4") RELU("r", "c")
         NODE("d", "maxpool", "r", "size=6") DENSE("s", "d", 19),
     "d", "s"},
    {"the digit output is a batchnorm", 16,
     DENSE("h", "image", 10) NODE("d", "batchnorm", "h", "") DENSE("s", "d", 19), "d", "s"},
    {"the digit output is a dropout", 16,
     DENSE("h", "image", 10) NODE("d", "dropout", "h", "rate=0.2") DENSE("s", "d", 19), "d", "s"},
    {"the digit output is an add", 3,
     DENSE("a", "image", 10) DENSE("b", "image", 10) JOIN2("d", "add", "a", "b")
         DENSE("s", "a", 19),
     "d", "s"},
    {"the digit output is a concat", 3,
     DENSE("a", "image", 4) DENSE("b", "image", 6) JOIN2("d", "concat", "a", "b")
         DENSE("s", "b", 19),
     "d", "s"},
    {"the digit output is an outer", 3,
     DENSE("a", "image", 2) DENSE("b", "image", 5) JOIN2("d", "outer", "a", "b")
         DENSE("s", "d", 19),
     "d", "s"},
    {"nothing before the heads learns", 3,
     NODE("p", "avgpool", "image", "size=4") NODE("f", "flatten", "p", "") RELU("x", "f"), NULL,
     NULL},
    {"the digit output does not learn", 16,
     NODE("d", "onehot", "digit", "") DENSE("s", "image", 19), "d", "s"},
    {"regression beside a conv", 16,
     MAPS7("m", 8) RELU("r", "m") DENSE("d", "r", 10) NODE("o", "onehot", "digit", "")
         JOIN2("j", "concat", "d", "o") DENSE("h", "j", 12) RELU("q", "h") DENSE("s", "q", 1),
     "d", "s"},
    {"regression by a conv of one pixel", 3,
     CONV("s", "image", "channels=1 kernel=28") DENSE("d", "image", 10), "d", "s"},
};

ROWS_TESTS(relu, relu_rows)
ROWS_TESTS(outputs, output_rows)
