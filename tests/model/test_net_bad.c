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

/* A network whose second line is `nodes`; the outputs are right and stand in lines 3 to 6. */
#define HEAD "name = \"t\"; nodes = (|"
#define TAIL                                                                                       \
    "|{ name = \"out\"; kind = \"dense\"; input = \"x\"; units = 10; },|"                          \
    "{ name = \"sum\"; kind = \"dense\"; input = \"x\"; units = 19; } );|"                         \
    "outputs = { digit = \"out\"; sum = \"sum\"; };|"
#define X(rest) HEAD "{ name = \"x\"; " rest " }," TAIL

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
    char *text = with_lines(X("kind = \"relu\"; input = \"image\";"));
    struct net *net = must_parse(text);
    cr_expect_eq(net->node_count, 5);
    net_destroy(&net);
    free(text);
}

// clang-format off
static const struct row text_rows[] = {
    {"", "t.net:1: a network needs 'name'"},
    {"name = \"t\"", "t.net:1: a network needs 'nodes', a list in parentheses"},
    {"name = \"t\";|name = \"u\";", "t.net:2: duplicate setting name"},
    {"name = \"t\";|nodes = ;", "t.net:2: syntax error"},
    {"name = \"t\";|nodes = ( );", "t.net:1: a network needs 'outputs', a group in braces"},
    {"|/* open", "t.net:2: a comment without an end"},
    {"name = \"t|", "t.net:1: a string without an end"},
    {"name = \"t\";|@include \"/etc/passwd\"|", "t.net:2: '@' has no place in a network file: it includes no others"},
    {"# @include|name = \"a\\x00b\";", "t.net:2: a backslash has no place in a network file's strings"},
    {"name = \"a b\";", "t.net:1: 'name' must be a name in quotes: up to 63 letters, digits and '_', not beginning with a digit"},
    {"name = 7;", "t.net:1: 'name' must be a name in quotes: up to 63 letters, digits and '_', not beginning with a digit"},
    {"name = \"t\";|// colour|colour = 1;", "t.net:3: a network has no setting 'colour'; it has name, parameters, nodes, outputs"},
    {"|nodes = 4294967312;", "t.net:2: a whole number is greater than 2147483647"},
    {"|nodes = 0x1FFFFFFFF;", "t.net:2: a whole number is greater than 2147483647"},
    {"|nodes = 99999999999999999999999L;", "t.net:2: a whole number is greater than 2147483647"},
    {"name = \"t\"; # \xc3\xa4|# \xe4|", "t.net:2: the text is not UTF-8"},
    {"name = \"t\";|nodes = { };", "t.net:2: a network needs 'nodes', a list in parentheses"},
    {"name = \"t\"; nodes = (|1 );", "t.net:2: a node must be a group in braces"},
};

static const struct row string_rows[] = {
    {"|\"a\" = 1;", "t.net:2: a string has no place here"},
    {"name \"a\";", "t.net:1: a string has no place here"},
    {"x = 3, # or|\"a\";", "t.net:2: a string has no place here"},
    {"x = ({ y = 3, \"a\" });", "t.net:1: a string has no place here"},
    {"name = \"t\"|/* and */ \"u\"; nodes = (1, \"a\");", "t.net:2: a node must be a group in braces"},
    {"x = [ [ \"a\" ] ];", "t.net:1: syntax error"},
    {"x = |((((((((((((((((", "t.net:2: syntax error"},
    {"x = |(((((((((((((((((", "t.net:2: brackets nest too deeply"},
};

