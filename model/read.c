/* From libconfig's settings to drafts: names, kinds, attributes, inputs by name. What a kind takes
 * stands in node.c; how nodes are joined is graph.c's. */
#include "model/parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int parse_fail(struct parser *parser, int line, const char *format, ...) {
    char sentence[sizeof parser->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(parser->error, ERROR_INVALID, "%s:%d: %s", parser->origin, line, sentence);
}

int parse_line(const config_setting_t *setting) {
    return (int)config_setting_source_line(setting);
}

/* --- names ----------------------------------------------------------------------------------- */

/* Names become parts of tensor names, file names and Graphviz identifiers; a dot would let
 * "ema.a" be both a node's parameter and an average. */
static bool is_name(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length >= NET_NAME || isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    return true;
}

static int read_name(struct parser *parser, const config_setting_t *setting, char name[NET_NAME]) {
    const char *text = config_setting_get_string(setting);
    if (!text || !is_name(text))
        return parse_fail(
            parser, parse_line(setting),
            "'%s' must be a name in quotes: up to %d letters, digits and '_', not beginning "
            "with a digit",
            config_setting_name(setting), NET_NAME - 1);
    strcpy(name, text);
    return 0;
}

int parse_find(const struct parser *parser, const char *name) {
    for (int i = 0; i < parser->net->node_count; i++)
        if (strcmp(parser->drafts[i].node.name, name) == 0)
            return i;
    return -1;
}

const char *parse_hint(const struct parser *parser, const char *name,
                       char hint[static SUGGEST_HINT]) {
    struct suggestion suggestion;
    suggest_begin(&suggestion, name);
    for (int i = 0; i < parser->net->node_count; i++)
        suggest_try(&suggestion, parser->drafts[i].node.name);
    return suggest_hint(&suggestion, hint);
}

/* --- the top level ---------------------------------------------------------------------------- */

static const char *word_hint(const char *word, const char *words, char hint[static SUGGEST_HINT]) {
    struct suggestion suggestion;
    suggest_begin(&suggestion, word);
    suggest_words(&suggestion, words);
    return suggest_hint(&suggestion, hint);
}

int parse_top(struct parser *parser, const config_setting_t *root) {
    char hint[SUGGEST_HINT];
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        const char *key = config_setting_name(setting);
        if (strcmp(key, "name") != 0 && strcmp(key, "parameters") != 0 &&
            strcmp(key, "nodes") != 0 && strcmp(key, "outputs") != 0)
            return parse_fail(
                parser, parse_line(setting),
                "a network has no setting '%.64s'; it has name, parameters, nodes, outputs%s", key,
                word_hint(key, "name|parameters|nodes|outputs", hint));
    }
    const config_setting_t *name = config_setting_get_member(root, "name");
    if (!name)
        return parse_fail(parser, 1, "a network needs 'name'");
    return read_name(parser, name, parser->net->name);
}

/* --- the settings of one node ---------------------------------------------------------------- */

static int read_number(struct parser *parser, const config_setting_t *setting,
                       const struct attribute *row, double *value) {
    int type = config_setting_type(setting);
    if (type == CONFIG_TYPE_INT)
        *value = config_setting_get_int(setting);
    else if (type == CONFIG_TYPE_INT64)
        *value = (double)config_setting_get_int64(setting);
    else if (type == CONFIG_TYPE_FLOAT && row->type == ATTRIBUTE_REAL)
        *value = config_setting_get_float(setting);
    else
        return parse_fail(parser, parse_line(setting), "'%s' must be a %snumber", row->name,
                          row->type == ATTRIBUTE_INT ? "whole " : "");
    if (*value >= row->least && *value <= row->most)
        return 0;
    if (row->type == ATTRIBUTE_INT)
        return parse_fail(parser, parse_line(setting), "'%s' must be from %.0f to %.0f, not %.0f",
                          row->name, row->least, row->most, *value);
    return parse_fail(parser, parse_line(setting), "'%s' must be from %.8g to %.8g, not %.8g",
                      row->name, row->least, row->most, *value);
}

