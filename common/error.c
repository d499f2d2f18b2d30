#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, enum error_code code, const char *format, ...) {
    if (!error)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return -1;
}

static void set_errno(struct error *error, int number, const char *format, va_list arguments) {
    char reason[128];
    error->code = number == ENOMEM ? ERROR_MEMORY : ERROR_IO;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s",
             strerror_r(number, reason, sizeof reason));
    errno = number;
}

int error_set_errno(struct error *error, const char *format, ...) {
    int number = errno;
    if (!error)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    set_errno(error, number, format, arguments);
    va_end(arguments);
    return -1;
}

int error_set_file(struct error *error, const char *format, ...) {
    static const int lasting[] = {ENOENT, ENOTDIR, EISDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG};
    int number = errno;
    if (!error)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    set_errno(error, number, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
        if (number == lasting[i])
            error->code = ERROR_INVALID;
    return -1;
}

int error_prefix(struct error *error, const char *format, ...) {
    if (!error)
        return -1;
    char prefix[sizeof error->text];
    char whole[2 * sizeof error->text + 4];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", prefix, error->text);
    whole[sizeof error->text - 1] = '\0';
    memcpy(error->text, whole, sizeof error->text);
    return -1;
}

int error_exit_status(enum error_code code) {
    switch (code) {
    case ERROR_NONE:
        return 0;
    case ERROR_INVALID:
        return 2;
    case ERROR_CORRUPT:
        return 3;
    case ERROR_REFUSED:
        return 4;
    case ERROR_TIMEOUT:
        return 5;
    case ERROR_DEVICE:
        return 6;
    case ERROR_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}
