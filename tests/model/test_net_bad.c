/* What is refused, with its line and its words; and that nothing else happens. */
#include "model/net.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text with line breaks at `|`, so that a row reads well and its lines can be counted. */
static char *with_lines(const char *text) {
    char *copy = strdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '|')
            *at = '\n';
    return copy;
}

static void expect_refused(const char *text, size_t size, const char *sentence) {
    struct error error = {0};
    struct net *net = net_parse(text, size, "t.net", &error);
    cr_expect_null(net, "accepted, instead of: %s", sentence);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, sentence);
    net_destroy(&net);
}

/* A network whose second line is a node x; what follows it is right. */
#define HEAD "name = t|"
#define TAIL "|out dense x units=10|sum dense x units=19|output digit = out|output sum = sum|"
#define X(rest) HEAD "x " rest TAIL

struct row {
    const char *text, *sentence;
};

static void expect_rows(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *text = with_lines(rows[i].text);
        expect_refused(text, strlen(text), rows[i].sentence);
        free(text);
    }
}
#define EXPECT_ROWS(rows) expect_rows(rows, sizeof(rows) / sizeof *(rows))

/* The frame itself must be right, or every row would be refused for another reason. */
Test(net_bad, the_frame_is_right) {
    char *text = with_lines(X("relu image"));
    struct net *net = must_parse(text);
    cr_expect_eq(net->node_count, 5);
    net_destroy(&net);
    free(text);
}

// clang-format off
static const struct row text_rows[] = {
    {"", "t.net:1:1: expected a line 'name = NAME' before the end"},
    {"# nothing|", "t.net:1:1: expected a line 'name = NAME' before the end"},
    {"name = t", "t.net:1:1: expected a line 'output digit = NODE' before the end"},
    {"name = t|name = u", "t.net:2:1: 'name' stands in line 1 already"},
    {"  name =# t", "t.net:1:9: expected a value after '='"},
    {"name = t|  = u", "t.net:2:3: expected a name before '='"},
    {"name = t u", "t.net:1:1: expected 'name = NAME', 'parameters = COUNT', or one node a line, such as: conv1 conv image channels=16 kernel=5"},
    {"name = a.b", "t.net:1:1: expected a name, not 'a.b': up to 63 letters, digits and '_', not beginning with a digit"},
    {"name = 7", "t.net:1:1: expected a name, not '7': up to 63 letters, digits and '_', not beginning with a digit"},
    {"name = t|# colour|colour = 1", "t.net:3:1: expected 'name = NAME', 'parameters = COUNT', or one node a line, such as: conv1 conv image channels=16 kernel=5"},
    {"name = t # \xc3\xa4|# \xe4|", "t.net:2:1: the line is not UTF-8"},
    {"name = t|a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g", "t.net:2:65: the line has too many words"},
};

/* What networks looked like in earlier versions. */
#define OLD "belongs to an older form that is not read any more; a network has one node a line, such as: conv1 conv image channels=16 kernel=5"
static const struct row old_rows[] = {
    {"/* LeNet-5 */|name = \"lenet5\";", "t.net:1:1: '/*' " OLD},
    {"name = \"t\";|nodes = (", "t.net:1:8: '\"' " OLD},
    {"name = t;", "t.net:1:9: ';' " OLD},
    {"# @include|name = t|nodes = (", "t.net:3:9: '(' " OLD},
    {"name = t|  { name = c1", "t.net:2:3: '{' " OLD},
    {"name = t|x relu image /* a comment */", "t.net:2:14: '/*' " OLD},
};

