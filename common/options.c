/* See options.h: the rows, their values and the command line. Files are options_file.c's. */
#include "common/options.h"

#include "common/options_private.h"
#include "common/suggest.h"
#include "common/version.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const DIGITSUM_VERSION = VERSION_TEXT;

enum { VERSION_KEY = 998, HELP_KEY, FIRST_KEY }; /* of long options: above every letter */

/* --- values ------------------------------------------------------------------------------------
 */

static void *field(const struct options *self, const struct option_row *row) {
    return (char *)self->target + row->offset;
}

/* Frees `block` with the options. -1 when memory is short: then it is still the caller's. */
static int keep_block(struct options *self, void *block) {
    void **blocks = realloc(self->blocks, (self->block_count + 1) * sizeof *blocks);
    if (!blocks)
        return -1;
    self->blocks = blocks;
    self->blocks[self->block_count++] = block;
    return 0;
}

/* A copy of `text` that lives as long as the options; NULL when memory is short. */
static const char *keep(struct options *self, const char *text) {
    char *copy = strdup(text);
    if (copy && keep_block(self, copy) != 0) {
        free(copy);
        copy = NULL;
    }
    return copy;
}

/* A bound as people write it: whole numbers without an exponent. */
static void write_bound(char text[static 32], const struct option_row *row, double bound) {
    snprintf(text, 32, row->kind == OPTION_INT ? "%.0f" : "%.15g", bound);
}

static int bounds_error(const struct option_row *row, const char *text, const char *where,
                        struct error *error) {
    const char *whole = row->kind == OPTION_INT ? "whole " : "";
    if (row->min == row->max)
        return error_set(error, ERROR_INVALID, "%s%s %s: must be a %snumber", where, row->name,
                         text, whole);
    char min[32], max[32];
    write_bound(min, row, row->min);
    write_bound(max, row, row->max);
    return error_set(error, ERROR_INVALID, "%s%s %s: must be a %snumber from %s to %s", where,
                     row->name, text, whole, min, max);
}

static int choice_error(const struct option_row *row, const char *text, const char *where,
                        struct error *error) {
    struct suggestion suggestion;
    char hint[SUGGEST_HINT];
    suggest_begin(&suggestion, text);
    suggest_words(&suggestion, row->choices);
    return error_set(error, ERROR_INVALID, "%s%s %s: must be one of %s%s", where, row->name, text,
                     row->choices, suggest_hint(&suggestion, hint));
}

static bool in_bounds(const struct option_row *row, double value) {
    return row->min == row->max || (value >= row->min && value <= row->max);
}

/* Whether `text` is one of the words of "a|b|c". */
static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *word = choices; length > 0; word++) {
        size_t size = strcspn(word, "|");
        if (size == length && strncmp(word, text, size) == 0)
            return true;
        word += size;
        if (!*word)
            return false;
    }
    return false;
}

static int set_text(struct options *self, const struct option_row *row, const char *text,
                    const char *where, struct error *error) {
    json_t *probe = json_string(text);
    if (!probe) /* it could not be recorded */
        return error_set(error, ERROR_INVALID, "%s%s: must be UTF-8", where, row->name);
    json_decref(probe);
    const char *copy = keep(self, text);
    if (!copy)
        return error_set(error, ERROR_MEMORY, "no memory for --%s", row->name);
    if (!(row->use & OPTION_MANY)) {
        *(const char **)field(self, row) = copy;
        return 0;
    }
    /* A list that ends in NULL; the array, like the texts in it, lives as long as the options. */
    const char **list = *(const char ***)field(self, row);
    size_t count = 0;
    while (list && list[count])
        count++;
    const char **longer = calloc(count + 2, sizeof *longer);
    if (!longer || keep_block(self, longer) != 0) {
        free(longer);
        return error_set(error, ERROR_MEMORY, "no memory for --%s", row->name);
    }
    for (size_t i = 0; i < count; i++)
        longer[i] = list[i];
    longer[count] = copy;
    *(const char ***)field(self, row) = longer;
    return 0;
}

