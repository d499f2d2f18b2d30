/* The table and the drawing of a network. */
#include "model/net.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(describe, table_of_a_small_network) {
    struct net *net = must_parse(tiny_text);
    char *text = net_describe(net);
    cr_expect_str_eq(
        text, "network tiny: 109 trainable parameters, 4 running statistics, 900 multiply-adds per "
              "sample; digit from logits, sum from sum (regression)\n"
              "  node    kind           input            output  parameters  multiply-adds\n"
              "  image   image                          1x28x28           0              0\n"
              "  digit   digit                                1           0              0\n"
              "  pool    avgpool 14x14  image             1x2x2           0            784\n"
              "  conv    conv 1x1       pool              2x2x2           4              8\n"
              "  bn      batchnorm      conv              2x2x2           8              8\n"
              "  logits  dense no bias  bn                   10          80             80\n"
              "  addend  onehot         digit                10           0              0\n"
              "  both    concat         logits, addend       20           0              0\n"
              "  sum     dense          both                  1          21             20\n"
              "  total                                                  113            900\n");
    free(text);
    net_destroy(&net);
}

Test(describe, what_the_shapes_do_not_show) {
    struct net *net = must_parse("name = t\n"
                                 "c conv image channels=4 kernel=5 stride=2 padding=2\n"
                                 "m maxpool c size=3 stride=2\n"
                                 "d dropout m rate=0.1\n"
                                 "w dropout d rate=0.2 spatial=true\n"
                                 "logits dense w units=10 bias=false\n"
                                 "s dense d units=19\n"
                                 "output digit = logits\noutput sum = s\n");
    char *text = net_describe(net);
    cr_expect_not_null(strstr(text, "conv 5x5 stride 2 padding 2  "));
    cr_expect_not_null(strstr(text, "dense no bias"));
    cr_expect_not_null(strstr(text, "maxpool 3x3 stride 2"));
    cr_expect_not_null(strstr(text, "dropout 0.1 "));
    cr_expect_not_null(strstr(text, "dropout 0.2 spatial"));
    cr_expect_null(strstr(text, "0.1 spatial"));
    cr_expect_not_null(strstr(text, "19,600"), "thousands are set apart: %s", text);
    free(text);
    net_destroy(&net);
}

Test(describe, drawing) {
    struct net *net = must_parse(tiny_text);
    char *text = net_dot(net);
    cr_expect_eq(strncmp(text, "digraph \"tiny\" {\n", 17), 0);
    cr_expect_not_null(strstr(text, "\"conv\" [label=\"conv\\nconv 1x1\\n2x2x2\"];"));
    cr_expect_not_null(strstr(text, "\"pool\" -> \"conv\";"));
    cr_expect_not_null(strstr(text, "\"addend\" -> \"both\";"));
    cr_expect_not_null(strstr(text, "\"sum\" -> \"output sum\";"));
    cr_expect_str_eq(text + strlen(text) - 2, "}\n");
    free(text);
    net_destroy(&net);
}
