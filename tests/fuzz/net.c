/* Fuzz target: the text of a network. What parses must also be described without harm. */
#include "model/net.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct error error;
    struct net *net = net_parse((const char *)bytes, size, "fuzz.net", &error);
    if (net) {
        free(net_describe(net));
        free(net_dot(net));
    }
    net_destroy(&net);
    return 0;
}
