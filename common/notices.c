/* See notices.h. */
#include "common/notices.h"

#include "common/display.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int notices_add(struct notices *self, const char *format, ...) {
    char whole[2 * NOTICE_SIZE], text[NOTICE_SIZE] = "";
    va_list values;
    va_start(values, format);
    vsnprintf(whole, sizeof whole, format, values);
    va_end(values);
    display_fit(text, sizeof text, whole, INT_MAX, false);
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
