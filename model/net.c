/* The life of a network: parsing takes the steps of parse.h in order. Where files lie, load.c
 * knows. */
#include "model/net.h"

#include "common/text.h"
#include "model/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(NET_TEXT_MAXIMUM == TEXT_MAXIMUM, "text_check has the limit that net.h tells");

static int parse(struct parser *parser, config_t *config) {
    if (!config_read_string(config, text_begin(parser->net->text)))
        return parse_fail(parser, config_error_line(config), "%s", config_error_text(config));
    const config_setting_t *root = config_root_setting(config);
    if (parse_top(parser, root) || parse_nodes(parser, root) || graph_sort(parser) ||
        graph_build(parser) || graph_outputs(parser, root) || graph_parameters(parser) ||
        parse_count(parser, root))
        return -1;
    return 0;
}

struct net *net_parse(const char *text, size_t size, const char *origin, struct error *error) {
    assert(text && origin);
    struct error unread;
    struct parser parser = {.origin = origin, .error = error ? error : &unread};
    config_t config;
    int result = -1;
    config_init(&config);
    if (text_check(text, size, origin, "a network file", error))
        goto done;
    parser.net = calloc(1, sizeof *parser.net);
    parser.drafts = calloc(NET_NODES, sizeof *parser.drafts);
    if (parser.net)
        parser.net->text = strndup(text, size);
    if (!parser.net || !parser.net->text || !parser.drafts) {
        error_set(error, ERROR_MEMORY, "%s: no memory to read the network", origin);
        goto done;
    }
    result = parse(&parser, &config);
done:
    config_destroy(&config);
    free(parser.drafts);
    if (result)
        net_destroy(&parser.net);
    return parser.net;
}

void net_destroy(struct net **net) {
    if (!net || !*net)
        return;
    free((*net)->text);
    free((*net)->nodes);
    free((*net)->parameters);
    free(*net);
    *net = NULL;
}
