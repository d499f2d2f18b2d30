/* best.safetensors while a run lasts, and found again after a restart: from the lines of
 * evaluations.jsonl, from the file itself, and where either is missing, damaged or stale. */
#include "common/file.h"
#include "model/net.h"
#include "tests/support/scratch.h"
#include "tests/trainer/tiny.h"
#include "trainer/best.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], checkpoints[96], best_path[96];
static int lines[2]; /* what was logged */
static struct log journal;
static struct net *net;
static struct publisher *publisher;
static struct best best;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
    snprintf(best_path, sizeof best_path, "%s/best.safetensors", folder);
    cr_assert_eq(mkdir(checkpoints, 0777), 0);
    cr_assert_eq(pipe2(lines, O_NONBLOCK), 0);
    log_init(&journal, lines[1], "test", LOG_DEBUG);
    net = tiny_net();
    publisher = publisher_create(1, 64, &journal);
    publisher_join(publisher, 0, true);
    best_begin(&best, folder, &journal);
}

static void teardown(void) {
    publisher_destroy(&publisher);
    net_destroy(&net);
    close(lines[0]);
    close(lines[1]);
    scratch_end(folder);
}

TestSuite(best, .init = setup, .fini = teardown, .timeout = 60);

static const char *logged(void) {
    static char text[16384];
    ssize_t size = read(lines[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

/* A real checkpoint file of this step. */
static struct saved write_step(uint64_t step) {
    struct checkpoint checkpoint;
    struct saved saved;
    char path[PATH_MAX];
    uint8_t *bytes;
    size_t size;
    tiny_checkpoint(&checkpoint, net, step, 128, 60000);
    cr_assert_eq(checkpoint_encode(&checkpoint, &bytes, &size, &error), 0, "%s", error.text);
    saver_file(checkpoints, step, path);
    cr_assert_eq(file_write(path, bytes, size, &error), 0, "%s", error.text);
    cr_assert_eq(saver_describe(checkpoints, step, &saved, &error), 0, "%s", error.text);
    state_free(&checkpoint.state);
    free(bytes);
    return saved;
}

static void publish(const struct saved *saved) {
    cr_assert_not_null(publisher_add(publisher, saved, 1, &error));
}

/* The step that best.safetensors is of; 0: there is none, or it is damaged. */
static uint64_t in_place(void) {
    struct saved saved;
    return saver_describe_file(best_path, &saved, NULL) == 0 ? saved.step : 0;
}

static void score(uint64_t step, double digit, double sum) {
    publisher_report(publisher, 0, step, true, false);
    best_consider(&best, publisher, (struct scored){step, digit, sum});
}

/* Appends a line about a checkpoint; out of 1000. NULL weights: a line of before they were there.
 */
static void add_line(const struct saved *saved, int digit, int sum, bool weights) {
    char path[96];
    struct evaluation line = {.step = saved->step,
                              .count = 1000,
                              .digit_hits = (uint32_t)digit,
                              .sum_hits = (uint32_t)sum};
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    FILE *file = fopen(path, "a");
    cr_assert_not_null(file);
    sha256_hex(saved->sha256, line.checkpoint_sha256);
    if (weights)
        strcpy(line.weights_sha256, saved->weights);
    char *text = evaluation_to_json(&line, &error);
    cr_assert_not_null(text, "%s", error.text);
    fputs(text, file);
    free(text);
    fclose(file);
}

static void read_lines(struct evaluations *into) {
    char path[96];
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    cr_assert_geq(evaluations_read(into, path, true, &error), 0, "%s", error.text);
}

static void restore(uint64_t start) {
    struct evaluations scores;
    best_begin(&best, folder, &journal);
    read_lines(&scores);
    cr_assert_eq(best_restore(&best, &scores, start, &error), 0, "%s", error.text);
    evaluations_free(&scores);
}

static void damage(const char *path) {
    cr_assert_eq(truncate(path, 300), 0);
}

Test(best, the_highest_sum_and_of_equal_ones_the_lowest_step) {
    for (uint64_t step = 1; step <= 4; step++) {
        struct saved saved = write_step(step);
        publish(&saved);
    }
    score(2, 0.9, 0.8);
    cr_expect_eq(in_place(), 2);
    score(1, 0.9, 0.8); /* two evaluators report in any order */
    cr_expect_eq(in_place(), 1);
    score(4, 0.9, 0.8);
    cr_expect_eq(in_place(), 1);
    score(3, 0.7, 1.0); /* the same sum but for its last bit */
    cr_expect_eq(in_place(), 1);
    struct saved saved = write_step(5);
    publish(&saved);
    score(5, 0.91, 0.8);
    cr_expect_eq(in_place(), 5);
    cr_expect_eq(best.file.step, 5);
    publisher_tidy(publisher);
    cr_expect_eq(in_place(), 5, "it outlives its other name");
    cr_expect_eq(scratch_count(folder), 2, "nothing else is left");
}

/* 99.0 at step 340, then a resume, then 98.8 at step 400. */
Test(best, a_restart_does_not_forget_it) {
    struct saved old = write_step(340), other = write_step(360), next;
    publish(&old);
    score(340, 0.99, 0.99);
    add_line(&old, 990, 990, true);
    add_line(&other, 980, 980, true);
    cr_assert_eq(unlink(old.path), 0);
    restore(360);
    cr_expect_eq(best.file.step, 340);
    cr_expect_eq(best.file.digit, 0.99);
    cr_expect_eq(best.lost.step, 0);
    next = write_step(400);
    publish(&next);
    score(400, 0.988, 0.988);
    cr_expect_eq(in_place(), 340);
    next = write_step(420);
    publish(&next);
    score(420, 0.991, 0.99);
    cr_expect_eq(in_place(), 420);
}

/* The evaluator's line is on disk before the trainer hears of it, and may outlive it. */
Test(best, the_lines_say_which_and_a_kept_file_is_put_in_place) {
    static const bool both[] = {true, false};
    for (int i = 0; i < 2; i++) {
        struct saved old = write_step(10), newer = write_step(20);
        publish(&old);
        score(10, 0.5, 0.5);
        add_line(&old, 500, 500, both[i]);
        add_line(&newer, 600, 500, both[i]);
        restore(20);
        cr_expect_eq(best.file.step, 20);
        cr_expect_eq(in_place(), 20);
        damage(best_path); /* and with it the checkpoint: it is the same file */
        restore(20);
        cr_expect_eq(best.file.step, 10);
        cr_expect_eq(in_place(), 10);
        cr_expect_eq(best.lost.step, 20);
        cr_expect(strstr(logged(), "the best checkpoint, step 20, is lost"));
        write_step(20);
        cr_assert_eq(unlink(best_path), 0);
        restore(20);
        cr_expect_eq(in_place(), 20, "a missing file");
        cr_expect_eq(best.lost.step, 0);
        char path[96];
        snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
        cr_assert_eq(unlink(path), 0);
        publisher_destroy(&publisher);
        publisher = publisher_create(1, 64, &journal);
        publisher_join(publisher, 0, true);
        best_begin(&best, folder, &journal);
    }
}

/* The newest checkpoints were damaged: their lines are of steps that will be trained again. */
Test(best, lines_of_later_steps_wait_for_their_step) {
    struct saved old = write_step(10), newer = write_step(20);
    add_line(&old, 500, 500, true);
    add_line(&newer, 600, 500, true);
    damage(newer.path);
    restore(10);
    cr_expect_eq(best.file.step, 10);
    cr_expect_eq(best.lost.step, 0, "it comes again");
    newer = write_step(20);
    publish(&newer);
    score(20, 0.6, 0.5);
    cr_expect_eq(in_place(), 20);

    cr_assert_eq(unlink(newer.path), 0); /* but where its file is in place, it counts */
    restore(10);
    cr_expect_eq(best.file.step, 20);
    cr_expect_eq(in_place(), 20);
}

/* The evaluator keeps its lines on another machine: it says them again, or scores again. */
Test(best, a_file_without_a_line_is_scored_before_another_takes_its_place) {
    struct saved old = write_step(10), newer;
    cr_assert_eq(link(old.path, best_path), 0);
    cr_assert_eq(unlink(old.path), 0);
    restore(10);
    cr_expect(best.unknown);
    cr_expect_eq(access(old.path, F_OK), 0, "it is a checkpoint again");
    publish(&old);
    best_published(&best, publisher);
    newer = write_step(20);
    publish(&newer);
    newer = write_step(30);
    publish(&newer);
    newer = write_step(40);
    publish(&newer);
    score(20, 0.7, 0.7);
    score(30, 0.6, 0.6);
    publisher_tidy(publisher);
    cr_expect_eq(in_place(), 10);
    cr_expect_not_null(publisher_find(publisher, 20), "it may yet be the best");
    cr_expect_null(publisher_find(publisher, 30));
    score(10, 0.65, 0.65);
    cr_expect_eq(in_place(), 20);
    cr_expect_not(best.unknown);
    publisher_tidy(publisher);
    cr_expect_null(publisher_find(publisher, 20));
    score(40, 0.1, 0.1);
    cr_expect_eq(in_place(), 20);
}

Test(best, a_file_without_a_line_is_not_replaced_by_a_worse_one_that_has_one) {
    struct saved old = write_step(10), newer = write_step(20);
    cr_assert_eq(link(old.path, best_path), 0);
    add_line(&newer, 700, 700, true);
    restore(20);
    cr_expect(best.unknown);
    cr_expect_eq(best.rival.step, 20);
    publish(&old);
    publish(&newer);
    best_published(&best, publisher);
    publisher_recorded(publisher, 20);
    publisher_tidy(publisher);
    score(10, 0.9, 0.9);
    cr_expect_eq(in_place(), 10);
    cr_expect_eq(best.file.step, 10);
}

Test(best, what_cannot_be_put_in_place_is_lost_until_a_better_one_comes) {
    struct saved one = write_step(1), two = write_step(2), three = write_step(3);
    publish(&one);
    publish(&two);
    publish(&three);
    score(1, 0.5, 0.5);
    cr_assert_eq(unlink(two.path), 0);
    score(2, 0.6, 0.6);
    cr_expect_eq(best.lost.step, 2);
    cr_expect_eq(in_place(), 1, "the one before is as it was");
    cr_expect(strstr(logged(), "best.safetensors is not step 2's: making "));
    score(3, 0.7, 0.7);
    cr_expect_eq(best.lost.step, 0);
    cr_expect_eq(in_place(), 3);
}

Test(best, lines_are_read_as_far_as_they_are_any) {
    struct evaluations scores;
    char path[SCRATCH_PATH];
    read_lines(&scores);
    cr_expect_eq(scores.count, 0);
    struct saved ten = write_step(10), twenty = write_step(20);
    add_line(&ten, 1, 2, true);
    add_line(&twenty, 3, 4, true);
    add_line(&ten, 5, 6, true);
    snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
    FILE *file = fopen(path, "a");
    fputs("{\"step\": 30, \"count\": 10, \"digit_hits\": 11, \"sum_hits\": 1}\n"
          "{\"step\": -1}\nnonsense\n{\"step\": 40, \"count\": 1",
          file);
    fclose(file);
    read_lines(&scores);
    cr_assert_eq(scores.count, 2);
    cr_expect_eq(evaluations_find(&scores, 10)->digit_hits, 5);
    cr_expect_eq(evaluations_find(&scores, 20)->sum_hits, 4);
    cr_expect_null(evaluations_find(&scores, 30));
    cr_expect(evaluation_is_of(evaluations_find(&scores, 10), ten.weights, ten.sha256));
    cr_expect_not(evaluation_is_of(evaluations_find(&scores, 10), twenty.weights, ten.sha256));
    evaluations_free(&scores);
}