static const struct row node_rows[] = {
    {HEAD "x" TAIL, "t.net:2:1: expected one node a line, such as: conv1 conv image channels=16 kernel=5"},
    {HEAD "x kernel=5" TAIL, "t.net:2:1: expected one node a line, such as: conv1 conv image channels=16 kernel=5"},
    {HEAD "a.b relu image" TAIL, "t.net:2:1: expected a name, not 'a.b': up to 63 letters, digits and '_', not beginning with a digit"},
    {HEAD "image relu image" TAIL, "t.net:2:1: 'image' is an input of every network"},
    {HEAD "x relu image|x relu image" TAIL, "t.net:3:1: there is a node 'x' in line 2 already"},
    {X("relux image"), "t.net:2:3: there is no kind of node 'relux'; there are conv, dense, batchnorm, relu, tanh, "
     "sigmoid, gelu, maxpool, avgpool, dropout, onehot, concat, add, outer, softmax, flatten; did you mean 'relu'?"},
    {X("image image"), "t.net:2:3: there is no kind of node 'image'; there are conv, dense, batchnorm, relu, tanh, "
     "sigmoid, gelu, maxpool, avgpool, dropout, onehot, concat, add, outer, softmax, flatten"},
    {X("relu image slope=0.1"), "t.net:2:14: relu has no attribute 'slope'; it has none"},
    {X("conv image filters=2"), "t.net:2:14: conv has no attribute 'filters'; it has channels, kernel, stride, padding, bias, rate; did you mean 'channels'?"},
    {X("conv image strides=2"), "t.net:2:14: conv has no attribute 'strides'; it has channels, kernel, stride, padding, bias, rate; did you mean 'stride'?"},
    {X("conv image kernel=5 channels=3 kernel=4"), "t.net:2:34: 'kernel' is given twice"},
    {X("relu"), "t.net:2:3: relu takes 1 input, not 0"},
    {X("relu image image"), "t.net:2:3: relu takes 1 input, not 2"},
    {X("add image"), "t.net:2:3: add takes 2 to 8 inputs, not 1"},
    {X("add image image image image image image image image image"), "t.net:2:3: add takes 2 to 8 inputs, not 9"},
    {X("outer image image image"), "t.net:2:3: outer takes 2 inputs, not 3"},
    {X("conv image kernel=3"), "t.net:2:3: conv needs 'channels'"},
    {X("conv image channels=3"), "t.net:2:3: conv needs 'kernel'"},
    {X("conv image kernel=3 channels=0"), "t.net:2:23: 'channels' must be a whole number from 1 to 4194304, not '0'"},
    {X("conv image kernel=3 channels=eight"), "t.net:2:23: 'channels' must be a whole number from 1 to 4194304, not 'eight'"},
    {X("conv image kernel=3 channels=8.0"), "t.net:2:23: 'channels' must be a whole number from 1 to 4194304, not '8.0'"},
    {X("conv image kernel=3 channels=0x8"), "t.net:2:23: 'channels' must be a whole number from 1 to 4194304, not '0x8'"},
    {X("conv image kernel=3 channels=4294967297"), "t.net:2:23: 'channels' must be a whole number from 1 to 4194304, not '4294967297'"},
    {X("conv image channels=3 kernel=256"), "t.net:2:25: 'kernel' must be a whole number from 1 to 255, not '256'"},
    {X("conv image channels=3 kernel=3 stride=0"), "t.net:2:34: 'stride' must be a whole number from 1 to 255, not '0'"},
    {X("conv image channels=3 kernel=3 padding=-1"), "t.net:2:34: 'padding' must be a whole number from 0 to 255, not '-1'"},
    {X("conv image channels=3 kernel=3 bias=1"), "t.net:2:34: 'bias' must be true or false, not '1'"},
    {X("dense image units=4 rate=1e999"), "t.net:2:23: 'rate' must be a number from 0 to 1000, not '1e999'"},
    {X("dense image units=4 rate=nan"), "t.net:2:23: 'rate' must be a number from 0 to 1000, not 'nan'"},
    {X("dense image units=4 rate=1=2"), "t.net:2:23: 'rate' must be a number from 0 to 1000, not '1=2'"},
    {X("batchnorm image momentum=1.5"), "t.net:2:19: 'momentum' must be a number from 0 to 1, not '1.5'"},
    {X("batchnorm image epsilon=0.0"), "t.net:2:19: 'epsilon' must be a number from 1e-12 to 1, not '0.0'"},
    {X("dropout image"), "t.net:2:3: dropout needs 'rate'"},
    {X("dropout image rate=1.0"), "t.net:2:17: 'rate' must be a number from 0 to 0.99, not '1.0'"},
    {X("dropout image rate=0.1 spatial=1"), "t.net:2:26: 'spatial' must be true or false, not '1'"},
    {X("onehot digit size=9"), "t.net:2:16: 'size' must be a whole number from 10 to 1024, not '9'"},
};

