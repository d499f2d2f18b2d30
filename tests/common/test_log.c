/* Logs: what is held back, and that lines of several threads never mix. Forms are in test_small.c.
 */
#include "common/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIME = 24 }; /* characters of "2026-11-20T22:15:03.123Z" */

/* A regular file without a name: only there, and in pipes, does one write stay in one piece. */
static int open_file(void) {
    int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(file, 0);
    return file;
}

/* All that was written. The caller frees; the file is closed. */
static char *take_text(int file) {
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    cr_assert_not_null(text);
    cr_assert_eq(pread(file, text, (size_t)size, 0), size);
    close(file);
    return text;
}

Test(log, leaves_out_what_is_below_its_level) {
    struct log log;
    int file = open_file();
    log_init(&log, file, "x", LOG_WARNING);
    log_debug(&log, "no");
    log_info(&log, "no");
    log_warning(&log, "yes");
    log_write(NULL, LOG_ERROR, "no");
    char *text = take_text(file);
    cr_assert_str_eq(text + TIME, " x  warning  yes\n");
    free(text);
}

static const char *const alphabet = "abcdefghijklmnopqrstuvwxyz";

enum { THREADS = 4, LINES = 2000 };

struct writer {
    const struct log *log;
    pthread_barrier_t *begin; /* or the first would be done before the last is there */
    int letter;
};

static void *write_lines(void *argument) {
    struct writer *writer = argument;
    char word[301];
    memset(word, alphabet[writer->letter], sizeof word - 1);
    word[sizeof word - 1] = '\0';
    pthread_barrier_wait(writer->begin);
    for (int i = 0; i < LINES; i++)
        log_info(writer->log, "%s", word);
    return NULL;
}

Test(log, keeps_the_lines_of_threads_whole) {
    struct log log;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t begin;
    int file = open_file(), lines = 0;
    log_init(&log, file, "x", LOG_DEBUG);
    cr_assert_eq(pthread_barrier_init(&begin, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){&log, &begin, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&begin);
    char *text = take_text(file), *rest = text;
    for (; *rest; lines++) {
        const char *line = strsep(&rest, "\n");
        cr_assert_not_null(rest);
        cr_assert_eq(strlen(line), TIME + strlen(" x  info  ") + 300);
        const char *word = line + TIME + strlen(" x  info  ");
        const char letter[2] = {*word, '\0'};
        cr_assert_eq(strspn(word, letter), 300, "%s", line);
    }
    cr_assert_eq(lines, THREADS * LINES);
    free(text);
}
