/* verify on a real run: it agrees with what loaders, augmenters and trainer did, whoever was killed
 * meanwhile, and names what does not follow. */
#include "common/file.h"
#include "common/record.h"
#include "model/checkpoint.h"
#include "tests/e2e/run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(verify, .timeout = 600);

static const char *const newest = "checkpoints/step-000000060.safetensors";

/* 60 steps on 2,000 images with warps: almost four epochs, which end in the steps 15, 31 and 46. */
static void train(struct e2e *run, bool disturbed) {
    char data[64];
    e2e_begin(run);
    snprintf(data, sizeof data, "--data=%s", run->data);
    int pipeline =
        e2e_start(run, "pipeline", "pipeline",
                  (const char *const[]){"--runs", run->folder, "--run", "run", data, "--steps=60",
                                        "--loader=--train-limit=2000", "--loader=--test-limit=500",
                                        "--precision=f32", "--trainer=--threads=1",
                                        "--augmenters=2", "--trainer=--checkpoint-every=20", NULL});
    if (disturbed) {
        e2e_expect_file(run, "checkpoints/step-000000020.safetensors");
        e2e_kill_matching(run, "augment-1");
        e2e_kill_matching(run, "loader-1");
    }
    cr_assert_eq(e2e_wait(run, pipeline), 0);
}

/* Expects this status and this text in what verify says. */
static void expect(struct e2e *run, const char *train_limit, int status, const char *text) {
    int verify = e2e_start(run, "verify", "verify",
                           (const char *const[]){run->run, "--data", run->data, "--train-limit",
                                                 train_limit, "--test-limit", "500", NULL});
    int got = e2e_wait(run, verify);
    cr_expect_eq(got, status, "%s: status %d", text, got);
    cr_expect(e2e_logged(run, verify, text), "verify did not say '%s'", text);
    run->count--;
}

static void path_of(const struct e2e *run, const char *name, char path[static 400]) {
    snprintf(path, 400, "%s/%s", run->run, name);
}

static void put_byte(const struct e2e *run, const char *name, long offset, int byte) {
    char path[400];
    path_of(run, name, path);
    FILE *file = fopen(path, "r+e");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fseek(file, offset, SEEK_SET), 0);
    cr_assert_neq(fputc(byte, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

/* A checkpoint that is whole, but whose chain tells of other batches. */
static void forge_chain(const struct e2e *run) {
    char path[400];
    struct error error;
    uint8_t *bytes;
    size_t size;
    path_of(run, newest, path);
    struct checkpoint *checkpoint = checkpoint_read(path, &error);
    cr_assert_not_null(checkpoint, "%s", error.text);
    checkpoint->chain[5] ^= 1;
    cr_assert_eq(checkpoint_encode(checkpoint, &bytes, &size, &error), 0);
    cr_assert_eq(file_write(path, bytes, size, &error), 0);
    free(bytes);
    checkpoint_destroy(&checkpoint);
}

Test(verify, agrees_with_a_run_whose_workers_were_killed) {
    struct e2e run;
    train(&run, true);
    expect(&run, "2000", 0, "verified: 60 batches of 128 pairs");
    expect(&run, "2000", 0, "3.84 epochs, in each of which each of the 2000 training images");
    expect(&run, "2000", 0, "5 checkpoints and 60 recorded batches agree");
    e2e_end(&run);
}

Test(verify, names_what_does_not_follow) {
    struct e2e run;
    char path[400];
    train(&run, false);
    expect(&run, "1999", 2, "the run was trained on a dataset with SHA-256");
    put_byte(&run, newest, 3000, 'x'); /* a damaged one is left out, the others are held */
    expect(&run, "2000", 0, "1 checkpoints could not be read");
    path_of(&run, newest, path);
    cr_assert_eq(unlink(path), 0);

    put_byte(&run, "batches.txt", 17 * RECORD_LINE, '?');
    expect(&run, "2000", 3, "batches.txt: line 18 is not a SHA-256");
    for (int i = 0; i < RECORD_LINE - 1; i++)
        put_byte(&run, "batches.txt", 17 * RECORD_LINE + i, i % 2 ? '0' : '1');
    expect(&run, "2000", 3, "step 17: the run consumed a batch with SHA-256 1010101010101010…");
    for (int i = 0; i < RECORD_LINE - 1; i++)
        put_byte(&run, "batches.txt", 17 * RECORD_LINE + i, '?');
    expect(&run, "2000", 0, "46 recorded batches agree");
    path_of(&run, "batches.txt", path);
    cr_assert_eq(unlink(path), 0);
    expect(&run, "2000", 0, "0 recorded batches agree");
    e2e_end(&run);
}

Test(verify, names_where_a_forged_chain_must_differ) {
    struct e2e run;
    char path[400];
    train(&run, false);
    forge_chain(&run);
    expect(&run, "2000", 3, "differs from step 59 on");
    path_of(&run, "batches.txt", path);
    cr_assert_eq(unlink(path), 0);
    expect(&run, "2000", 3, "differs from step 47 on, or later, but before step 60");
    e2e_end(&run);
}

Test(verify, needs_a_run) {
    struct e2e run;
    e2e_begin(&run);
    expect(&run, "2000", 2, "has no valid checkpoint");
    e2e_end(&run);
}
