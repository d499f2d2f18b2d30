#include "tests/model/texts.h"
#include "model/net.h"

#include <criterion/criterion.h>
#include <string.h>

const char tiny_text[] = "# a network of a few hundred floats — and one character beyond ASCII\n"
                         "name = tiny\n"
                         "pool avgpool image size=14\n"
                         "conv conv pool channels=2 kernel=1\n"
                         "bn batchnorm conv\n"
                         "logits dense bn units=10 bias=false\n"
                         "addend onehot digit\n"
                         "both concat logits addend\n"
                         "sum dense both units=1\n"
                         "output digit = logits\noutput sum = sum\n";

struct net *must_parse(const char *text) {
    struct error error = {0};
    struct net *net = net_parse(text, strlen(text), "t.net", &error);
    cr_assert_not_null(net, "%s", error.text);
    return net;
}