static const struct row node_rows[] = {
    {HEAD "{ kind = \"relu\"; }," TAIL, "t.net:2: a node needs 'name'"},
    {HEAD "{ name = \"x\"; }," TAIL, "t.net:2: a node needs 'kind'"},
    {HEAD "{ name = \"a.b\"; kind = \"relu\"; }," TAIL, "t.net:2: 'name' must be a name in quotes: up to 63 letters, digits and '_', not beginning with a digit"},
    {HEAD "{ name = \"image\"; kind = \"relu\"; }," TAIL, "t.net:2: 'image' is the name of an input of every network"},
    {HEAD "{ name = \"x\"; kind = \"relu\"; input = \"image\"; },|{ name = \"x\"; kind = \"relu\"; input = \"image\"; }," TAIL, "t.net:3: there is a node 'x' in line 2 already"},
    {X("kind = \"relux\"; input = \"image\";"), "t.net:2: node 'x': there is no kind of node 'relux'; there are conv, dense, batchnorm, relu, tanh, "
     "sigmoid, gelu, maxpool, avgpool, dropout, onehot, concat, add, outer, softmax, flatten; did you mean 'relu'?"},
    {X("kind = \"image\"; input = \"image\";"), "t.net:2: node 'x': there is no kind of node 'image'; there are conv, dense, batchnorm, relu, tanh, "
     "sigmoid, gelu, maxpool, avgpool, dropout, onehot, concat, add, outer, softmax, flatten"},
    {X("kind = \"relu\"; input = \"image\";|slope = 0.1;"), "t.net:3: node 'x': relu has no setting 'slope'; it has name, kind, input"},
    {X("kind = \"relu\"; input = \"image\";|inptu = \"image\";"), "t.net:3: node 'x': relu has no setting 'inptu'; it has name, kind, input; did you mean 'input'?"},
    {X("kind = \"conv\"; input = \"image\";|filters = 2;"), "t.net:3: node 'x': conv has no setting 'filters'; it has name, kind, input, channels, kernel, stride, padding, bias, rate; did you mean 'channels'?"},
    {X("kind = \"conv\"; input = \"image\";|strides = 2;"), "t.net:3: node 'x': conv has no setting 'strides'; it has name, kind, input, channels, kernel, stride, padding, bias, rate; did you mean 'stride'?"},
    {X("kind = \"concat\"; input = \"image\";"), "t.net:2: node 'x': concat has no setting 'input'; it has name, kind, inputs; did you mean 'inputs'?"},
    {X("kind = \"relu\";"), "t.net:2: node 'x': relu needs 'input'"},
    {X("kind = \"add\";"), "t.net:2: node 'x': add needs 'inputs'"},
    {X("kind = \"relu\";|input = 3;"), "t.net:3: node 'x': 'input' must name one node in quotes"},
    {X("kind = \"add\";|inputs = \"image\";"), "t.net:3: node 'x': 'inputs' must be a list in parentheses"},
    {X("kind = \"add\";|inputs = (\"image\");"), "t.net:3: node 'x': add takes 2 to 8 inputs, not 1"},
    {X("kind = \"outer\";|inputs = (\"image\", \"image\", \"image\");"), "t.net:3: node 'x': outer takes 2 to 2 inputs, not 3"},
    {X("kind = \"add\"; inputs = (\"image\",|7);"), "t.net:3: node 'x': 'inputs' must name nodes in quotes"},
    {X("kind = \"conv\"; input = \"image\"; kernel = 3;"), "t.net:2: node 'x': conv needs 'channels'"},
    {X("kind = \"conv\"; input = \"image\"; channels = 3;"), "t.net:2: node 'x': conv needs 'kernel'"},
    {X("kind = \"conv\"; input = \"image\"; kernel = 3;|channels = 0;"), "t.net:3: 'channels' must be from 1 to 4194304, not 0"},
    {X("kind = \"conv\"; input = \"image\"; kernel = 3;|channels = \"8\";"), "t.net:3: 'channels' must be a whole number"},
    {X("kind = \"conv\"; input = \"image\"; kernel = 3;|channels = 8.0;"), "t.net:3: 'channels' must be a whole number"},
    {X("kind = \"conv\"; input = \"image\"; channels = 3;|kernel = 256;"), "t.net:3: 'kernel' must be from 1 to 255, not 256"},
    {X("kind = \"conv\"; input = \"image\"; channels = 3; kernel = 3;|stride = 0;"), "t.net:3: 'stride' must be from 1 to 255, not 0"},
    {X("kind = \"conv\"; input = \"image\"; channels = 3; kernel = 3;|padding = -1;"), "t.net:3: 'padding' must be from 0 to 255, not -1"},
    {X("kind = \"conv\"; input = \"image\"; channels = 3; kernel = 3;|bias = 1;"), "t.net:3: 'bias' must be true or false"},
    {X("kind = \"dense\"; input = \"image\"; units = 4;|rate = 1e999;"), "t.net:3: 'rate' must be from 0 to 1000, not inf"},
    {X("kind = \"dense\"; input = \"image\"; units = 4;|rate = \"1\";"), "t.net:3: 'rate' must be a number"},
    {X("kind = \"batchnorm\"; input = \"image\";|momentum = 1.5;"), "t.net:3: 'momentum' must be from 0 to 1, not 1.5"},
    {X("kind = \"batchnorm\"; input = \"image\";|epsilon = 0.0;"), "t.net:3: 'epsilon' must be from 1e-12 to 1, not 0"},
    {X("kind = \"dropout\"; input = \"image\";"), "t.net:2: node 'x': dropout needs 'rate'"},
    {X("kind = \"dropout\"; input = \"image\";|rate = 1.0;"), "t.net:3: 'rate' must be from 0 to 0.99, not 1"},
    {X("kind = \"dropout\"; input = \"image\"; rate = 0.1;|spatial = 1;"), "t.net:3: 'spatial' must be true or false"},
    {X("kind = \"onehot\"; input = \"digit\";|size = 9;"), "t.net:3: 'size' must be from 10 to 1024, not 9"},
};