static int read_attribute(struct parser *parser, struct node_draft *draft,
                          const struct attribute *row) {
    const config_setting_t *setting = config_setting_get_member(draft->setting, row->name);
    double value = row->standard;
    if (!setting && row->required)
        return parse_fail(parser, draft->node.line, "node '%s': %s needs '%s'", draft->node.name,
                          node_kind_name(draft->node.kind), row->name);
    if (setting && row->type == ATTRIBUTE_BOOL) {
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
            return parse_fail(parser, parse_line(setting), "'%s' must be true or false", row->name);
        value = config_setting_get_bool(setting);
    } else if (setting && read_number(parser, setting, row, &value)) {
        return -1;
    }
    char *field = (char *)draft + row->offset;
    switch (row->type) {
    case ATTRIBUTE_INT:
        *(int *)field = (int)value;
        break;
    case ATTRIBUTE_REAL:
        *(float *)field = (float)value;
        break;
    case ATTRIBUTE_BOOL:
        *(bool *)field = value != 0;
        break;
    }
    return 0;
}

/* The words that a node of this kind takes, for the sentence about a word that it does not. */
static void list_attributes(const struct node_rule *rule, char *text, size_t size) {
    size_t used =
        (size_t)snprintf(text, size, "name, kind, %s", rule->inputs_most > 1 ? "inputs" : "input");
    for (const struct attribute *row = rule->attributes; row && row->name && used < size; row++)
        used += (size_t)snprintf(text + used, size - used, ", %s", row->name);
}

/* The words for `kind`. */
static void list_kinds(char *text, size_t size) {
    size_t used = 0;
    for (int kind = NODE_CONV; kind < NODE_KINDS && used < size; kind++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                 node_kind_name((enum node_kind)kind));
}

static int check_keys(struct parser *parser, const struct node_draft *draft,
                      const struct node_rule *rule) {
    for (int i = 0; i < config_setting_length(draft->setting); i++) {
        const config_setting_t *setting = config_setting_get_elem(draft->setting, (unsigned)i);
        const char *key = config_setting_name(setting);
        bool known = strcmp(key, "name") == 0 || strcmp(key, "kind") == 0 ||
                     strcmp(key, rule->inputs_most > 1 ? "inputs" : "input") == 0;
        for (const struct attribute *row = rule->attributes; row && row->name; row++)
            known = known || strcmp(key, row->name) == 0;
        if (!known) {
            char words[160], hint[SUGGEST_HINT];
            struct suggestion suggestion;
            list_attributes(rule, words, sizeof words);
            suggest_begin(&suggestion, key);
            suggest_words(&suggestion,
                          rule->inputs_most > 1 ? "name|kind|inputs" : "name|kind|input");
            for (const struct attribute *row = rule->attributes; row && row->name; row++)
                suggest_try(&suggestion, row->name);
            return parse_fail(parser, parse_line(setting),
                              "node '%s': %s has no setting '%.64s'; it has %s%s", draft->node.name,
                              rule->name, key, words, suggest_hint(&suggestion, hint));
        }
    }
    return 0;
}

static int add_input(struct parser *parser, struct node_draft *draft,
                     const config_setting_t *setting, const char *key) {
    const char *text = config_setting_get_string(setting);
    if (!text)
        return parse_fail(parser, parse_line(setting), "node '%s': '%s' must name %s in quotes",
                          draft->node.name, key, strcmp(key, "input") == 0 ? "one node" : "nodes");
    draft->input_names[draft->node.input_count] = text;
    draft->input_lines[draft->node.input_count] = parse_line(setting);
    draft->node.input_count++;
    return 0;
}

/* Only the names: the nodes may stand further down in the file. */
static int read_inputs(struct parser *parser, struct node_draft *draft,
                       const struct node_rule *rule) {
    const char *key = rule->inputs_most > 1 ? "inputs" : "input";
    const config_setting_t *setting = config_setting_get_member(draft->setting, key);
    if (!setting)
        return parse_fail(parser, draft->node.line, "node '%s': %s needs '%s'", draft->node.name,
                          rule->name, key);
    if (rule->inputs_most == 1)
        return add_input(parser, draft, setting, key);
    if (!config_setting_is_list(setting) && !config_setting_is_array(setting))
        return parse_fail(parser, parse_line(setting),
                          "node '%s': 'inputs' must be a list in parentheses", draft->node.name);
    int count = config_setting_length(setting);
    if (count < rule->inputs_least || count > rule->inputs_most)
        return parse_fail(parser, parse_line(setting),
                          "node '%s': %s takes %d to %d inputs, not %d", draft->node.name,
                          rule->name, rule->inputs_least, rule->inputs_most, count);
    for (int i = 0; i < count; i++)
        if (add_input(parser, draft, config_setting_get_elem(setting, (unsigned)i), key))
            return -1;
    return 0;
}

