/* From the text of a network to its graph: a line becomes a node with its shape at once, since its
 * inputs stand above it. What a kind of node takes stands in node.c; where files lie, load.c knows.
 */
#include "model/net.h"

#include "common/suggest.h"
#include "model/node.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS 2 /* nodes[0] and nodes[1]: image and digit */

static const struct lines_form form = {
    "network", "one node a line, such as: conv1 conv image channels=16 kernel=5"};

struct reader {
    struct lines lines;
    struct net *net;
    struct word name, parameters, digit, sum; /* what the file says of each; line 0: nothing yet */
};

/* --- names ----------------------------------------------------------------------------------- */

/* Names become parts of tensor names, file names and Graphviz identifiers; a dot would let "ema.a"
 * be both a node's parameter and an average. */
static int read_name(const struct reader *reader, const struct word *word, const char *text,
                     char name[static NET_NAME]) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    if (text[length] != '\0' || length >= NET_NAME || isdigit((unsigned char)text[0]))
        return lines_fail(&reader->lines, word,
                          "expected a name, not '%.64s': up to %d letters, digits and '_', not "
                          "beginning with a digit",
                          text, NET_NAME - 1);
    strcpy(name, text);
    return 0;
}

/* Index of a node, or -1. */
static int find(const struct net *net, const char *name) {
    for (int i = 0; i < net->node_count; i++)
        if (strcmp(net->nodes[i].name, name) == 0)
            return i;
    return -1;
}

/* The node that an input or an output (key=NODE) names; fails where there is none. */
static int find_node(const struct reader *reader, const struct word *word) {
    const struct net *net = reader->net;
    const char *name = word->value ? word->value : word->text;
    int found = find(net, name);
    if (found >= 0)
        return found;
    struct suggestion suggestion;
    char hint[SUGGEST_HINT];
    suggest_begin(&suggestion, name);
    for (int i = 0; i < net->node_count; i++)
        suggest_try(&suggestion, net->nodes[i].name);
    return lines_fail(&reader->lines, word, "there is no node '%.64s'%s%s", name,
                      word->value ? "" : " above this line", suggest_hint(&suggestion, hint));
}

/* Appends to a list of words, as "conv, dense"; the nearest to what was written is kept too. */
static void list(char *words, size_t size, struct suggestion *suggestion, const char *word) {
    size_t used = strlen(words);
    snprintf(words + used, size - used, "%s%s", used ? ", " : "", word);
    suggest_try(suggestion, word);
}

/* --- attributes ------------------------------------------------------------------------------ */

/* Decimal numbers alone: strtod would also take blanks, nan, inf and hexadecimal numbers. */
static int read_number(const struct reader *reader, const struct word *word,
                       const struct attribute *row, double *value) {
    bool whole = row->type == ATTRIBUTE_INT;
    const char *digits = whole ? "+-0123456789" : "+-.0123456789eE";
    char *end;
    *value = strtod(word->value, &end);
    if (word->value[strspn(word->value, digits)] == '\0' && end != word->value && *end == '\0' &&
        *value >= row->min && *value <= row->max)
        return 0;
    return lines_fail(&reader->lines, word,
                      "'%s' must be a %snumber from %.10g to %.10g, not '%.64s'", row->name,
                      whole ? "whole " : "", row->min, row->max, word->value);
}

static int read_value(const struct reader *reader, const struct word *word,
                      const struct attribute *row, double *value) {
    if (row->type != ATTRIBUTE_BOOL)
        return read_number(reader, word, row, value);
    *value = strcmp(word->value, "true") == 0;
    if (*value == 0 && strcmp(word->value, "false") != 0)
        return lines_fail(&reader->lines, word, "'%s' must be true or false, not '%.64s'",
                          row->name, word->value);
    return 0;
}

static void store(struct node *node, const struct attribute *row, double value) {
    void *field = (char *)node + row->offset;
    if (row->type == ATTRIBUTE_INT)
        *(int *)field = (int)value;
    else if (row->type == ATTRIBUTE_REAL)
        *(float *)field = (float)value;
    else
        *(bool *)field = value != 0;
}