static const struct row graph_rows[] = {
    {X("kind = \"relu\";|input = \"nobody\";"), "t.net:3: node 'x': there is no node 'nobody'"},
    {X("kind = \"relu\";|input = \"iamge\";"), "t.net:3: node 'x': there is no node 'iamge'; did you mean 'image'?"},
    {X("kind = \"concat\"; inputs = (\"image\",|\"nobody\");"), "t.net:3: node 'x': there is no node 'nobody'"},
    {X("kind = \"dense\"; units = 3;|input = \"digit\";"), "t.net:3: node 'x': only onehot takes the input 'digit'"},
    {X("kind = \"onehot\"; input = \"image\";"), "t.net:2: node 'x': onehot takes the input 'digit', not 'image' of 1x28x28"},
    {X("kind = \"relu\"; input = \"x\";"), "t.net:2: the nodes form a cycle: 'x' takes 'x'"},
    {HEAD "{ name = \"w\"; kind = \"relu\"; input = \"x\"; },|{ name = \"x\"; kind = \"relu\"; input = \"y\"; },|{ name = \"y\"; kind = \"relu\"; input = \"z\"; },|{ name = \"z\"; kind = \"add\"; inputs = (\"image\", \"x\"); }," TAIL, "t.net:4: the nodes form a cycle: 'y' takes 'z' takes 'x' takes 'y'"},
    {X("kind = \"relu\"; input = \"image\"; },|{ name = \"spare\"; kind = \"relu\"; input = \"x\";"), "t.net:3: node 'spare' is not used: no output depends on it"},
    {X("kind = \"conv\"; input = \"image\"; channels = 2; kernel = 29;"), "t.net:2: node 'x': a kernel of 29x29 does not fit on 'image' of 1x28x28 with padding 0"},
    {X("kind = \"conv\"; input = \"image\"; channels = 2; kernel = 3; padding = 3;"), "t.net:2: node 'x': padding 3 must be less than kernel 3"},
    {X("kind = \"maxpool\"; input = \"image\"; size = 29;"), "t.net:2: node 'x': a window of 29x29 does not fit on 'image' of 1x28x28"},
    {HEAD "{ name = \"p\"; kind = \"avgpool\"; input = \"image\"; size = 2; },|{ name = \"x\"; kind = \"add\"; inputs = (\"image\", \"p\"); }," TAIL, "t.net:3: node 'x': add takes equal shapes, but 'image' is 1x28x28 and 'p' is 1x14x14"},
    {HEAD "{ name = \"d\"; kind = \"onehot\"; input = \"digit\"; },|{ name = \"x\"; kind = \"outer\"; inputs = (\"d\", \"image\"); }," TAIL, "t.net:3: node 'x': outer takes two vectors, but 'd' is 10 and 'image' is 1x28x28"},
    {X("kind = \"softmax\"; input = \"image\";"), "t.net:2: node 'x': softmax takes a vector, but 'image' is 1x28x28"},
    {X("kind = \"conv\"; input = \"image\"; channels = 4194304; kernel = 1;"), "t.net:2: node 'x': the output would be 4194304x28x28, over the limit of 4194304 values"},
    {X("kind = \"dense\"; input = \"image\"; units = 4194304;"), "t.net:2: node 'x': with its 3288334336 floats of 'weight' the network is over the limit of 268435456"},
};

static const struct row output_rows[] = {
    {"name = \"t\"; nodes = ( );|outputs = ( );", "t.net:2: a network needs 'outputs', a group in braces"},
    {"name = \"t\"; nodes = ( );|outputs = { };", "t.net:2: 'outputs' needs 'digit', a node's name"},
    {"name = \"t\"; nodes = ( );|outputs = {|digit = 3; };", "t.net:3: 'outputs' needs 'digit', a node's name"},
    {"name = \"t\"; nodes = ( );|outputs = {|colour = \"x\"; };", "t.net:3: 'outputs' has no 'colour'; it has digit and sum"},
    {"name = \"t\"; nodes = ( );|outputs = {|digits = \"x\"; };", "t.net:3: 'outputs' has no 'digits'; it has digit and sum; did you mean 'digit'?"},
    {"name = \"t\"; nodes = ( );|outputs = {|digit = \"x\"; };", "t.net:3: output 'digit': there is no node 'x'"},
    {"name = \"t\"; nodes = ( );|outputs = {|digit = \"digit\"; };", "t.net:3: output 'digit' cannot be the input 'digit'"},
    {HEAD "{ name = \"x\"; kind = \"dense\"; input = \"image\"; units = 10; } );|outputs = { digit = \"x\"; };", "t.net:3: 'outputs' needs 'sum', a node's name"},
    {HEAD "{ name = \"x\"; kind = \"dense\"; input = \"image\"; units = 10; } );|outputs = { digit = \"x\";|sum = \"x\"; };", "t.net:4: output 'sum' must have shape 19 or 1, but 'x' is 10"},
    {HEAD "{ name = \"x\"; kind = \"dense\"; input = \"image\"; units = 11; } );|outputs = {|digit = \"x\"; };", "t.net:4: output 'digit' must have shape 10, but 'x' is 11"},
    {HEAD "{ name = \"x\"; kind = \"conv\"; input = \"image\"; channels = 10; kernel = 27; } );|outputs = {|digit = \"x\"; };", "t.net:4: output 'digit' must have shape 10, but 'x' is 10x2x2"},
    {"|parameters = 22;|" X("kind = \"avgpool\"; size = 28; input = \"image\";"), "t.net:2: 'parameters' says 22, but the nodes have 58 trainable floats"},
    {"|parameters = \"58\";|" X("kind = \"avgpool\"; size = 28; input = \"image\";"), "t.net:2: 'parameters' must be a whole number"},
    {"|parameters = -1;|" X("kind = \"avgpool\"; size = 28; input = \"image\";"), "t.net:2: 'parameters' must be from 0 to 268435456, not -1"},
};
// clang-format on

