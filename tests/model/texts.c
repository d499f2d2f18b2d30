#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <string.h>

const char tiny_text[] =
    "# a network of a few hundred floats — and one character beyond ASCII\n"
    "name = \"tiny\";\n"
    "nodes = (\n"
    "    { name = \"pool\"; kind = \"avgpool\"; input = \"image\"; size = 14; },\n"
    "    { name = \"conv\"; kind = \"conv\"; input = \"pool\"; channels = 2; kernel = 1; },\n"
    "    { name = \"bn\"; kind = \"batchnorm\"; input = \"conv\"; },\n"
    "    { name = \"logits\"; kind = \"dense\"; input = \"bn\"; units = 10; bias = false; },\n"
    "    { name = \"addend\"; kind = \"onehot\"; input = \"digit\"; },\n"
    "    { name = \"both\"; kind = \"concat\"; inputs = (\"logits\", \"addend\"); },\n"
    "    { name = \"sum\"; kind = \"dense\"; input = \"both\"; units = 1; }\n"
    ");\n"
    "outputs = { digit = \"logits\"; sum = \"sum\"; };\n";

struct net *must_parse(const char *text) {
    struct error error = {0};
    struct net *net = net_parse(text, strlen(text), "t.net", &error);
    cr_assert_not_null(net, "%s", error.text);
    return net;
}