int options_set(struct options *self, const struct option_row *row, const char *text,
                const char *where, struct error *error) {
    char *end;
    /* strtoll and strtod would skip blanks, and strtod takes hexadecimal numbers, nan and inf. */
    bool plain =
        text[strspn(text, row->kind == OPTION_INT ? "+-0123456789" : "+-.0123456789eE")] == '\0';
    errno = 0;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field(self, row) = strcmp(text, "false") != 0;
        return 0;
    case OPTION_INT: {
        long long value = strtoll(text, &end, 10);
        if (errno || !plain || end == text || *end || !in_bounds(row, (double)value))
            return bounds_error(row, text, where, error);
        *(int64_t *)field(self, row) = value;
        return 0;
    }
    case OPTION_REAL: {
        double value = strtod(text, &end);
        if (errno || !plain || end == text || *end || !in_bounds(row, value))
            return bounds_error(row, text, where, error);
        *(double *)field(self, row) = value;
        return 0;
    }
    case OPTION_CHOICE:
        if (!is_choice(row->choices, text))
            return choice_error(row, text, where, error);
        return set_text(self, row, text, where, error);
    default:
        return set_text(self, row, text, where, error);
    }
}

static int set_defaults(struct options *self, struct error *error) {
    for (size_t i = 0; i < self->program->count; i++) {
        const struct option_row *row = &self->program->rows[i];
        assert(!row->fallback || !(row->use & OPTION_MANY));
        if (row->name && row->fallback &&
            options_set(self, row, row->fallback, "the default of --", error) != 0)
            return -1;
    }
    return 0;
}

/* --- --help ------------------------------------------------------------------------------------
 */

enum { HELP_COLUMN = 29, HELP_WIDTH = 79 };

/* Columns of a UTF-8 text without wide characters. */
static int columns_of(const char *text, size_t size) {
    int columns = 0;
    for (size_t i = 0; i < size; i++)
        columns += (text[i] & 0xc0) != 0x80;
    return columns;
}

/* Prints words from `column` on, broken before HELP_WIDTH; further lines begin at `indent`. */
static void print_wrapped(const char *text, int column, int indent) {
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t size = strcspn(text, " ");
        int width = columns_of(text, size);
        if (column > indent && column + 1 + width > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        column += printf("%s", column > indent ? " " : "") + width;
        printf("%.*s", (int)size, text);
        text += size;
    }
    putchar('\n');
}

static void print_row(const struct option_row *row) {
    char letter[8] = "", help[1024];
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    bool value = row->kind != OPTION_FLAG, fallback = value && row->fallback;
    int column =
        printf("  %4s--%s%s%s", letter, row->name, value ? "=" : "", value ? row->argument : "");
    if (column >= HELP_COLUMN) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", HELP_COLUMN - column, "");
    snprintf(help, sizeof help, "%s%s%s%s%s%s", row->help, row->choices ? ": " : "",
             row->choices ? row->choices : "", fallback ? " (default " : "",
             fallback ? row->fallback : "", fallback ? ")" : "");
    print_wrapped(help, HELP_COLUMN, HELP_COLUMN);
}

/* In the order of the table. */
static void print_help(const struct options_program *program) {
    static const struct option_row own[] = {
        {.name = "help", .letter = '?', .kind = OPTION_FLAG, .help = "print this text"},
        {.name = "version", .letter = 'V', .kind = OPTION_FLAG, .help = "print the version"}};
    printf("Usage: %s [OPTION...]%s%s\n", program->name, program->positional ? " " : "",
           program->positional ? program->positional : "");
    print_wrapped(program->summary, 0, 0);
    putchar('\n');
    for (size_t i = 0; i < program->count; i++) {
        const struct option_row *row = &program->rows[i];
        if (row->name)
            print_row(row);
        else
            printf("%s%s:\n", i > 0 ? "\n" : "", row->help);
    }
    putchar('\n');
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        print_row(&own[i]);
    if (program->example)
        printf("\n%s\n", program->example);
}