static const struct row graph_rows[] = {
    {X("relu nobody"), "t.net:2:8: there is no node 'nobody' above this line"},
    {X("relu iamge"), "t.net:2:8: there is no node 'iamge' above this line; did you mean 'image'?"},
    {X("concat image nobody"), "t.net:2:16: there is no node 'nobody' above this line"},
    {X("dense digit units=3"), "t.net:2:9: only onehot takes the input 'digit'"},
    {X("onehot image"), "t.net:2:1: node 'x': onehot takes the input 'digit', not 'image' of 1x28x28"},
    {X("relu x"), "t.net:2:8: there is no node 'x' above this line"},
    {HEAD "w relu y|y relu w|x relu y" TAIL, "t.net:2:8: there is no node 'y' above this line"},
    {X("relu image|spare relu x"), "t.net:3:1: node 'spare' is not used: no output depends on it"},
    {X("conv image channels=2 kernel=29"), "t.net:2:1: node 'x': a kernel of 29x29 does not fit on 'image' of 1x28x28 with padding 0"},
    {X("conv image channels=2 kernel=3 padding=3"), "t.net:2:1: node 'x': padding 3 must be less than kernel 3"},
    {X("maxpool image size=29"), "t.net:2:1: node 'x': a window of 29x29 does not fit on 'image' of 1x28x28"},
    {HEAD "p avgpool image size=2|x add image p" TAIL, "t.net:3:1: node 'x': add takes equal shapes, but 'image' is 1x28x28 and 'p' is 1x14x14"},
    {HEAD "d onehot digit|x outer d image" TAIL, "t.net:3:1: node 'x': outer takes two vectors, but 'd' is 10 and 'image' is 1x28x28"},
    {X("softmax image"), "t.net:2:1: node 'x': softmax takes a vector, but 'image' is 1x28x28"},
    {X("conv image channels=4194304 kernel=1"), "t.net:2:1: node 'x': the output would be 4194304x28x28, over the limit of 4194304 values"},
    {X("dense image units=4194304"), "t.net:2:1: node 'x': with its 3288334336 floats of 'weight' the network is over the limit of 268435456"},
};

#define OUTPUTS "expected 'output digit = NODE' or 'output sum = NODE'"
static const struct row output_rows[] = {
    {"name = t|output", "t.net:2:1: " OUTPUTS},
    {"name = t|output digit", "t.net:2:1: " OUTPUTS},
    {"name = t|output digits = x", "t.net:2:1: " OUTPUTS},
    {"name = t|output digit = x sum = y", "t.net:2:1: " OUTPUTS},
    {"name = t|output digit = 3|", "t.net:2:8: there is no node '3'"},
    {"name = t|output digit = x|output digit = x", "t.net:3:8: 'digit' stands in line 2 already"},
    {"name = t|output digit = digit", "t.net:2:8: the output 'digit' cannot be the input 'digit'"},
    {HEAD "x dense image units=10|output digit = x|# the end|", "t.net:4:1: expected a line 'output sum = NODE' before the end"},
    {HEAD "x dense image units=10|output digit = x|output sum = x", "t.net:4:8: the output 'sum' must have shape 19 or 1, but 'x' is 10"},
    {HEAD "x dense image units=11|output digit = x", "t.net:3:8: the output 'digit' must have shape 10, but 'x' is 11"},
    {HEAD "x conv image channels=10 kernel=27|output digit = x", "t.net:3:8: the output 'digit' must have shape 10, but 'x' is 10x2x2"},
    {"|parameters = 22|" X("avgpool image size=28"), "t.net:2:1: 'parameters' says 22, but the nodes have 58 trainable floats"},
    {"|parameters = many|" X("avgpool image size=28"), "t.net:2:1: 'parameters' must be a whole number from 0 to 268435456, not 'many'"},
    {"|parameters = -1|" X("avgpool image size=28"), "t.net:2:1: 'parameters' must be a whole number from 0 to 268435456, not '-1'"},
};
// clang-format on

Test(net_bad, text) {
    EXPECT_ROWS(text_rows);
}

Test(net_bad, the_older_form) {
    EXPECT_ROWS(old_rows);
}

Test(net_bad, nodes) {
    EXPECT_ROWS(node_rows);
}

Test(net_bad, graph) {
    EXPECT_ROWS(graph_rows);
}

Test(net_bad, outputs) {
    EXPECT_ROWS(output_rows);
}

Test(net_bad, bytes) {
    static const char with_nul[] = "name = t\nx \0";
    expect_refused(with_nul, sizeof with_nul - 1, "t.net:2:3: a NUL byte has no place in a text");
    size_t size = NET_TEXT_MAX + 1;
    char *text = malloc(size);
    memset(text, '\n', size);
    expect_refused(text, size, "t.net: a network has at most 65536 bytes; this one has more");
    expect_refused(text, size - 1, "t.net:65536:1: expected a line 'name = NAME' before the end");
    free(text);
}

