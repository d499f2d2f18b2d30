/* See notices.h. */
#include "common/notices.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character at `text`, and its code; 0 where there is none in its shortest form
 * (the text's NUL ends one that was cut). */
static size_t character(const char *text, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t size = bytes[0] < 0x80             ? 1
                  : (bytes[0] & 0xe0) == 0xc0 ? 2
                  : (bytes[0] & 0xf0) == 0xe0 ? 3
                  : (bytes[0] & 0xf8) == 0xf0 ? 4
                                              : 0;
    *code = size <= 1 ? bytes[0] : bytes[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (bytes[i] & 0x3f);
    }
    bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return size && *code >= least[size] && *code <= 0x10ffff && !surrogate ? size : 0;
}

static bool is_printable(uint32_t code) {
    return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && !(code >= 0x200b && code <= 0x200f) &&
           !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2060 && code <= 0x206f);
}

/* In place: what replaces a character is never longer. */
static void clean(char *text, bool cut) {
    char *to = text;
    for (size_t size; *text; text += size) {
        uint32_t code;
        size = character(text, &code);
        if (size == 0 && cut && strlen(text) < 4)
            break; /* it lost its end */
        if (size == 0 || !is_printable(code)) {
            *to++ = '?';
            size = size ? size : 1;
            continue;
        }
        memmove(to, text, size);
        to += size;
    }
    *to = '\0';
}

int notices_add(struct notices *self, const char *format, ...) {
    char text[NOTICE_SIZE];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    clean(text, length >= (int)sizeof text);
    for (int i = 0; i < self->count; i++)
        if (strcmp(self->texts[i], text) == 0)
            return 0;
    if (self->count == NOTICES_MAX) {
        self->dropped++;
        return 0;
    }
    memcpy(self->texts[self->count++], text, sizeof text);
    return 1;
}
