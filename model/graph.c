/* From drafts to a graph: order, shapes, outputs, parameters. Reads no settings but the outputs. */
#include "model/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int memory(struct parser *parser, size_t size) {
    return error_set(parser->error, ERROR_MEMORY, "%s: no memory for %zu bytes", parser->origin,
                     size);
}

/* --- the graph ------------------------------------------------------------------------------- */

/* Names to indices into drafts. */
static int resolve_inputs(struct parser *parser) {
    for (int i = PARSE_INPUTS; i < parser->net->node_count; i++) {
        struct node_draft *draft = &parser->drafts[i];
        for (int k = 0; k < draft->node.input_count; k++) {
            const char *name = draft->input_names[k];
            int found = parse_find(parser, name);
            char hint[SUGGEST_HINT];
            if (found < 0)
                return parse_fail(parser, draft->input_lines[k],
                                  "node '%s': there is no node '%.64s'%s", draft->node.name, name,
                                  parse_hint(parser, name, hint));
            if (parser->drafts[found].node.kind == NODE_DIGIT && draft->node.kind != NODE_ONEHOT)
                return parse_fail(parser, draft->input_lines[k],
                                  "node '%s': only onehot takes the input 'digit'",
                                  draft->node.name);
            draft->node.inputs[k] = found;
        }
    }
    return 0;
}

/* The first input that has no place yet, or -1. */
static int waits_for(const struct parser *parser, int draft) {
    const struct node *node = &parser->drafts[draft].node;
    for (int k = 0; k < node->input_count; k++)
        if (parser->place[node->inputs[k]] < 0)
            return node->inputs[k];
    return -1;
}

/* `stuck` waits for a node that waits for a node …: after as many steps as there are nodes, one
 * stands inside a cycle. */
static int fail_cycle(struct parser *parser, int stuck) {
    for (int i = 0; i < parser->net->node_count; i++)
        stuck = waits_for(parser, stuck);
    char text[sizeof parser->error->text] = "";
    size_t used = 0;
    int at = stuck;
    do {
        used += (size_t)snprintf(text + used, sizeof text - used, "'%s' takes ",
                                 parser->drafts[at].node.name);
        at = waits_for(parser, at);
    } while (at != stuck && used < sizeof text - NET_NAME - 16);
    snprintf(text + used, sizeof text - used, "'%s'%s", parser->drafts[at].node.name,
             at == stuck ? "" : " …");
    return parse_fail(parser, parser->drafts[stuck].node.line, "the nodes form a cycle: %s", text);
}

/* Inputs before their users; otherwise as the file has them. */
int graph_sort(struct parser *parser) {
    if (resolve_inputs(parser))
        return -1;
    int count = parser->net->node_count;
    memset(parser->place, -1, sizeof parser->place);
    for (int placed = 0; placed < count; placed++) {
        int next = 0;
        while (next < count && (parser->place[next] >= 0 || waits_for(parser, next) >= 0))
            next++;
        if (next == count) {
            for (next = 0; parser->place[next] >= 0;)
                next++;
            return fail_cycle(parser, next);
        }
        parser->order[placed] = next;
        parser->place[next] = placed;
    }
    return 0;
}

/* Drafts to nodes, in graph order and with their shapes. */
int graph_build(struct parser *parser) {
    struct net *net = parser->net;
    size_t size = (size_t)net->node_count * sizeof *net->nodes;
    net->nodes = calloc(1, size);
    if (!net->nodes)
        return memory(parser, size);
    for (int i = 0; i < net->node_count; i++) {
        struct node *node = &net->nodes[i];
        *node = parser->drafts[parser->order[i]].node;
        const struct node *inputs[NET_INPUTS];
        for (int k = 0; k < node->input_count; k++) {
            node->inputs[k] = parser->place[node->inputs[k]];
            inputs[k] = &net->nodes[node->inputs[k]];
        }
        const struct node_rule *rule = node_rule(node->kind);
        if (rule->shape && rule->shape(node, inputs, parser->error))
            return error_prefix(parser->error, "%s:%d: node '%s'", parser->origin, node->line,
                                node->name);
    }
    return 0;
}

/* --- outputs --------------------------------------------------------------------------------- */

static int read_output(struct parser *parser, const config_setting_t *group, const char *key,
                       int *output) {
    const config_setting_t *setting = config_setting_get_member(group, key);
    const char *name = setting ? config_setting_get_string(setting) : NULL;
    if (!name)
        return parse_fail(parser, parse_line(setting ? setting : group),
                          "'outputs' needs '%s', a node's name", key);
    char hint[SUGGEST_HINT];
    int draft = parse_find(parser, name);
    if (draft < 0)
        return parse_fail(parser, parse_line(setting), "output '%s': there is no node '%.64s'%s",
                          key, name, parse_hint(parser, name, hint));
    if (draft < PARSE_INPUTS)
        return parse_fail(parser, parse_line(setting), "output '%s' cannot be the input '%s'", key,
                          name);
    *output = parser->place[draft];
    struct shape shape = parser->net->nodes[*output].shape;
    bool sum = strcmp(key, "sum") == 0;
    bool vector = shape.height == 1 && shape.width == 1;
    bool fits = sum ? shape.channels == 19 || shape.channels == 1 : shape.channels == 10;
    if (!vector || !fits) {
        char text[SHAPE_TEXT];
        return parse_fail(parser, parse_line(setting),
                          "output '%s' must have shape %s, but '%s' is %s", key,
                          sum ? "19 or 1" : "10", name, shape_text(shape, text));
    }
    return 0;
}

