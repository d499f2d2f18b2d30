/* An error and its sentence.
 *
 * Every function that can fail for a reason outside the program returns -1 (or NULL) and fills a
 * caller-owned `struct error` with a code, for control flow, and one sentence, for people: who or
 * what, what was expected, what came. Nothing deep inside prints; main() prints the sentence.
 * A mistake of the calling code itself is an assert, never an error. */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* an option, setting or network text that makes no sense */
    ERROR_IO,          /* the system refused: file, disk, socket */
    ERROR_CORRUPT,     /* data from a file or the network that fails a check */
    ERROR_REFUSED,     /* the other side said no, and why */
    ERROR_TIMEOUT,     /* waited; the sentence names what for */
    ERROR_CLOSED,      /* the other side ended in good order */
    ERROR_MEMORY,      /* an allocation failed; the sentence says of how much */
    ERROR_UNSUPPORTED, /* right, but this build or this machine cannot do it */
    ERROR_INTERRUPTED, /* a signal asked to stop */
    ERROR_DEVICE,      /* an accelerator or its library failed; the run goes on from a checkpoint */
    ERROR_DIVERGED     /* training came to a loss or weights that are no use */
};

struct error {
    enum error_code code;
    char text[512];
};

/* Fill `error` (may be NULL) and return -1, so that `return error_set(...)` reads well.
 * The text is cut at its size, never overrun. */
int error_set(struct error *error, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_IO, and appends ": " and the system's word for the current errno. */
int error_set_errno(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a file that a person named: ERROR_INVALID where errno says what only a person can
 * change (no such file, no permission, a folder in its place, a loop of links), so that nobody
 * tries again. */
int error_set_file(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the text that is there, keeping the code. Returns -1. */
int error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The process exit status that belongs to a code: 0 none, 2 invalid use or setting, 3 corrupt
 * data, 4 refused by a peer, 5 time-out, 6 device lost, 130 interrupted, 1 all others. */
int error_exit_status(enum error_code code);

#endif
