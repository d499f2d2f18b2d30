/* See notices.h. */
#include "common/notices.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts off a UTF-8 character that lost its end: at most its first 3 of 4 bytes can be there. */
static void drop_torn_character(char *text, size_t length) {
    size_t start = length;
    while (start > 0 && length - start < 3 && (text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (wanted > length - (start - 1))
        text[start - 1] = '\0';
}

int notices_add(struct notices *self, const char *format, ...) {
    char text[NOTICE_SIZE];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (length >= (int)sizeof text)
        drop_torn_character(text, sizeof text - 1);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
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
