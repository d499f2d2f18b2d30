/* Warnings about a run that a person should see once, wherever he looks: the log, the table at the
 * end and summary.json. A bounded list of sentences; plain data that may be copied. */
#ifndef COMMON_NOTICES_H
#define COMMON_NOTICES_H

#define NOTICES_MAX 16  /* sentences kept */
#define NOTICE_SIZE 240 /* bytes of one, with its NUL */

struct notices {
    int count;                            /* 0 to NOTICES_MAX; zero the struct to begin */
    int dropped;                          /* further ones that found no room */
    char texts[NOTICES_MAX][NOTICE_SIZE]; /* one sentence each, without a full stop */
};

/* Adds a sentence, cut to NOTICE_SIZE - 1 bytes at a character's end. Sentences may hold names from
 * files and other machines, and end up on terminals and in JSON: control characters, those that
 * change the direction of a line, and bytes that are not UTF-8 are replaced by '?'. One that is
 * there already is not added again. Returns 1 if it was added, 0 if it was there already or there
 * was no room. */
int notices_add(struct notices *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
