/* See suggest.h. */
#include "common/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What other programs call what we have: no distance between letters finds these. In lower case,
 * with '-' for '_'. */
// clang-format off
static const struct {
    const char *ours, *theirs;
} synonyms[] = {
    {"cuda", "gpu|nvidia"},
    {"f32", "fp32|float32|float"},
    {"bf16", "fp16|float16|half|bfloat16"},
    {"rate", "lr|learning-rate|p"},
    {"batch", "batch-size|bs"},
    {"rho", "alpha"},
    {"epsilon", "eps"},
    {"weight-decay", "wd"},
    {"sgd", "momentum"},
    {"nesterov", "nag"},
    {"step", "steplr|multistep|multisteplr"},
    {"step-epochs", "step-size"},
    {"onecycle", "onecyclelr|one-cycle"},
    {"loaders", "workers|num-workers"},
    {"digit", "label"},
    {"kind", "type"},
    {"conv", "conv2d|convolution"},
    {"dense", "linear|fc"},
    {"batchnorm", "batchnorm2d|bn"},
    {"maxpool", "maxpool2d|maxpooling2d"},
    {"avgpool", "avgpool2d|averagepooling2d"},
    {"dropout", "dropout2d"},
    {"concat", "cat|concatenate"},
    {"sigmoid", "logistic"},
    {"channels", "filters|out-channels"},
    {"kernel", "kernel-size"},
    {"stride", "strides"},
    {"size", "pool-size"},
    {"bias", "use-bias"},
    {"units", "features|out-features"},
};
// clang-format on

/* The form in which names are compared; -1 where it does not fit. */
static int normalise(char to[static SUGGEST_NAME], const char *from, size_t length) {
    if (length >= SUGGEST_NAME)
        return -1;
    for (size_t i = 0; i < length; i++)
        to[i] = from[i] == '_' ? '-' : (char)tolower((unsigned char)from[i]);
    to[length] = '\0';
    return 0;
}

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the table, since a swap reaches two rows back. */
static unsigned distance(const char *a, const char *b) {
    unsigned rows[3][SUGGEST_NAME];
    size_t width = strlen(b);
    for (size_t k = 0; k <= width; k++)
        rows[0][k] = (unsigned)k;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned *now = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= width; k++) {
            unsigned substituted = above[k - 1] + (a[i - 1] != b[k - 1]);
            now[k] = smaller(substituted, smaller(above[k], now[k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                now[k] = smaller(now[k], before[k - 2] + 1);
        }
    }
    return rows[strlen(a) % 3][width];
}

void suggest_begin(struct suggestion *self, const char *word) {
    *self = (struct suggestion){.distance = SUGGEST_NAME};
    if (normalise(self->word, word, strlen(word)) != 0)
        self->word[0] = '\0';
}

/* Whether `word` is what others call `ours`. */
static bool is_synonym(const char *word, const char *ours) {
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (strcmp(synonyms[i].ours, ours) != 0)
            continue;
        const char *theirs = synonyms[i].theirs;
        for (size_t length; *theirs; theirs += length + (theirs[length] == '|')) {
            length = strcspn(theirs, "|");
            if (length == strlen(word) && strncmp(word, theirs, length) == 0)
                return true;
        }
    }
    return false;
}

/* Whether one is the beginning of the other, and long enough not to be so by chance. */
static bool begins_alike(const char *a, const char *b) {
    size_t shorter = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return shorter >= 3 && strncmp(a, b, shorter) == 0;
}

static void consider(struct suggestion *self, const char *name, size_t length) {
    char candidate[SUGGEST_NAME];
    if (!self->word[0] || length == 0 || normalise(candidate, name, length) != 0)
        return;
    size_t longer = strlen(self->word) > length ? strlen(self->word) : length;
    unsigned limit = smaller((unsigned)longer / 3, 3);
    unsigned away = distance(self->word, candidate);
    if (is_synonym(self->word, candidate))
        away = 0;
    else if (away > 1 && begins_alike(self->word, candidate))
        away = 1;
    if (away > limit || away >= self->distance)
        return;
    memcpy(self->best, name, length);
    self->best[length] = '\0';
    self->distance = away;
}

void suggest_try(struct suggestion *self, const char *name) {
    consider(self, name, strlen(name));
}

void suggest_words(struct suggestion *self, const char *words) {
    while (*words) {
        size_t length = strcspn(words, "|");
        consider(self, words, length);
        words += length + (words[length] == '|');
    }
}

const char *suggest_best(const struct suggestion *self) {
    return self->best[0] ? self->best : NULL;
}

const char *suggest_hint(const struct suggestion *self, char hint[static SUGGEST_HINT]) {
    const char *best = suggest_best(self);
    snprintf(hint, SUGGEST_HINT, best ? "; did you mean '%s'?" : "%s", best ? best : "");
    return hint;
}
