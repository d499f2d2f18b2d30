/* Conformance of the nodes on vectors and of those that join: dense, flatten, softmax, onehot,
 * concat, add, outer, and dropout. */
#include "tests/conformance/rows.h"

#include <criterion/criterion.h>

#define MAPS7(name, channels) CONV(name, "image", "kernel=4 stride=4 channels=" #channels)
#define SPATIAL(name, input, rate) NODE(name, "dropout", input, "rate=" rate " spatial=true")
#define ONEHOT(name) NODE(name, "onehot", "digit", "")
#define SOFTMAX(name, input) NODE(name, "softmax", input, "")
#define FLATTEN(name, input) NODE(name, "flatten", input, "")

static const struct row dense_rows[] = {
    {"on the image", 3, DENSE("x", "image", 5), NULL, NULL},
    {"1 sample", 1, DENSE("h", "image", 9) DENSE("x", "h", 5), NULL, NULL},
    {"16 samples", 16, DENSE("h", "image", 9) DENSE("x", "h", 5), NULL, NULL},
    {"1 unit", 3, DENSE("h", "image", 1) DENSE("x", "h", 1), NULL, NULL},
    {"many units", 3, DENSE("h", "image", 300) DENSE("x", "h", 257), NULL, NULL},
    {"on maps", 3, MAPS7("m", 6) DENSE("x", "m", 20), NULL, NULL},
    {"on maps of 1 channel", 3, MAPS7("m", 1) DENSE("x", "m", 20), NULL, NULL},
    {"without bias", 3, NODE("x", "dense", "image", "units=7 bias=false"), NULL, NULL},
    {"a relu behind", 16, DENSE("h", "image", 50) RELU("r", "h") DENSE("g", "r", 30) RELU("x", "g"),
     NULL, NULL},
    {"only heads", 3, DENSE("d", "image", 10) DENSE("s", "image", 19), "d", "s"},
    {"regression", 16, DENSE("d", "image", 10) DENSE("h", "d", 6) RELU("r", "h") DENSE("s", "r", 1),
     "d", "s"},
};

static const struct row flatten_rows[] = {
    {"on the image", 3, FLATTEN("x", "image"), NULL, NULL},
    {"of maps", 3, MAPS7("m", 6) FLATTEN("x", "m"), NULL, NULL},
    {"of maps, 1 channel", 3, MAPS7("m", 1) FLATTEN("x", "m"), NULL, NULL},
    {"of a vector", 3, DENSE("h", "image", 9) FLATTEN("x", "h"), NULL, NULL},
    {"then a relu", 3, MAPS7("m", 6) FLATTEN("f", "m") RELU("x", "f"), NULL, NULL},
    {"then batchnorm of each value", 16,
     MAPS7("m", 3) FLATTEN("f", "m") NODE("x", "batchnorm", "f", ""), NULL, NULL},
    {"beside another user", 3,
     MAPS7("m", 2) FLATTEN("f", "m") CONV("c", "m", "channels=3 kernel=3")
         JOIN2("x", "concat", "f", "c"),
     NULL, NULL},
    {"as an output", 3,
     CONV("c", "image", "channels=10 kernel=28") FLATTEN("d", "c") DENSE("s", "d", 19), "d", "s"},
    {"of several pixels as an output", 3,
     CONV("c", "image", "channels=5 kernel=27 stride=2") DENSE("h", "c", 4)
         CONV("e", "image", "channels=5 kernel=14 stride=14")
             NODE("p", "maxpool", "e", "size=1 stride=2") JOIN2("j", "concat", "h", "p")
                 DENSE("s", "j", 19) CONV("w", "image", "channels=10 kernel=26 stride=3")
                     FLATTEN("d", "w"),
     "d", "s"},
};

static const struct row softmax_rows[] = {
    {"3 samples", 3, DENSE("h", "image", 12) SOFTMAX("x", "h"), NULL, NULL},
    {"1 sample", 1, DENSE("h", "image", 12) SOFTMAX("x", "h"), NULL, NULL},
    {"1 value", 3, DENSE("h", "image", 1) SOFTMAX("x", "h"), NULL, NULL},
    {"many values", 16, DENSE("h", "image", 333) SOFTMAX("x", "h"), NULL, NULL},
    {"of an output", 3, DENSE("d", "image", 10) SOFTMAX("g", "d") DENSE("s", "g", 19), "d", "s"},
    {"of a conv of one pixel", 3, CONV("c", "image", "channels=9 kernel=28") SOFTMAX("x", "c"),
     NULL, NULL},
    {"twice", 3, DENSE("h", "image", 12) SOFTMAX("g", "h") SOFTMAX("x", "g"), NULL, NULL},
};

