/* See options.h: the rows, their values, and argp. Files are options_file.c's. */
#include "common/options.h"

#include "common/options_private.h"
#include "common/suggest.h"
#include "common/version.h"

#include <argp.h>
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const DIGITSUM_VERSION = VERSION_TEXT;

enum { FIRST_KEY = 1000 }; /* keys of rows and of long options: above every letter */

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
    if (row->least == row->most)
        return error_set(error, ERROR_INVALID, "%s%s %s: must be a %snumber", where, row->name,
                         text, whole);
    char least[32], most[32];
    write_bound(least, row, row->least);
    write_bound(most, row, row->most);
    return error_set(error, ERROR_INVALID, "%s%s %s: must be a %snumber from %s to %s", where,
                     row->name, text, whole, least, most);
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
    return row->least == row->most || (value >= row->least && value <= row->most);
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
        assert(!row->standard || !(row->use & OPTION_MANY));
        if (row->name && row->standard &&
            options_set(self, row, row->standard, "the default of --", error) != 0)
            return -1;
    }
    return 0;
}

/* --- argp --------------------------------------------------------------------------------------
 */

struct parsing {
    struct options *self;
    struct error *error;
    bool failed;
};

static int key_of(const struct options_program *program, size_t i) {
    return program->rows[i].letter ? program->rows[i].letter : FIRST_KEY + (int)i;
}

/* The row that an argp key stands for, or count. */
static size_t row_of(const struct options_program *program, int key) {
    size_t i = 0;
    while (i < program->count && !(program->rows[i].name && key_of(program, i) == key))
        i++;
    return i;
}

static error_t parse_one(int key, char *argument, struct argp_state *state) {
    struct parsing *parsing = state->input;
    struct options *self = parsing->self;
    size_t i = row_of(self->program, key);
    if (i < self->program->count) {
        const struct option_row *row = &self->program->rows[i];
        if (options_set(self, row, argument ? argument : "true", "--", parsing->error) == 0) {
            self->given[i] = true;
            return 0;
        }
        parsing->failed = true;
        return EINVAL;
    }
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (self->program->positional && !self->positional_given) {
        const char *copy = keep(self, argument);
        *(const char **)((char *)self->target + self->program->positional_offset) = copy;
        self->positional_given = true;
        return copy ? 0 : ENOMEM;
    }
    error_set(parsing->error, ERROR_INVALID, "unexpected argument '%s'; see --help", argument);
    parsing->failed = true;
    return EINVAL;
}

/* Help texts with their defaults appended, as argp wants them. -1 when memory is short. */
static int describe(struct options *self, struct argp_option *entries) {
    int group = 0;
    for (size_t i = 0; i < self->program->count; i++) {
        const struct option_row *row = &self->program->rows[i];
        struct argp_option *entry = &entries[i];
        if (!row->name) {
            *entry = (struct argp_option){.doc = row->help, .group = ++group};
            continue;
        }
        char help[512];
        const char *argument = row->argument ? row->argument : "WORD";
        if (row->kind == OPTION_FLAG)
            argument = NULL;
        bool fallback = row->standard && row->kind != OPTION_FLAG;
        snprintf(help, sizeof help, "%s%s%s%s%s%s", row->help, row->choices ? ": " : "",
                 row->choices ? row->choices : "", fallback ? " (default " : "",
                 fallback ? row->standard : "", fallback ? ")" : "");
        *entry = (struct argp_option){.name = row->name,
                                      .key = key_of(self->program, i),
                                      .arg = argument,
                                      .doc = keep(self, help),
                                      .group = group};
        if (!entry->doc)
            return -1;
    }
    return 0;
}

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
    if (!best && program->elsewhere)
        return error_set(error, ERROR_INVALID, "unknown option '%.200s'; see --help; %s", culprit,
                         program->elsewhere);
    return error_set(error, ERROR_INVALID, "unknown option '%.200s'; %s%s%s", culprit,
                     best ? "did you mean --" : "see --help", best ? best : "", best ? "?" : "");
}