static int read_node(struct parser *parser, const config_setting_t *group) {
    if (!config_setting_is_group(group))
        return parse_fail(parser, parse_line(group), "a node must be a group in braces");
    struct node_draft *draft = &parser->drafts[parser->net->node_count];
    const config_setting_t *name = config_setting_get_member(group, "name");
    const config_setting_t *kind = config_setting_get_member(group, "kind");
    draft->setting = group;
    draft->rate = 1;
    draft->node.line = parse_line(name ? name : group);
    if (!name || !kind)
        return parse_fail(parser, draft->node.line, "a node needs '%s'", name ? "kind" : "name");
    char text[NET_NAME];
    if (read_name(parser, name, text))
        return -1;
    int other = parse_find(parser, text);
    if (other >= 0 && other < PARSE_INPUTS)
        return parse_fail(parser, draft->node.line, "'%s' is the name of an input of every network",
                          text);
    if (other >= 0)
        return parse_fail(parser, draft->node.line, "there is a node '%s' in line %d already", text,
                          parser->drafts[other].node.line);
    const char *word = config_setting_get_string(kind);
    int found = word ? node_kind_of(word) : -1;
    if (found < 0) {
        char kinds[256] = "", hint[SUGGEST_HINT];
        struct suggestion suggestion;
        list_kinds(kinds, sizeof kinds);
        suggest_begin(&suggestion, word ? word : "");
        for (int i = NODE_CONV; i < NODE_KINDS; i++)
            suggest_try(&suggestion, node_kind_name((enum node_kind)i));
        return parse_fail(parser, parse_line(kind),
                          "node '%s': there is no kind of node '%.64s'; there are %s%s", text,
                          word ? word : "", kinds, suggest_hint(&suggestion, hint));
    }
    strcpy(draft->node.name, text);
    draft->node.kind = (enum node_kind)found;
    parser->net->node_count++;
    const struct node_rule *rule = node_rule(draft->node.kind);
    if (check_keys(parser, draft, rule) || read_inputs(parser, draft, rule))
        return -1;
    for (const struct attribute *row = rule->attributes; row && row->name; row++)
        if (read_attribute(parser, draft, row))
            return -1;
    return 0;
}

int parse_nodes(struct parser *parser, const config_setting_t *root) {
    parser->drafts[0].node =
        (struct node){.kind = NODE_IMAGE, .name = "image", .shape = {1, 28, 28}};
    parser->drafts[1].node = (struct node){.kind = NODE_DIGIT, .name = "digit", .shape = {1, 1, 1}};
    parser->net->node_count = PARSE_INPUTS;
    const config_setting_t *list = config_setting_get_member(root, "nodes");
    if (!list || !config_setting_is_list(list))
        return parse_fail(parser, list ? parse_line(list) : 1,
                          "a network needs 'nodes', a list in parentheses");
    int count = config_setting_length(list);
    if (count > NET_NODES - PARSE_INPUTS)
        return parse_fail(parser, parse_line(list), "%d nodes are over the limit of %d", count,
                          NET_NODES - PARSE_INPUTS);
    for (int i = 0; i < count; i++)
        if (read_node(parser, config_setting_get_elem(list, (unsigned)i)))
            return -1;
    return 0;
}

/* The author's own count, where given: a check on what they meant. */
int parse_count(struct parser *parser, const config_setting_t *root) {
    const config_setting_t *setting = config_setting_get_member(root, "parameters");
    static const struct attribute row = {
        .name = "parameters", .type = ATTRIBUTE_INT, .most = NET_PARAMETERS_MAXIMUM};
    double value;
    if (!setting)
        return 0;
    if (read_number(parser, setting, &row, &value))
        return -1;
    if ((size_t)value != parser->net->trainable)
        return parse_fail(parser, parse_line(setting),
                          "'parameters' says %.0f, but the nodes have %zu trainable floats", value,
                          parser->net->trainable);
    return 0;
}
