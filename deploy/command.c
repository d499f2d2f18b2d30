/* See command.h. */
#include "deploy/command.h"

#include "common/shell.h"

#include <stdlib.h>
#include <string.h>

/* Options that have a variable of make, and whether a run records them: then it need not be told
 * again to go on. Options that are not here go into ARGS. */
static const struct known {
    const char *option, *variable;
    bool recorded;
} known[] = {
    {"run", "RUN", false},
    {"net", "NET", true},
    {"recipe", "RECIPE", true},
    {"seed", "SEED", true},
    {"epochs", "EPOCHS", true},
    {"steps", "STEPS", true},
    {"until", "UNTIL", false},
    {"device", "DEVICE", false},
    {"precision", "PRECISION", true},
    {"data", "DATA", true},
    {"hold-out", "HOLD_OUT", true},
    {"loaders", "LOADERS", false},
    {"augmenters", "AUGMENTERS", false},
    {"transpose", "TRANSPOSE", true},
    {"keep-going", "KEEP_GOING", false},
    {"other-bits", "OTHER_BITS", false},
};

static const struct known *find(const char *option) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].option, option) == 0)
            return &known[i];
    return NULL;
}

/* A word of a shell, after " front". */
static void write_pair(FILE *out, const char *front, const char *name, const char *value) {
    fprintf(out, " %s%s=", front, name);
    shell_word(out, value);
}

/* The value of a variable of make, which reads $$ as one $. -1 when memory is short. */
static int write_variable(FILE *out, const char *name, const char *value) {
    char *doubled = malloc(2 * strlen(value) + 1), *end = doubled;
    if (!doubled)
        return -1;
    for (; *value; *end++ = *value++)
        if (*value == '$')
            *end++ = '$';
    *end = '\0';
    write_pair(out, "", name, doubled);
    free(doubled);
    return 0;
}

/* `ours` takes what has a variable of make, `rest` the other options; without make both are one. */
struct parts {
    FILE *ours, *rest;
    bool make, failed;
};

static void write_value(struct parts *parts, const char *option, const char *value) {
    const struct known *variable = parts->make ? find(option) : NULL;
    if (!variable)
        write_pair(parts->rest, "--", option, value);
    else if (write_variable(parts->ours, variable->variable, value) != 0)
        parts->failed = true;
}

static void write_option(struct parts *parts, const struct option_row *row,
                         const struct launch *launch) {
    const void *at = (const char *)launch + row->offset;
    char number[64];
    if (row->kind == OPTION_FLAG && parts->make && find(row->name)) {
        write_value(parts, row->name, "1");
    } else if (row->kind == OPTION_FLAG) {
        fprintf(parts->rest, " --%s", row->name);
    } else if (row->kind == OPTION_INT) {
        snprintf(number, sizeof number, "%lld", (long long)*(const int64_t *)at);
        write_value(parts, row->name, number);
    } else if (row->kind == OPTION_REAL) {
        snprintf(number, sizeof number, "%.10g", *(const double *)at);
        write_value(parts, row->name, number);
    } else if (row->use & OPTION_MANY) {
        for (const char *const *word = *(const char *const *const *)at; word && *word; word++)
            write_value(parts, row->name, *word);
    } else {
        write_value(parts, row->name, *(const char *const *)at);
    }
}

static bool is_wanted(enum command_kind kind, const struct option_row *row,
                      const struct launch *launch, const struct options *options) {
    static const char *const own[] = {"run", "resume", "force"};
    if (!row->name || !options_given(options, row->name))
        return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(row->name, own[i]) == 0)
            return false;
    if (kind == COMMAND_RESUME_OTHER && strcmp(row->name, "trainer") == 0)
        return false;
    const struct known *it = find(row->name);
    return kind == COMMAND_FORCE || launch->resume || !it || !it->recorded;
}

char *command_text(enum command_kind kind, const struct command_origin *origin, const char *run,
                   const struct launch *launch, const struct options *options) {
    char *text = NULL, *rest = NULL;
    size_t size = 0, rest_size = 0;
    struct parts parts = {.make = origin->make != NULL};
    parts.ours = open_memstream(&text, &size);
    parts.rest = parts.make ? open_memstream(&rest, &rest_size) : parts.ours;
    parts.failed = !parts.ours || !parts.rest;
    if (parts.failed)
        goto done;
    if (parts.make)
        fputs(origin->make, parts.ours);
    else
        shell_word(parts.ours, origin->program);
    write_value(&parts, "run", run);
    for (size_t i = 0; i < launch_program.count; i++)
        if (is_wanted(kind, &launch_program.rows[i], launch, options))
            write_option(&parts, &launch_program.rows[i], launch);
    if (parts.make) {
        parts.failed |= fclose(parts.rest) != 0;
        parts.rest = NULL;
        if (!parts.failed && rest_size > 0)
            parts.failed = write_variable(parts.ours, "ARGS", rest + 1) != 0;
    }
    if (kind == COMMAND_KEEP_GOING && !options_given(options, "keep-going"))
        fputs(parts.make ? " KEEP_GOING=1" : " --keep-going", parts.ours);
    if (kind == COMMAND_FORCE)
        fputs(parts.make ? " FORCE=1" : " --force", parts.ours);
    else
        fputs(parts.make ? " RESUME=1" : " --resume", parts.ours);
done:
    if (parts.make && parts.rest)
        fclose(parts.rest);
    if (parts.ours && fclose(parts.ours) != 0)
        parts.failed = true;
    free(rest);
    if (parts.failed) {
        free(text);
        return NULL;
    }
    return text;
}

char *command_watch(const struct command_origin *origin, const char *binaries,
                    const char *control) {
    char *text = NULL, program[PATH_MAX + 16];
    size_t size = 0;
    const char *slash = strrchr(origin->program, '/');
    bool elsewhere = origin->make && strstr(origin->make, " -C ");
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    if (slash && !elsewhere)
        snprintf(program, sizeof program, "%.*s/watch", (int)(slash - origin->program),
                 origin->program);
    else
        snprintf(program, sizeof program, "%s/watch", binaries);
    shell_word(out, program);
    fputs(" --join ", out);
    shell_word(out, control);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