Test(net_bad, text) {
    EXPECT_ROWS(text_rows);
}

Test(net_bad, strings) {
    EXPECT_ROWS(string_rows);
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
    static const char with_nul[] = "name = \"t\";\n\0";
    expect_refused(with_nul, sizeof with_nul - 1,
                   "t.net:2: a NUL byte has no place in a network file");
    size_t size = NET_TEXT_MAXIMUM + 1;
    char *text = malloc(size);
    memset(text, '\n', size);
    expect_refused(text, size, "t.net: a network file has at most 65536 bytes; this one has more");
    expect_refused(text, size - 1, "t.net:1: a network needs 'name'");
    free(text);
}

Test(net_bad, too_many_nodes) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    fputs("name = \"t\";\nnodes = (\n", file);
    for (int i = 0; i < 255; i++)
        fprintf(file, "%s{ name = \"n%d\"; kind = \"relu\"; input = \"image\"; }\n", i ? "," : "",
                i);
    fputs(");\n", file);
    fclose(file);
    expect_refused(text, size, "t.net:2: 255 nodes are over the limit of 254");
    free(text);
}

Test(net_bad, a_sum_of_sizes_cannot_overflow) {
    /* 2^28 floats are reached by many nodes of which each alone is allowed. */
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    fputs("name = \"t\";\nnodes = (\n"
          "{ name = \"n0\"; kind = \"dense\"; input = \"image\"; units = 8000; bias = false; },\n",
          file);
    for (int i = 1; i <= 5; i++)
        fprintf(file,
                "{ name = \"n%d\"; kind = \"dense\"; input = \"n%d\"; units = 8000;"
                " bias = false; },\n",
                i, i - 1);
    fputs("{ name = \"d\"; kind = \"dense\"; input = \"n5\"; units = 10; },\n"
          "{ name = \"s\"; kind = \"dense\"; input = \"n5\"; units = 19; });\n"
          "outputs = { digit = \"d\"; sum = \"s\"; };\n",
          file);
    fclose(file);
    expect_refused(text, size,
                   "t.net:8: node 'n5': with its 64000000 floats of 'weight' the network is over "
                   "the limit of 268435456");
    free(text);
}

Test(net_bad, a_long_cycle_fits_in_the_sentence) {
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    fputs("name = \"t\"; nodes = (\n", file);
    for (int i = 0; i < 200; i++)
        fprintf(file,
                "%s{ name = \"a_rather_long_name_%d\"; kind = \"relu\";"
                " input = \"a_rather_long_name_%d\"; }\n",
                i ? "," : "", i, (i + 1) % 200);
    fputs(");\n", file);
    fclose(file);
    struct error error = {0};
    cr_expect_null(net_parse(text, size, "t.net", &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_not_null(strstr(error.text, ": the nodes form a cycle: 'a_rather_long_name_"));
    cr_expect_not_null(strstr(error.text, " …"), "%s", error.text);
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
    cr_expect_eq(right, 3, "whole, without its line feed, and without its last semicolon");
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
    static const char *const words[] = {
        "name", "nodes", "kind",     "input",  "=",  ";",  "{",   "}",    "(",
        ")",    "\"a\"", "3",        "true",   ",",  "[",  "]",   "0.5",  "image",
        "#",    "\n",    "\"conv\"", "inputs", "/*", "*/", "1e9", "0xFF", "outputs"};
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

Test(net_bad, deep_nesting) {
    size_t size = 60000;
    char *text = malloc(size);
    memset(text, '(', size);
    memcpy(text, "nodes = ", 8);
    survive(text, size);
    free(text);
}