/* One sentence for an option that getopt does not like, given getopt's state after it. */
static int name_culprit(const struct options_program *program, char **argv, int verdict,
                        struct error *error) {
    bool is_long = optopt == 0 || optopt >= FIRST_KEY; /* 0: unknown, or short for several */
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *culprit = is_long ? argv[optind - 1] : letter;
    if (verdict == ':')
        return error_set(error, ERROR_INVALID, "%s needs a value; see --help", culprit);
    if (optopt >= FIRST_KEY)
        return error_set(error, ERROR_INVALID, "%.*s takes no value; see --help",
                         (int)strcspn(culprit, "="), culprit);
    return unknown_option(program, culprit, is_long, error);
}

/* argp words its own complaints, in two lines: so getopt, on which argp stands, looks over the
 * arguments first. */
static int look_over(const struct options_program *program, int argc, char **argv,
                     struct error *error) {
    /* argp's own. The last is hidden, but makes short forms ambiguous. */
    static const char *const own[] = {"help", "usage", "version", "program-name"};
    struct option *longs = calloc(program->count + 5, sizeof *longs);
    char *letters = calloc(2 * program->count + 4, 1);
    char **copy = calloc((size_t)argc + 1, sizeof *copy); /* getopt sorts what it is given */
    size_t count = 0, length = 0;
    int status = 0, verdict;
    if (!longs || !letters || !copy) {
        status = error_set(error, ERROR_MEMORY, "no memory for the options");
        goto done;
    }
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    letters[length++] = ':';
    letters[length++] = 'V';
    for (size_t i = 0; i < program->count; i++) {
        const struct option_row *row = &program->rows[i];
        int takes = row->kind == OPTION_FLAG ? no_argument : required_argument;
        if (!row->name)
            continue;
        longs[count] = (struct option){row->name, takes, NULL, FIRST_KEY + (int)count};
        count++; /* to getopt, options that are equal but for the name are never ambiguous */
        if (row->letter)
            letters[length++] = (char)row->letter;
        if (row->letter && takes == required_argument)
            letters[length++] = ':';
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++, count++)
        longs[count] = (struct option){own[i], i == 3, NULL, FIRST_KEY + (int)count};
    opterr = 0;
    optind = 0; /* begin anew */
    while (status == 0 && (verdict = getopt_long(argc, copy, letters, longs, NULL)) != -1)
        if ((verdict == '?' && optopt != '?') || verdict == ':') /* -? is help */
            status = name_culprit(program, copy, verdict, error);
    opterr = 1;
    optind = 0;
done:
    free(copy);
    free(letters);
    free(longs);
    return status;
}

static int parse(struct options *self, int argc, char **argv, struct error *error) {
    const struct options_program *program = self->program;
    struct argp_option *entries = calloc(program->count + 1, sizeof *entries);
    char *summary = NULL, version[128];
    int status = -1;
    snprintf(version, sizeof version, "%s %s", program->name, DIGITSUM_VERSION);
    if (look_over(program, argc, argv, error) != 0)
        goto done;
    if (!entries || describe(self, entries) != 0 ||
        asprintf(&summary, "%s%s%s", program->summary, program->example ? "\v" : "",
                 program->example ? program->example : "") < 0) {
        error_set(error, ERROR_MEMORY, "no memory for the options");
        goto done;
    }
    struct argp argp = {
        .options = entries, .parser = parse_one, .args_doc = program->positional, .doc = summary};
    struct parsing parsing = {self, error, false};
    argp_program_version = version;
    error_t failure = argp_parse(&argp, argc, argv, 0, NULL, &parsing);
    if (failure == 0)
        status = 0;
    else if (!parsing.failed)
        error_set(error, ERROR_INVALID, "the options cannot be read: %s", strerror(failure));
    argp_program_version = NULL; /* libc's global: it must not outlive the text */
done:
    free(summary);
    free(entries);
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