static int unknown_attribute(const struct reader *reader, const struct word *word,
                             const struct node_rule *rule) {
    char words[160] = "", hint[SUGGEST_HINT];
    struct suggestion suggestion;
    suggest_begin(&suggestion, word->text);
    for (const struct attribute *row = rule->attributes; row && row->name; row++)
        list(words, sizeof words, &suggestion, row->name);
    return lines_fail(&reader->lines, word, "%s has no attribute '%.64s'; it has %s%s", rule->name,
                      word->text, words[0] ? words : "none", suggest_hint(&suggestion, hint));
}

static int read_attributes(const struct reader *reader, struct node *node,
                           const struct node_rule *rule) {
    const struct lines *lines = &reader->lines;
    const struct attribute *rows = rule->attributes;
    unsigned given = 0; /* a bit for each row */
    for (const struct word *word = lines->words; word < lines->words + lines->count; word++) {
        double value;
        int at = 0;
        if (!word->value)
            continue;
        while (rows && rows[at].name && strcmp(rows[at].name, word->text) != 0)
            at++;
        if (!rows || !rows[at].name)
            return unknown_attribute(reader, word, rule);
        if (given & (1u << at))
            return lines_fail(lines, word, "'%s' is given twice", word->text);
        if (read_value(reader, word, &rows[at], &value) != 0)
            return -1;
        store(node, &rows[at], value);
        given |= 1u << at;
    }
    for (int at = 0; rows && rows[at].name; at++) {
        if (given & (1u << at))
            continue;
        if (rows[at].required)
            return lines_fail(lines, &lines->words[1], "%s needs '%s'", rule->name, rows[at].name);
        store(node, &rows[at], rows[at].fallback);
    }
    return 0;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static int read_kind(const struct reader *reader, const struct word *word, enum node_kind *kind) {
    int found = node_kind_of(word->text);
    *kind = (enum node_kind)found;
    if (found >= 0)
        return 0;
    char kinds[256] = "", hint[SUGGEST_HINT];
    struct suggestion suggestion;
    suggest_begin(&suggestion, word->text);
    for (int i = NODE_CONV; i < NODE_KINDS; i++)
        list(kinds, sizeof kinds, &suggestion, node_kind_name((enum node_kind)i));
    return lines_fail(&reader->lines, word, "there is no kind of node '%.64s'; there are %s%s",
                      word->text, kinds, suggest_hint(&suggestion, hint));
}

/* The words behind name and kind that are no attributes. */
static int read_inputs(const struct reader *reader, struct node *node,
                       const struct node_rule *rule) {
    const struct lines *lines = &reader->lines;
    int count = 0;
    for (int i = 2; i < lines->count; i++) {
        const struct word *word = &lines->words[i];
        if (word->value)
            continue;
        int found = find_node(reader, word);
        if (found < 0)
            return -1;
        if (reader->net->nodes[found].kind == NODE_DIGIT && node->kind != NODE_ONEHOT)
            return lines_fail(lines, word, "only onehot takes the input 'digit'");
        if (count < NET_INPUTS)
            node->inputs[count] = found;
        count++;
    }
    node->input_count = count;
    if (count >= rule->inputs_min && count <= rule->inputs_max)
        return 0;
    char range[32];
    snprintf(range, sizeof range, rule->inputs_min == rule->inputs_max ? "%d" : "%d to %d",
             rule->inputs_min, rule->inputs_max);
    return lines_fail(lines, &lines->words[1], "%s takes %s input%s, not %d", rule->name, range,
                      rule->inputs_max == 1 ? "" : "s", count);
}

static int read_node(struct reader *reader) {
    const struct lines *lines = &reader->lines;
    const struct word *name = &lines->words[0], *kind = &lines->words[1];
    struct net *net = reader->net;
    struct node *node = &net->nodes[net->node_count];
    if (lines->count < 2 || kind->value)
        return lines_fail(lines, name, "expected %s", form.rule);
    if (net->node_count == NET_NODES)
        return lines_fail(lines, name, "a network has at most %d nodes", NET_NODES - INPUTS);
    *node = (struct node){.line = name->line, .rate = 1};
    if (read_name(reader, name, name->text, node->name) != 0)
        return -1;
    int other = find(net, name->text);
    if (other >= 0 && other < INPUTS)
        return lines_fail(lines, name, "'%s' is an input of every network", name->text);
    if (other >= 0)
        return lines_fail(lines, name, "there is a node '%s' in line %d already", name->text,
                          net->nodes[other].line);
    if (read_kind(reader, kind, &node->kind) != 0)
        return -1;
    const struct node_rule *rule = node_rule(node->kind);
    if (read_inputs(reader, node, rule) != 0 || read_attributes(reader, node, rule) != 0)
        return -1;
    const struct node *inputs[NET_INPUTS];
    for (int k = 0; k < node->input_count; k++)
        inputs[k] = &net->nodes[node->inputs[k]];
    struct error error;
    if (rule->shape(node, inputs, &error) != 0)
        return lines_fail(lines, name, "node '%s': %s", node->name, error.text);
    net->node_count++;
    return 0;
}

/* --- what stands beside the nodes ------------------------------------------------------------- */

/* Keeps one word with its value for the end. */
static int keep(const struct reader *reader, struct word *kept, const struct word *word) {
    if (kept->line != 0)
        return lines_fail(&reader->lines, word, "'%s' stands in line %d already", word->text,
                          kept->line);
    *kept = *word;
    return 0;
}

/* `name = mine`, `output digit = logits`, or a node. */
static int read_line(struct reader *reader) {
    const struct lines *lines = &reader->lines;
    bool output = strcmp(lines->words[0].text, "output") == 0 && !lines->words[0].value;
    const struct word *word = &lines->words[output ? 1 : 0];
    const struct {
        bool output;
        const char *key;
        struct word *kept;
    } statements[] = {{false, "name", &reader->name},
                      {false, "parameters", &reader->parameters},
                      {true, "digit", &reader->digit},
                      {true, "sum", &reader->sum}};
    if (!output && !word->value)
        return read_node(reader);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (lines->count == (output ? 2 : 1) && word->value && statements[i].output == output &&
            strcmp(statements[i].key, word->text) == 0)
            return keep(reader, statements[i].kept, word);
    if (output)
        return lines_fail(lines, lines->words,
                          "expected 'output digit = NODE' or 'output sum = NODE'");
    return lines_fail(lines, word, "expected 'name = NAME', 'parameters = COUNT', or %s",
                      form.rule);
}

static int read_output(const struct reader *reader, const struct word *word, bool sum,
                       int *output) {
    const struct lines *lines = &reader->lines;
    const char *key = sum ? "sum" : "digit";
    if (word->line == 0)
        return lines_fail(lines, NULL, "expected a line 'output %s = NODE' before the end", key);
    *output = find_node(reader, word);
    if (*output < 0)
        return -1;
    if (*output < INPUTS)
        return lines_fail(lines, word, "the output '%s' cannot be the input '%s'", key,
                          word->value);
    struct shape shape = reader->net->nodes[*output].shape;
    bool vector = shape.height == 1 && shape.width == 1;
    bool fits = sum ? shape.channels == 19 || shape.channels == 1 : shape.channels == 10;
    char text[SHAPE_TEXT];
    if (!vector || !fits)
        return lines_fail(lines, word, "the output '%s' must have shape %s, but '%s' is %s", key,
                          sum ? "19 or 1" : "10", word->value, shape_text(shape, text));
    return 0;
}

static int check_used(const struct reader *reader) {
    const struct net *net = reader->net;
    bool used[NET_NODES] = {false};
    used[net->digit_output] = used[net->sum_output] = true;
    for (int i = net->node_count - 1; i >= INPUTS; i--)
        for (int k = 0; used[i] && k < net->nodes[i].input_count; k++)
            used[net->nodes[i].inputs[k]] = true;
    for (int i = INPUTS; i < net->node_count; i++)
        if (!used[i])
            return lines_fail(&reader->lines,
                              &(struct word){.line = net->nodes[i].line, .column = 1},
                              "node '%s' is not used: no output depends on it", net->nodes[i].name);
    return 0;
}

/* --- parameters ------------------------------------------------------------------------------ */

static int add_parameter(const struct reader *reader, int index,
                         const struct parameter_need *need) {
    struct net *net = reader->net;
    const struct node *node = &net->nodes[index];
    int64_t count = 1; /* two sizes ≤ 2^22 and a kernel's area < 2^16: far below 2^63 */
    for (int i = 0; i < need->rank; i++)
        count *= need->dims[i];
    if (count > NET_PARAMETERS_MAX || net->total + (size_t)count > (size_t)NET_PARAMETERS_MAX)
        return lines_fail(&reader->lines, &(struct word){.line = node->line, .column = 1},
                          "node '%s': with its %lld floats of '%s' the network is over the limit "
                          "of %d",
                          node->name, (long long)count, need->suffix, NET_PARAMETERS_MAX);
    struct parameter *parameter = &net->parameters[net->parameter_count++];
    *parameter = (struct parameter){.role = need->role,
                                    .node = index,
                                    .rank = need->rank,
                                    .count = (size_t)count,
                                    .fan_in = (int)need->fan_in,
                                    .rate = node->rate};
    snprintf(parameter->name, sizeof parameter->name, "%s.%s", node->name, need->suffix);
    memcpy(parameter->dims, need->dims, sizeof parameter->dims);
    net->total += (size_t)count;
    return 0;
}

static void place_parameters(struct net *net) {
    size_t offset = 0;
    for (int statistics = 0; statistics < 2; statistics++) {
        for (int i = 0; i < net->parameter_count; i++) {
            struct parameter *parameter = &net->parameters[i];
            bool statistic =
                parameter->role == PARAMETER_MEAN || parameter->role == PARAMETER_VARIANCE;
            if (statistic == (statistics == 1)) {
                parameter->offset = offset;
                offset += parameter->count;
            }
        }
        if (!statistics)
            net->trainable = offset;
    }
}

/* net->parameters with their offsets; against the author's own count, where the file has one. */
static int read_parameters(const struct reader *reader) {
    static const struct attribute row = {
        .name = "parameters", .type = ATTRIBUTE_INT, .max = NET_PARAMETERS_MAX};
    struct net *net = reader->net;
    for (int i = INPUTS; i < net->node_count; i++) {
        struct node *node = &net->nodes[i];
        const struct node_rule *rule = node_rule(node->kind);
        struct parameter_need needs[NODE_PARAMETERS];
        node->parameter_first = net->parameter_count;
        if (rule->parameters)
            node->parameter_count = rule->parameters(node, &net->nodes[node->inputs[0]], needs);
        for (int k = 0; k < node->parameter_count; k++)
            if (add_parameter(reader, i, &needs[k]) != 0)
                return -1;
    }
    place_parameters(net);
    const struct word *word = &reader->parameters;
    double count = (double)net->trainable;
    if (word->line != 0 && read_number(reader, word, &row, &count) != 0)
        return -1;
    if ((size_t)count != net->trainable)
        return lines_fail(&reader->lines, word,
                          "'parameters' says %.0f, but the nodes have %zu trainable floats", count,
                          net->trainable);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static int read_text(struct reader *reader) {
    struct net *net = reader->net;
    int more;
    net->nodes[0] = (struct node){.kind = NODE_IMAGE, .name = "image", .shape = {1, 28, 28}};
    net->nodes[1] = (struct node){.kind = NODE_DIGIT, .name = "digit", .shape = {1, 1, 1}};
    net->node_count = INPUTS;
    while ((more = lines_next(&reader->lines)) == 1)
        if (read_line(reader) != 0)
            return -1;
    if (more != 0)
        return -1;
    if (reader->name.line == 0)
        return lines_fail(&reader->lines, NULL, "expected a line 'name = NAME' before the end");
    if (read_name(reader, &reader->name, reader->name.value, net->name) != 0 ||
        read_output(reader, &reader->digit, false, &net->digit_output) != 0 ||
        read_output(reader, &reader->sum, true, &net->sum_output) != 0)
        return -1;
    net->regression = net->nodes[net->sum_output].shape.channels == 1;
    return check_used(reader) != 0 || read_parameters(reader) != 0 ? -1 : 0;
}

struct net *net_parse(const char *text, size_t size, const char *origin, struct error *error) {
    assert(text && origin);
    struct reader reader = {.net = calloc(1, sizeof *reader.net)};
    struct net *net = reader.net;
    int result = -1;
    if (lines_begin(&reader.lines, text, size, origin, &form, error) != 0)
        goto done;
    if (net) {
        net->text = strndup(text, size);
        net->nodes = calloc(NET_NODES, sizeof *net->nodes);
        net->parameters = calloc(NET_NODES * NODE_PARAMETERS, sizeof *net->parameters);
    }
    if (!net || !net->text || !net->nodes || !net->parameters)
        error_set(error, ERROR_MEMORY, "%s: no memory to read the network", origin);
    else
        result = read_text(&reader);
done:
    lines_end(&reader.lines);
    if (result != 0)
        net_destroy(&net);
    return net;
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
