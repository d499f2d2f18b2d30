/* Words of a shell: what is printed for people to paste. */
#ifndef COMMON_SHELL_H
#define COMMON_SHELL_H

#include <stdio.h>

/* Writes `word` so that a POSIX shell reads it back as one word with the same bytes: as it is where
 * that is safe, else in apostrophes. */
void shell_word(FILE *out, const char *word);

#endif
