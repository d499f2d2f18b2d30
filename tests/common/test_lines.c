/* The tokenizer of networks and recipes: words, values, places, and what no line may have. */
#include "common/lines.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct lines_form form = {"list", "one word a line, such as: a"};

/* All words of a text, as "line:column text[=value]", a bar after each line that has any; then the
 * error, where there is one. */
static char *read_all(const char *text, size_t size) {
    char *out = NULL;
    size_t length;
    FILE *file = open_memstream(&out, &length);
    struct lines lines;
    struct error error = {0};
    int more = lines_begin(&lines, text, size, "a.list", &form, &error);
    while (more == 0 && (more = lines_next(&lines)) == 1) {
        for (int i = 0; i < lines.count; i++) {
            const struct word *word = &lines.words[i];
            fprintf(file, "%d:%d %s%s%s ", word->line, word->column, word->text,
                    word->value ? "=" : "", word->value ? word->value : "");
        }
        fputs("| ", file);
        more = 0;
    }
    lines_end(&lines);
    fputs(error.text, file);
    fclose(file);
    cr_assert_eq(more, error.code == ERROR_NONE ? 0 : -1);
    return out;
}

/* clang-format off */
static const struct {
    const char *text, *words;
} rows[] = {
    {"", ""},
    {"\n \t\r\n# all of it\n", ""},
    {"a", "1:1 a | "},
    {"\n  conv1\tconv  image # with a comment\n", "2:3 conv1 2:9 conv 2:15 image | "},
    {"a#b\nc", "1:1 a | 2:1 c | "},
    {"k=5 k =5 k= 5 k  =\t5", "1:1 k=5 1:5 k=5 1:10 k=5 1:15 k=5 | "},
    {"a k=5\r\nb", "1:1 a 1:3 k=5 | 2:1 b | "},
    {"until = digit=99,sum=99", "1:1 until=digit=99,sum=99 | "},
    {"\xef\xbb\xbfname = h\xc3\xa9", "1:1 name=h\xc3\xa9 | "},
    {"a\n = 5", "1:1 a | a.list:2:2: expected a name before '='"},
    {"a k=# 5", "a.list:1:5: expected a value after '='"},
    {"a\nb \xff", "1:1 a | a.list:2:1: the line is not UTF-8"},
    {"a\nb { c", "1:1 a | a.list:2:3: '{' belongs to an older form that is not read any more; a list has one word a line, such as: a"},
    {"a /* b */;", "a.list:1:3: '/*' belongs to an older form that is not read any more; a list has one word a line, such as: a"},
};
/* clang-format on */

Test(lines, words_values_and_places) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *words = read_all(rows[i].text, strlen(rows[i].text));
        cr_expect_str_eq(words, rows[i].words);
        free(words);
    }
}

Test(lines, bytes_and_limits) {
    char *words = read_all("a\0b", 3);
    cr_expect_str_eq(words, "a.list:1:2: a NUL byte has no place in a text");
    free(words);
    char *large = malloc(LINES_TEXT_MAX + 1);
    memset(large, ' ', LINES_TEXT_MAX + 1);
    words = read_all(large, LINES_TEXT_MAX);
    cr_expect_str_eq(words, "");
    free(words);
    words = read_all(large, LINES_TEXT_MAX + 1);
    cr_expect_str_eq(words, "a.list: a list has at most 65536 bytes; this one has more");
    free(words);
    for (int i = 0; i <= LINES_WORDS_MAX; i++)
        large[2 * i] = 'w';
    words = read_all(large, 2 * LINES_WORDS_MAX);
    cr_expect_not_null(strstr(words, "1:63 w | "), "%s", words);
    free(words);
    words = read_all(large, 2 * LINES_WORDS_MAX + 1);
    cr_expect_str_eq(words, "a.list:1:65: the line has too many words");
    free(words);
    free(large);
}

Test(lines, a_file) {
    struct error error = {0};
    char path[] = "/tmp/digitsum-XXXXXX";
    size_t size;
    int file = mkstemp(path);
    cr_assert_eq(write(file, "a = 1\n", 6), 6);
    close(file);
    char *text = lines_read(path, "list", &size, &error);
    cr_assert_not_null(text, "%s", error.text);
    cr_expect_eq(size, 6);
    cr_expect_arr_eq(text, "a = 1\n", 6);
    free(text);
    unlink(path);
    cr_expect_null(lines_read("/no/such.list", "list", &size, &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "cannot read the list /no/such.list: No such file or directory");
}
