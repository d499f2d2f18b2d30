/* What is suggested for a name that is not known, and what is too far away. */
#include "common/suggest.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *nearest(const char *word, const char *words) {
    static struct suggestion suggestion;
    suggest_begin(&suggestion, word);
    suggest_words(&suggestion, words);
    return suggest_best(&suggestion);
}

/* clang-format off */
static const struct {
    const char *word, *words, *expected; /* NULL: nothing */
} rows[] = {
    {"adam",        "sgd|nesterov|adamw",          "adamw"},    /* one letter more */
    {"adammw",      "sgd|nesterov|adamw",          "adamw"},    /* one fewer */
    {"qiuck",       "plain7|quick|tiny",           "quick"},    /* two neighbours swapped */
    {"mnst",        "auto|mnist|synthetic",        "mnist"},
    {"inx",         "idx|png",                     "idx"},      /* one letter for another */
    {"augmentors",  "loaders|augmenters",          "augmenters"},
    {"BATCH",       "batch|bias",                  "batch"},    /* case alone */
    {"weight_decay", "weight-decay|rate",          "weight-decay"},
    {"gpu",         "auto|cpu|cuda",               "cuda"},     /* nearer in meaning than cpu */
    {"lr",          "batch|rate",                  "rate"},
    {"batch_size",  "batch|rate",                  "batch"},
    {"Conv2d",      "conv|dense",                  "conv"},
    {"sinthetc",    "synthetic",                   "synthetic"},
    {"cpua",        "cpu|cuda",                    "cpu"},      /* the first of equals */
    {"warn",        "debug|info|warning|error",    "warning"},  /* its beginning */
    {"conv3x3",     "conv|dense",                  "conv"},
    {"xyz",         "auto|cpu|cuda",               NULL},
    {"ab",          "ac|bb",                       NULL},       /* too short to guess */
    {"",            "a|b",                         NULL},
    {"adam",        "",                            NULL},
    {"sinhtetci",   "satellite",                   NULL},
    {"momentum",    "adamw|sgd",                   "sgd"},
    {"momentum",    "momentum-2|rate",             "momentum-2"},
};
/* clang-format on */

Test(suggest, what_is_near) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *best = nearest(rows[i].word, rows[i].words);
        if (rows[i].expected)
            cr_expect(best && strcmp(best, rows[i].expected) == 0, "%s: %s", rows[i].word,
                      best ? best : "nothing");
        else
            cr_expect_null(best, "%s: %s", rows[i].word, best);
    }
}

Test(suggest, hints) {
    struct suggestion suggestion;
    char hint[SUGGEST_HINT];
    suggest_begin(&suggestion, "qiuck");
    cr_expect_str_eq(suggest_hint(&suggestion, hint), "");
    suggest_try(&suggestion, "quick");
    cr_expect_str_eq(suggest_hint(&suggestion, hint), "; did you mean 'quick'?");
}

Test(suggest, names_have_a_bound) {
    char longest[SUGGEST_NAME], longer[SUGGEST_NAME + 1], longest_of_all[4096];
    memset(longest, 'x', sizeof longest);
    memset(longer, 'x', sizeof longer);
    memset(longest_of_all, 'y', sizeof longest_of_all);
    longest[sizeof longest - 1] = longer[sizeof longer - 1] = '\0';
    longest_of_all[sizeof longest_of_all - 1] = '\0';
    cr_expect_str_eq(nearest(longest, longest), longest);
    cr_expect_null(nearest(longer, longest));
    cr_expect_null(nearest(longest, longer));
    cr_expect_null(nearest(longest_of_all, longest));
    cr_expect_null(nearest("x", longest_of_all));
}
