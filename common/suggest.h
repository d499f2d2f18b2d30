/* "Did you mean …": the known name that is nearest to one that is not known. Candidates are shown
 * one after the other, so that any list will do: option rows, words, files of a folder.
 *
 *     struct suggestion suggestion;
 *     char hint[SUGGEST_HINT];
 *     suggest_begin(&suggestion, word);
 *     suggest_words(&suggestion, "auto|cpu|cuda");
 *     error_set(…, "there is no device '%s'%s", word, suggest_hint(&suggestion, hint));
 *
 * Near is: equal but for case and '_' for '-'; another field's or program's name for the same thing
 * ("gpu" for cuda, "lr" for rate); one the beginning of the other ("warn"); or an optimal string
 * alignment distance, the restricted form of Damerau-Levenshtein (Damerau 1964, Communications of
 * the ACM 7(3); Boytsov 2011, ACM Journal of Experimental Algorithmics 16), of at most a third of
 * the longer name, and of 3: insertions, deletions, substitutions and swaps of neighbours count 1.
 * Nothing near: no hint. */
#ifndef COMMON_SUGGEST_H
#define COMMON_SUGGEST_H

#include <stddef.h>

#define SUGGEST_NAME                                                                               \
    64 /* bytes of a name that is compared, NUL included; longer ones are passed over */
#define SUGGEST_HINT (SUGGEST_NAME + 32)

struct suggestion {
    char word[SUGGEST_NAME]; /* lower case, '-' for '_'; "" where it is too long */
    char best[SUGGEST_NAME]; /* nearest so far; "" where none is near */
    unsigned distance;       /* of best */
};

void suggest_begin(struct suggestion *suggestion, const char *word);

/* Shows one candidate; the first of several equally near ones stays. */
void suggest_try(struct suggestion *suggestion, const char *name);

/* The same for each word of "a|b|c". */
void suggest_words(struct suggestion *suggestion, const char *words);

/* The nearest candidate, or NULL. Lives as long as the suggestion. */
const char *suggest_best(const struct suggestion *suggestion);

/* "; did you mean 'cuda'?", or "" where nothing is near. Returns `hint`. */
const char *suggest_hint(const struct suggestion *suggestion, char hint[static SUGGEST_HINT]);

#endif