/* --- the command line --------------------------------------------------------------------------
 */

/* The options that begin like this, as "--batch or --bias": what getopt takes for none of them. */
static void list_longer(const struct options_program *program, const char *name, size_t length,
                        char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < program->count && used < size; i++) {
        const char *whole = program->rows[i].name;
        if (whole && length > 0 && strncmp(whole, name, length) == 0)
            used += (size_t)snprintf(text + used, size - used, "%s--%s", used ? " or " : "", whole);
    }
}

static int unknown_option(const struct options_program *program, const char *culprit, bool is_long,
                          struct error *error) {
    if (!is_long)
        return error_set(error, ERROR_INVALID, "unknown option '%s'; see --help", culprit);
    size_t length = strcspn(culprit + 2, "=");
    char longer[200], name[SUGGEST_NAME];
    list_longer(program, culprit + 2, length, longer, sizeof longer);
    if (longer[0])
        return error_set(error, ERROR_INVALID, "'%s' is too short: write %s; see --help", culprit,
                         longer);
    struct suggestion suggestion;
    snprintf(name, sizeof name, "%.*s", (int)length, culprit + 2);
    suggest_begin(&suggestion, length < sizeof name ? name : "");
    for (size_t i = 0; i < program->count; i++)
        if (program->rows[i].name)
            suggest_try(&suggestion, program->rows[i].name);
    const char *best = suggest_best(&suggestion);
    return error_set(error, ERROR_INVALID, "unknown option '%.200s'; %s%s%s", culprit,
                     best ? "did you mean --" : "see --help", best ? best : "", best ? "?" : "");
}

/* One sentence for an option that getopt refused, given getopt's state after it. */
static int name_culprit(const struct options_program *program, char **argv, int verdict,
                        struct error *error) {
    bool is_long = optopt == 0 || optopt >= VERSION_KEY; /* 0: unknown, or short for several */
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *culprit = is_long ? argv[optind - 1] : letter;
    if (verdict == ':')
        return error_set(error, ERROR_INVALID, "%s needs a value; see --help", culprit);
    if (optopt >= VERSION_KEY)
        return error_set(error, ERROR_INVALID, "%.*s takes no value; see --help",
                         (int)strcspn(culprit, "="), culprit);
    return unknown_option(program, culprit, is_long, error);
}

/* What getopt_long is told; --help and --version come last. */
struct grammar {
    struct option *longs;
    char *letters;
};

static int make_grammar(const struct options_program *program, struct grammar *grammar) {
    size_t count = program->count, length = 0;
    grammar->longs = calloc(count + 3, sizeof *grammar->longs);
    grammar->letters = calloc(2 * count + 4, 1);
    if (!grammar->longs || !grammar->letters)
        return -1;
    grammar->letters[length++] = ':';
    grammar->letters[length++] = 'V';
    for (size_t i = 0; i < count; i++) {
        const struct option_row *row = &program->rows[i];
        int takes = row->kind == OPTION_FLAG ? no_argument : required_argument;
        /* A heading has a place too, with a name that nobody can write. */
        grammar->longs[i] =
            (struct option){row->name ? row->name : "=", takes, NULL, FIRST_KEY + (int)i};
        if (row->letter)
            grammar->letters[length++] = (char)row->letter;
        if (row->letter && takes == required_argument)
            grammar->letters[length++] = ':';
    }
    grammar->longs[count] = (struct option){"help", no_argument, NULL, HELP_KEY};
    grammar->longs[count + 1] = (struct option){"version", no_argument, NULL, VERSION_KEY};
    return 0;
}

static int take_option(struct options *self, int key, struct error *error) {
    const struct options_program *program = self->program;
    size_t i = key >= FIRST_KEY ? (size_t)(key - FIRST_KEY) : 0;
    while (key < FIRST_KEY && program->rows[i].letter != key)
        i++;
    self->given[i] = true;
    return options_set(self, &program->rows[i], optarg ? optarg : "true", "--", error);
}