/* `first`, then `count` lines made of `format`, which takes a number and the one before it. */
static char *make_lines(const char *first, const char *format, int count, size_t *size) {
    char *text = NULL;
    FILE *file = open_memstream(&text, size);
    fputs(first, file);
    for (int i = 1; i <= count; i++)
        fprintf(file, format, i, i - 1);
    fclose(file);
    return text;
}

Test(net_bad, too_many_nodes) {
    size_t size;
    char *text = make_lines("name = t\n", "n%d relu image\n", 255, &size);
    expect_refused(text, size, "t.net:256:1: a network has at most 254 nodes");
    free(text);
}

Test(net_bad, a_sum_of_sizes_cannot_overflow) {
    /* 2^28 floats are reached by many nodes of which each alone is allowed. */
    size_t size;
    char *text = make_lines("output digit = d\noutput sum = s\nname = t\n"
                            "n0 dense image units=8000 bias=false\n",
                            "n%d dense n%d units=8000 bias=false\n", 5, &size);
    text = realloc(text, size + 64);
    strcpy(text + size, "d dense n5 units=10\ns dense n5 units=19\n");
    expect_refused(text, strlen(text),
                   "t.net:9:1: node 'n5': with its 64000000 floats of 'weight' the network is over "
                   "the limit of 268435456");
    free(text);
}

/* --- anything at all ------------------------------------------------------------------------- */

/* Either refused with a sentence, or a network; a leak or a bad access shows under ASan. */
static void survive(const char *text, size_t size) {
    struct error error = {0};
    struct net *net = net_parse(text, size, "t.net", &error);
    if (!net) {
        cr_assert_eq(error.code, ERROR_INVALID, "%s", error.text);
        cr_assert_neq(error.text[0], '\0');
    }
    net_destroy(&net);
}

Test(net_bad, truncated_at_every_byte) {
    size_t size = strlen(tiny_text);
    size_t right = 0;
    for (size_t length = 0; length <= size; length++) {
        /* A copy of the exact length, so that reading past the end shows. */
        char *text = malloc(length > 0 ? length : 1);
        memcpy(text, tiny_text, length);
        struct error error = {0};
        struct net *net = net_parse(text, length, "t.net", &error);
        right += net != NULL;
        if (!net)
            cr_assert_eq(error.code, ERROR_INVALID, "%s", error.text);
        net_destroy(&net);
        free(text);
    }
    cr_expect_eq(right, 2, "whole, and without its line feed");
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

Test(net_bad, random_bytes) {
    uint32_t state = 20240601;
    char text[256];
    for (int round = 0; round < 2000; round++) {
        size_t size = next_random(&state) % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)next_random(&state);
        survive(text, size);
    }
}

Test(net_bad, random_words) {
    static const char *const words[] = {"name = t\n",
                                        "\n",
                                        "a",
                                        "b",
                                        "conv",
                                        "dense",
                                        "add",
                                        "onehot",
                                        "image",
                                        "digit",
                                        "=",
                                        "3",
                                        "10",
                                        "units=",
                                        "size",
                                        "kernel=3",
                                        "true",
                                        "0.5",
                                        "output",
                                        "units",
                                        "#",
                                        "\r",
                                        "1e9",
                                        "0xFF",
                                        "output digit = a\n",
                                        "output sum = b\n",
                                        "channels=2",
                                        "\"",
                                        "flat",
                                        "parameters = 1"};
    uint32_t state = 7;
    for (int round = 0; round < 5000; round++) {
        char text[400] = "";
        size_t used = 0;
        for (unsigned i = 0, count = next_random(&state) % 40; i < count; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s ",
                                     words[next_random(&state) % (sizeof words / sizeof *words)]);
        survive(text, used);
    }
}

Test(net_bad, one_byte_changed) {
    uint32_t state = 99;
    size_t size = strlen(tiny_text);
    char *text = malloc(size);
    for (int round = 0; round < 5000; round++) {
        memcpy(text, tiny_text, size);
        text[next_random(&state) % size] = (char)(32 + next_random(&state) % 95);
        text[next_random(&state) % size] = (char)(32 + next_random(&state) % 95);
        survive(text, size);
    }
    free(text);
}