static int check_used(struct parser *parser) {
    const struct net *net = parser->net;
    bool used[NET_NODES] = {false};
    used[net->digit_output] = used[net->sum_output] = true;
    for (int i = net->node_count - 1; i >= PARSE_INPUTS; i--)
        for (int k = 0; used[i] && k < net->nodes[i].input_count; k++)
            used[net->nodes[i].inputs[k]] = true;
    for (int draft = PARSE_INPUTS; draft < net->node_count; draft++)
        if (!used[parser->place[draft]])
            return parse_fail(parser, parser->drafts[draft].node.line,
                              "node '%s' is not used: no output depends on it",
                              parser->drafts[draft].node.name);
    return 0;
}

int graph_outputs(struct parser *parser, const config_setting_t *root) {
    struct net *net = parser->net;
    const config_setting_t *group = config_setting_get_member(root, "outputs");
    if (!group || !config_setting_is_group(group))
        return parse_fail(parser, group ? parse_line(group) : 1,
                          "a network needs 'outputs', a group in braces");
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *key = config_setting_name(setting);
        struct suggestion suggestion;
        char hint[SUGGEST_HINT];
        if (strcmp(key, "digit") == 0 || strcmp(key, "sum") == 0)
            continue;
        suggest_begin(&suggestion, key);
        suggest_words(&suggestion, "digit|sum");
        return parse_fail(parser, parse_line(setting),
                          "'outputs' has no '%.64s'; it has digit and sum%s", key,
                          suggest_hint(&suggestion, hint));
    }
    if (read_output(parser, group, "digit", &net->digit_output) ||
        read_output(parser, group, "sum", &net->sum_output))
        return -1;
    net->regression = net->nodes[net->sum_output].shape.channels == 1;
    return check_used(parser);
}

/* --- parameters ------------------------------------------------------------------------------ */

static bool is_statistic(enum parameter_role role) {
    return role == PARAMETER_MEAN || role == PARAMETER_VARIANCE;
}

static int add_parameter(struct parser *parser, int node_index, const struct parameter_need *need) {
    struct net *net = parser->net;
    const struct node *node = &net->nodes[node_index];
    struct parameter *parameter = &net->parameters[net->parameter_count];
    int64_t count = 1; /* two sizes ≤ 2^22 and a kernel's area < 2^16: far below 2^63 */
    for (int i = 0; i < need->rank; i++)
        count *= need->dims[i];
    if (count > NET_PARAMETERS_MAXIMUM ||
        net->total + (size_t)count > (size_t)NET_PARAMETERS_MAXIMUM)
        return parse_fail(
            parser, node->line,
            "node '%s': with its %lld floats of '%s' the network is over the limit of %d",
            node->name, (long long)count, need->suffix, NET_PARAMETERS_MAXIMUM);
    snprintf(parameter->name, sizeof parameter->name, "%s.%s", node->name, need->suffix);
    parameter->role = need->role;
    parameter->node = node_index;
    parameter->rank = need->rank;
    memcpy(parameter->dims, need->dims, sizeof parameter->dims);
    parameter->count = (size_t)count;
    parameter->fan_in = (int)need->fan_in;
    parameter->rate = parser->drafts[parser->order[node_index]].rate;
    net->parameter_count++;
    net->total += (size_t)count;
    return 0;
}

static void place_parameters(struct net *net) {
    size_t offset = 0;
    for (int statistics = 0; statistics < 2; statistics++) {
        for (int i = 0; i < net->parameter_count; i++) {
            struct parameter *parameter = &net->parameters[i];
            if (is_statistic(parameter->role) == (statistics == 1)) {
                parameter->offset = offset;
                offset += parameter->count;
            }
        }
        if (!statistics)
            net->trainable = offset;
    }
}

int graph_parameters(struct parser *parser) {
    struct net *net = parser->net;
    size_t most = (size_t)net->node_count * NODE_PARAMETERS;
    net->parameters = calloc(most, sizeof *net->parameters);
    if (!net->parameters)
        return memory(parser, most * sizeof *net->parameters);
    for (int i = PARSE_INPUTS; i < net->node_count; i++) {
        struct node *node = &net->nodes[i];
        const struct node_rule *rule = node_rule(node->kind);
        struct parameter_need needs[NODE_PARAMETERS];
        int count =
            rule->parameters ? rule->parameters(node, &net->nodes[node->inputs[0]], needs) : 0;
        node->parameter_first = net->parameter_count;
        node->parameter_count = count;
        for (int k = 0; k < count; k++)
            if (add_parameter(parser, i, &needs[k]))
                return -1;
    }
    place_parameters(net);
    return 0;
}