static int take_positional(struct options *self, const char *text, struct error *error) {
    if (!self->program->positional || self->positional_given)
        return error_set(error, ERROR_INVALID, "unexpected argument '%s'; see --help", text);
    self->positional_given = true;
    const char *copy = keep(self, text);
    *(const char **)((char *)self->target + self->program->positional_offset) = copy;
    return copy ? 0 : error_set(error, ERROR_MEMORY, "no memory for the options");
}

static int parse(struct options *self, int argc, char **argv, struct error *error) {
    const struct options_program *program = self->program;
    struct grammar grammar = {0};
    char **words = calloc((size_t)argc + 1, sizeof *words); /* getopt sorts what it is given */
    int status = 0, key;
    if (make_grammar(program, &grammar) != 0 || !words)
        status = error_set(error, ERROR_MEMORY, "no memory for the options");
    else
        memcpy(words, argv, (size_t)argc * sizeof *words);
    opterr = 0;
    optind = 0; /* begin anew */
    while (status == 0 &&
           (key = getopt_long(argc, words, grammar.letters, grammar.longs, NULL)) != -1) {
        if (key == HELP_KEY || (key == '?' && optopt == '?')) {
            print_help(program);
            exit(0);
        }
        if (key == VERSION_KEY || key == 'V') {
            printf("%s %s\n", program->name, DIGITSUM_VERSION);
            exit(0);
        }
        status = key == '?' || key == ':' ? name_culprit(program, words, key, error)
                                          : take_option(self, key, error);
    }
    for (int i = optind; status == 0 && i < argc; i++)
        status = take_positional(self, words[i], error);
    free(words);
    free(grammar.letters);
    free(grammar.longs);
    return status;
}

struct options *options_parse(const struct options_program *program, int argc, char **argv,
                              void *target, struct error *error) {
    struct options *self = calloc(1, sizeof *self);
    if (self)
        self->given = calloc(program->count + 1, sizeof *self->given);
    if (!self || !self->given) {
        error_set(error, ERROR_MEMORY, "no memory for the options");
        goto failed;
    }
    self->program = program;
    self->target = target;
    if (set_defaults(self, error) != 0 || parse(self, argc, argv, error) != 0)
        goto failed;
    return self;
failed:
    options_destroy(&self);
    return NULL;
}

bool options_given(const struct options *self, const char *name) {
    for (size_t i = 0; i < self->program->count; i++)
        if (self->program->rows[i].name && strcmp(self->program->rows[i].name, name) == 0)
            return self->given[i];
    return false;
}

static json_t *list_to_json(const char *const *list) {
    json_t *values = json_array();
    for (; list && *list; list++)
        json_array_append_new(values, json_string(*list));
    return values;
}

json_t *options_to_json(const struct options *self, unsigned mask) {
    json_t *values = json_object();
    for (size_t i = 0; values && i < self->program->count; i++) {
        const struct option_row *row = &self->program->rows[i];
        if (!row->name || (mask && !(row->use & mask)))
            continue;
        const void *at = field(self, row);
        json_t *value;
        if (row->kind == OPTION_FLAG)
            value = json_boolean(*(const bool *)at);
        else if (row->kind == OPTION_INT)
            value = json_integer(*(const int64_t *)at);
        else if (row->kind == OPTION_REAL)
            value = json_real(*(const double *)at);
        else if (row->use & OPTION_MANY)
            value = list_to_json(*(const char **const *)at);
        else
            value = *(const char *const *)at ? json_string(*(const char *const *)at) : json_null();
        if (json_object_set_new(values, row->name, value) != 0) {
            json_decref(values);
            values = NULL;
        }
    }
    return values;
}

void options_destroy(struct options **pointer) {
    struct options *self = *pointer;
    if (!self)
        return;
    for (size_t i = 0; i < self->block_count; i++)
        free(self->blocks[i]);
    free(self->blocks);
    free(self->given);
    free(self);
    *pointer = NULL;
}
