/* See command.h. */
#include "deploy/command.h"

#include "common/shell.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *option, const char *word, size_t size, size_t least) {
    return size >= least && strncmp(option, word, size) == 0;
}

/* Whether the words from this one on name the run, or how it is started: written anew. `count`: how
 * many these are. */
static bool is_replaced(char **words, size_t *count) {
    const char *word = words[0];
    if (strncmp(word, "--", 2) != 0)
        return false;
    size_t size = strcspn(word + 2, "=");
    *count = 1;
    if (size == 3 && strncmp(word + 2, "run", 3) == 0) {
        *count += word[2 + size] != '=' && words[1];
        return true;
    }
    /* As short as getopt takes them: --r is --run, --runs or --resume. */
    return begins("resume", word + 2, size, 2) || begins("force", word + 2, size, 1);
}

/* What was typed, but for what is written anew. */
static void write_given(FILE *out, char **words) {
    for (size_t count = 1; *words; words += count, count = 1)
        if (!is_replaced(words, &count)) {
            fputc(' ', out);
            shell_word(out, *words);
        }
}

static bool keeps_going(const struct command_origin *origin) {
    bool found = origin->make && strstr(origin->given, " KEEP_GOING=");
    for (char **word = origin->argv; *word && !found; word++)
        found = strcmp(*word, "--keep-going") == 0 || strcmp(*word, "--trainer=--keep-going") == 0;
    return found;
}

static void write_pair(FILE *out, const char *name, const char *value) {
    fprintf(out, " %s=", name);
    shell_word(out, value);
}

/* ARGS='--runs=…' as make reads it: $$ is one $. */
static void write_runs_for_make(FILE *out, const char *runs) {
    char *words = NULL, *doubled = NULL;
    size_t size = 0;
    FILE *inner = open_memstream(&words, &size);
    if (!inner)
        return;
    fputs("--runs=", inner);
    shell_word(inner, runs);
    if (fclose(inner) == 0 && (doubled = malloc(2 * size + 1))) {
        char *end = doubled;
        for (const char *from = words; *from; *end++ = *from++)
            if (*from == '$')
                *end++ = '$';
        *end = '\0';
        write_pair(out, "ARGS", doubled);
    }
    free(doubled);
    free(words);
}

char *command_text(enum command_kind kind, const struct command_origin *origin, const char *run,
                   const char *runs) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool other = kind == COMMAND_RESUME_OTHER, make = origin->make != NULL;
    bool going = kind == COMMAND_KEEP_GOING && !keeps_going(origin);
    if (!out)
        return NULL;
    if (make) {
        fputs(origin->make, out);
        write_pair(out, "RUN", run);
        if (other && runs)
            write_runs_for_make(out, runs);
        fputs(other ? "" : origin->given, out);
        fputs(going ? " KEEP_GOING=1" : "", out);
        fputs(kind == COMMAND_FORCE ? " FORCE=1" : " RESUME=1", out);
    } else {
        shell_word(out, origin->argv[0]);
        write_pair(out, "--run", run);
        fputs(kind == COMMAND_FORCE ? " --force" : " --resume", out);
        fputs(going ? " --keep-going" : "", out);
        if (other && runs)
            write_pair(out, "--runs", runs);
        if (!other)
            write_given(out, origin->argv + 1);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

char *command_watch(const struct command_origin *origin, const char *binaries,
                    const char *control) {
    char *text = NULL, program[PATH_MAX + 16];
    size_t size = 0;
    const char *slash = strrchr(origin->argv[0], '/');
    bool elsewhere = origin->make && strstr(origin->make, " -C ");
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    if (slash && !elsewhere)
        snprintf(program, sizeof program, "%.*s/watch", (int)(slash - origin->argv[0]),
                 origin->argv[0]);
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
