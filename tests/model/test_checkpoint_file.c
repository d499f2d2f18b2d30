/* Checkpoints from the disk; that they get there whole is common/file.h's. */
#include "common/file.h"
#include "model/checkpoint.h"
#include "model/init.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char folder[32];
    char path[64];
};

static struct place make_place(void) {
    struct place place = {.folder = "/tmp/digitsum-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(place.folder));
    snprintf(place.path, sizeof place.path, "%s/last.safetensors", place.folder);
    return place;
}

static void remove_place(const struct place *place) {
    unlink(place->path);
    cr_expect_eq(rmdir(place->folder), 0, "something was left in %s", place->folder);
}

static void must_write(const char *path, const char *text) {
    struct error error = {0};
    cr_assert_eq(file_write(path, text, strlen(text), &error), 0, "%s", error.text);
}

Test(checkpoint_file, encode_write_read) {
    static const struct optimizer adamw = {.kind = OPTIMIZER_ADAMW, .ema = 0.9f};
    struct place place = make_place();
    struct error error = {0};
    struct checkpoint checkpoint = {.step = 1, .settings = "{}", .net = must_parse(tiny_text)};
    uint8_t *bytes;
    size_t size;
    memset(checkpoint.dataset, 'a', SHA256_HEX - 1);
    cr_assert_eq(state_alloc(&checkpoint.state, checkpoint.net, &adamw, &error), 0);
    init_parameters(checkpoint.net, 4, checkpoint.state.weights);
    cr_assert_eq(checkpoint_encode(&checkpoint, &bytes, &size, &error), 0, "%s", error.text);
    cr_assert_eq(file_write(place.path, bytes, size, &error), 0, "%s", error.text);
    struct checkpoint *back = checkpoint_read(place.path, &error);
    cr_assert_not_null(back, "%s", error.text);
    cr_expect_eq(back->step, 1);
    cr_expect_eq(memcmp(back->state.weights, checkpoint.state.weights,
                        checkpoint.net->total * sizeof(float)),
                 0);
    checkpoint_destroy(&back);
    state_free(&checkpoint.state);
    net_destroy(&checkpoint.net);
    free(bytes);
    remove_place(&place);
}

static void expect_unread(const char *path, enum error_code code, const char *sentence) {
    struct error error = {0};
    cr_expect_null(checkpoint_read(path, &error));
    cr_expect_eq(error.code, code);
    cr_expect_str_eq(error.text, sentence);
}

Test(checkpoint_file, files_that_are_no_checkpoints) {
    struct place place = make_place();
    char sentence[256];
    expect_unread("/nonexistent", ERROR_IO,
                  "checkpoint: cannot open /nonexistent: No such file or directory");
    expect_unread("/tmp", ERROR_IO, "checkpoint: cannot read /tmp: it is not a regular file");
    cr_assert_eq(mkfifo(place.path, 0600), 0);
    snprintf(sentence, sizeof sentence, "checkpoint: cannot read %s: it is not a regular file",
             place.path);
    expect_unread(place.path, ERROR_IO, sentence);
    unlink(place.path);
    must_write(place.path, "hello");
    snprintf(sentence, sizeof sentence, "checkpoint %s: 5 bytes are too few; the file is cut short",
             place.path);
    expect_unread(place.path, ERROR_CORRUPT, sentence);
    cr_assert_eq(truncate(place.path, (off_t)1 << 40), 0); /* all holes */
    snprintf(sentence, sizeof sentence,
             "checkpoint: %s is larger than 4296015880 bytes (1099511627776)", place.path);
    expect_unread(place.path, ERROR_CORRUPT, sentence);
    remove_place(&place);
}