static const struct row join_rows[] = {
    {"onehot alone for the sum", 16, ONEHOT("o") DENSE("d", "image", 10) DENSE("s", "o", 19), "d",
     "s"},
    {"onehot of 13", 16,
     NODE("o", "onehot", "digit", "size=13") DENSE("d", "image", 10) DENSE("s", "o", 19), "d", "s"},
    {"concat of logits and digit", 16,
     DENSE("d", "image", 10) ONEHOT("o") JOIN2("j", "concat", "d", "o") DENSE("s", "j", 19), "d",
     "s"},
    {"concat of maps", 3, MAPS7("a", 3) MAPS7("b", 5) JOIN2("x", "concat", "a", "b"), NULL, NULL},
    {"concat of maps, before a conv", 3,
     MAPS7("a", 3) MAPS7("b", 5) JOIN3("j", "concat", "a", "b", "a")
         CONV("x", "j", "channels=4 kernel=3"),
     NULL, NULL},
    {"concat of image and maps", 3,
     CONV("a", "image", "channels=2 kernel=3 padding=1") JOIN2("x", "concat", "image", "a"), NULL,
     NULL},
    {"concat of maps of two sizes", 3,
     MAPS7("a", 3) CONV("b", "a", "channels=2 kernel=3") JOIN2("x", "concat", "a", "b"), NULL,
     NULL},
    {"concat of maps and vector", 16, MAPS7("a", 3) ONEHOT("o") JOIN2("x", "concat", "a", "o"),
     NULL, NULL},
    {"concat with itself", 3, MAPS7("a", 3) JOIN2("x", "concat", "a", "a"), NULL, NULL},
    {"concat of one pixel and digit", 3,
     CONV("d", "image", "channels=10 kernel=28") ONEHOT("o") JOIN2("j", "concat", "d", "o")
         DENSE("s", "j", 19),
     "d", "s"},
    {"add of maps", 3, MAPS7("a", 4) MAPS7("b", 4) JOIN2("x", "add", "a", "b"), NULL, NULL},
    {"add of three, one twice", 3, MAPS7("a", 4) MAPS7("b", 4) JOIN3("x", "add", "a", "b", "a"),
     NULL, NULL},
    {"add to itself", 3, MAPS7("a", 4) JOIN2("x", "add", "a", "a"), NULL, NULL},
    {"add to the image", 1,
     CONV("a", "image", "channels=1 kernel=3 padding=1") JOIN2("x", "add", "a", "image"), NULL,
     NULL},
    {"add around a conv", 16,
     MAPS7("a", 6) RELU("r", "a") CONV("c", "r", "channels=6 kernel=3 padding=1")
         JOIN2("j", "add", "r", "c") RELU("x", "j"),
     NULL, NULL},
    {"add of vectors", 16,
     DENSE("a", "image", 8) ONEHOT("o") DENSE("b", "o", 8) JOIN2("x", "add", "a", "b"), NULL, NULL},
    {"outer with the digit", 16,
     DENSE("d", "image", 10) ONEHOT("o") JOIN2("q", "outer", "d", "o") DENSE("s", "q", 19), "d",
     "s"},
    {"outer, digit first", 3,
     DENSE("d", "image", 10) ONEHOT("o") JOIN2("q", "outer", "o", "d") DENSE("s", "q", 19), "d",
     "s"},
    {"outer of two that learn", 3,
     DENSE("a", "image", 7) DENSE("b", "image", 11) JOIN2("x", "outer", "a", "b"), NULL, NULL},
    {"outer with itself", 1, DENSE("a", "image", 7) JOIN2("x", "outer", "a", "a"), NULL, NULL},
    {"outer of one value", 3,
     DENSE("a", "image", 1) DENSE("b", "image", 5) JOIN2("x", "outer", "a", "b"), NULL, NULL},
};

