/* See display.h. */
#include "common/display.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct range {
    uint32_t first, last;
};

/* Two columns wide: East Asian scripts, full-width forms, emoji. */
static const struct range wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                    {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                    {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
/* No column of their own: marks over the character before. */
static const struct range joined[] = {{0x300, 0x36f}, {0x1ab0, 0x1aff}, {0x20d0, 0x20ff}};
/* Never printed: controls, the invisible, and what reorders the line around it. */
static const struct range unprintable[] = {
    {0x0, 0x1f},      {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},   {0x180e, 0x180e},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xd800, 0xf8ff}, {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff}, {0xfff0, 0xffff}, {0xe0000, 0x10ffff}};

static bool within(uint32_t code, const struct range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}
#define WITHIN(code, ranges) within(code, ranges, sizeof ranges / sizeof *ranges)

/* One character: its bytes, and its code in *code; 1 byte and code 0 where it is not UTF-8 in its
 * shortest form. */
static size_t decode(const char *text, uint32_t *code) {
    const uint8_t *bytes = (const uint8_t *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = bytes[0] < 0x80             ? 1
                  : (bytes[0] & 0xe0) == 0xc0 ? 2
                  : (bytes[0] & 0xf0) == 0xe0 ? 3
                  : (bytes[0] & 0xf8) == 0xf0 ? 4
                                              : 0;
    *code = 0;
    if (size == 0)
        return 1;
    uint32_t value = size == 1 ? bytes[0] : bytes[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) /* the text's NUL ends here too */
            return 1;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < least[size] || value > 0x10ffff)
        return 1;
    *code = value;
    return size;
}

static int width(uint32_t code) {
    return WITHIN(code, joined) ? 0 : WITHIN(code, wide) ? 2 : 1;
}

int display_fit(char *out, size_t size, const char *text, int columns, bool ascii) {
    int used = 0;
    size_t filled = 0;
    while (*text) {
        uint32_t code;
        size_t bytes = decode(text, &code);
        const char *source = text;
        size_t length = bytes;
        if (WITHIN(code, unprintable) || (ascii && code > 0x7e)) {
            source = "?";
            length = 1;
            code = '?';
        }
        if (used + width(code) > columns || filled + length >= size)
            break;
        memcpy(out + filled, source, length);
        filled += length;
        used += width(code);
        text += bytes;
    }
    if (size > 0)
        out[filled] = '\0';
    return used;
}

int display_columns(const char *text) {
    int columns = 0;
    while (*text) {
        uint32_t code;
        text += decode(text, &code);
        columns += WITHIN(code, unprintable) ? 1 : width(code);
    }
    return columns;
}

const char *display_count(uint64_t number, char out[static DISPLAY_NUMBER]) {
    char digits[DISPLAY_NUMBER];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *end = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return out;
}

const char *display_duration(double seconds, char out[static DISPLAY_NUMBER]) {
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9)
        return strcpy(out, "-");
    long whole = (long)seconds;
    if (seconds < 59.95)
        snprintf(out, DISPLAY_NUMBER, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(out, DISPLAY_NUMBER, "%ld:%02ld", (whole < 60 ? 60 : whole) / 60,
                 whole < 60 ? 0 : whole % 60);
    else
        snprintf(out, DISPLAY_NUMBER, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    return out;
}

const char *display_share(double share, char out[static DISPLAY_NUMBER]) {
    if (!(share >= 0 && share <= 1))
        return strcpy(out, "-");
    snprintf(out, DISPLAY_NUMBER, "%.2f %%", 100 * share);
    return out;
}