static const struct row dropout_rows[] = {
    {"on the image", 3, NODE("x", "dropout", "image", "rate=0.25"), NULL, NULL},
    {"of maps", 3, MAPS7("m", 6) NODE("x", "dropout", "m", "rate=0.5"), NULL, NULL},
    {"of maps, odd counts", 1, MAPS7("m", 3) NODE("x", "dropout", "m", "rate=0.1"), NULL, NULL},
    {"of maps, 16 samples", 16, MAPS7("m", 8) RELU("r", "m") NODE("x", "dropout", "r", "rate=0.3"),
     NULL, NULL},
    {"of vectors", 16, DENSE("h", "image", 33) NODE("x", "dropout", "h", "rate=0.5"), NULL, NULL},
    {"rate 0", 3, DENSE("h", "image", 33) NODE("x", "dropout", "h", "rate=0"), NULL, NULL},
    {"rate 0.99", 16, DENSE("h", "image", 200) NODE("x", "dropout", "h", "rate=0.99"), NULL, NULL},
    {"twice", 3,
     MAPS7("m", 6) NODE("a", "dropout", "m", "rate=0.2") CONV("c", "a", "channels=5 kernel=3")
         NODE("x", "dropout", "c", "rate=0.2"),
     NULL, NULL},
    {"then a relu", 3, MAPS7("m", 6) NODE("a", "dropout", "m", "rate=0.2") RELU("x", "a"), NULL,
     NULL},
    {"after batchnorm and relu", 16,
     MAPS7("m", 6) NODE("b", "batchnorm", "m", "") RELU("r", "b")
         NODE("x", "dropout", "r", "rate=0.2"),
     NULL, NULL},
    {"spatial", 3, MAPS7("m", 6) SPATIAL("x", "m", "0.5"), NULL, NULL},
    {"spatial on the image", 16, SPATIAL("x", "image", "0.5"), NULL, NULL},
    {"spatial, odd count", 2, MAPS7("m", 7) SPATIAL("x", "m", "0.5"), NULL, NULL},
    {"spatial, 1 sample", 1, MAPS7("m", 16) SPATIAL("x", "m", "0.3"), NULL, NULL},
    {"spatial, 16 samples", 16, MAPS7("m", 8) RELU("r", "m") SPATIAL("x", "r", "0.3"), NULL, NULL},
    {"spatial of vectors", 16, DENSE("h", "image", 33) SPATIAL("x", "h", "0.5"), NULL, NULL},
    {"spatial, rate 0", 3, MAPS7("m", 6) SPATIAL("x", "m", "0.0"), NULL, NULL},
    {"spatial, then a relu", 3, MAPS7("m", 6) SPATIAL("a", "m", "0.5") RELU("x", "a"), NULL, NULL},
    {"spatial, odd count, then a relu", 5, MAPS7("m", 5) SPATIAL("a", "m", "0.2") RELU("x", "a"),
     NULL, NULL},
    {"spatial, twice, beside another user", 11,
     MAPS7("m", 9) SPATIAL("a", "m", "0.2") CONV("c", "a", "channels=9 kernel=1")
         SPATIAL("b", "c", "0.4") JOIN2("x", "add", "a", "b"),
     NULL, NULL},
};

/* Every function takes the same rows. */
#define ACTIVATION_ROWS(kind)                                                                      \
    {kind " on the image", 3, NODE("x", kind, "image", ""), NULL, NULL},                           \
        {kind " of maps", 3, MAPS7("m", 6) NODE("x", kind, "m", ""), NULL, NULL},                  \
        {kind " of maps, odd counts", 1, MAPS7("m", 3) NODE("x", kind, "m", ""), NULL, NULL},      \
        {kind " of vectors", 16, DENSE("h", "image", 33) NODE("x", kind, "h", ""), NULL, NULL},    \
        {kind " of one value", 1, DENSE("h", "image", 1) NODE("x", kind, "h", ""), NULL, NULL},    \
        {kind " of a conv of one pixel", 3,                                                        \
         CONV("c", "image", "channels=9 kernel=28") NODE("x", kind, "c", ""), NULL, NULL},         \
        {kind " between convs", 16,                                                                \
         MAPS7("m", 8) NODE("t", kind, "m", "") CONV("x", "t", "channels=5 kernel=3"), NULL,       \
         NULL},                                                                                    \
        {kind " before a pool", 3,                                                                 \
         CONV("m", "image", "kernel=5 channels=6") NODE("t", kind, "m", "")                        \
             NODE("x", "avgpool", "t", "size=2"),                                                  \
         NULL, NULL},                                                                              \
        {kind " after a relu", 3, MAPS7("m", 6) RELU("r", "m") NODE("x", kind, "r", ""), NULL,     \
         NULL},                                                                                    \
        {kind " beside another user", 3,                                                           \
         MAPS7("m", 6) NODE("a", kind, "m", "") NODE("b", kind, "a", "")                           \
             JOIN3("x", "add", "m", "a", "b"),                                                     \
         NULL, NULL},                                                                              \
        {kind " of an output", 3,                                                                  \
         DENSE("d", "image", 10) NODE("g", kind, "d", "") DENSE("s", "g", 19), "d", "s"},          \
    {                                                                                              \
        kind " then flatten", 3, MAPS7("m", 6) NODE("t", kind, "m", "") FLATTEN("x", "t"), NULL,   \
            NULL                                                                                   \
    }

static const struct row activation_rows[] = {ACTIVATION_ROWS("tanh"), ACTIVATION_ROWS("sigmoid"),
                                             ACTIVATION_ROWS("gelu")};

ROWS_TESTS(dense, dense_rows)
ROWS_TESTS(flatten, flatten_rows)
ROWS_TESTS(softmax, softmax_rows)
ROWS_TESTS(join, join_rows)
ROWS_TESTS(dropout, dropout_rows)
ROWS_TESTS(activation, activation_rows)
