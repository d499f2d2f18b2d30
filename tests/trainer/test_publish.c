/* Which checkpoints stay for whom, and which files may go. */
#include "tests/support/scratch.h"
#include "trainer/publish.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int lines[2]; /* what was logged */
static struct log journal;
static struct error error;

static void setup(void) {
    scratch_begin(folder);
    cr_assert_eq(pipe2(lines, O_NONBLOCK), 0);
    log_init(&journal, lines[1], "test", LOG_DEBUG);
}

static void teardown(void) {
    close(lines[0]);
    close(lines[1]);
    scratch_end(folder);
}

TestSuite(publish, .init = setup, .fini = teardown);

static struct saved make_file(uint64_t step) {
    struct saved saved = {.step = step, .size = 10};
    char name[64];
    snprintf(name, sizeof name, "step-%llu", (unsigned long long)step);
    scratch_write(folder, name, "0123456789", saved.path);
    return saved;
}

static const struct published *add(struct publisher *publisher, uint64_t step, uint32_t waiting) {
    struct saved saved = make_file(step);
    const struct published *entry = publisher_add(publisher, &saved, waiting, &error);
    cr_assert_not_null(entry, "%s", error.text);
    return entry;
}

static bool on_disk(uint64_t step) {
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/step-%llu", folder, (unsigned long long)step);
    return access(path, F_OK) == 0;
}

/* That exactly these steps are kept, oldest first, and are on disk. */
static void expect_kept(const struct publisher *publisher, int count, const uint64_t *steps) {
    cr_assert_eq(publisher_count(publisher), count, "%d are kept", publisher_count(publisher));
    for (int i = 0; i < count; i++) {
        cr_expect_eq(publisher_at(publisher, i)->saved.step, steps[i]);
        cr_expect(on_disk(steps[i]), "step %llu", (unsigned long long)steps[i]);
    }
    cr_expect_eq(scratch_count(folder), count);
}
#define KEPT(publisher, ...)                                                                       \
    expect_kept(publisher, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                   \
                (uint64_t[]){__VA_ARGS__})

Test(publish, keeps_the_newest) {
    struct publisher *publisher = publisher_create(2, &journal);
    for (uint64_t step = 1; step <= 3; step++) {
        const struct published *entry = add(publisher, step, 0);
        cr_expect_eq(entry->sequence, step);
        cr_expect_eq(entry->waiting, 0);
        cr_expect_not(entry->scored);
    }
    KEPT(publisher, 1, 2, 3);
    publisher_tidy(publisher);
    KEPT(publisher, 2, 3);
    cr_expect_eq(add(publisher, 4, 0)->sequence, 4);
    publisher_destroy(&publisher);
    cr_expect_null(publisher);
    publisher_destroy(&publisher);
    cr_expect(on_disk(2), "files outlive the publisher");
}

Test(publish, holds_what_an_evaluator_has_not_scored) {
    struct publisher *publisher = publisher_create(1, &journal);
    publisher_join(publisher, 0);
    publisher_join(publisher, 3);
    for (uint64_t step = 1; step <= 3; step++)
        add(publisher, step, 1 << 0 | 1 << 3);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect(publisher_scored(publisher, 0, 1));
    cr_expect_not(publisher_scored(publisher, 0, 1), "it said so before");
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect_eq(publisher_at(publisher, 0)->waiting, 1 << 3);
    cr_expect(publisher_scored(publisher, 3, 1));
    cr_expect_not(publisher_scored(publisher, 3, 77), "there is no such step");
    publisher_tidy(publisher);
    KEPT(publisher, 2, 3);
    publisher_scored(publisher, 0, 2);
    publisher_leave(publisher, 3); /* one has scored step 2: nobody else is waited for */
    publisher_tidy(publisher);
    KEPT(publisher, 3);
    cr_expect(publisher_scored(publisher, 0, 3));
    publisher_leave(publisher, 0);
    publisher_join(publisher, 0);
    cr_expect(publisher_scored(publisher, 0, 3), "who joins again tells again");
    publisher_destroy(&publisher);
}

Test(publish, holds_for_an_evaluator_that_may_come_back) {
    struct publisher *publisher = publisher_create(1, &journal);
    publisher_join(publisher, 0);
    add(publisher, 1, 1);
    add(publisher, 2, 1);
    publisher_leave(publisher, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2);
    publisher_join(publisher, 1); /* a new bit: it is offered all that is kept */
    cr_expect_eq(publisher_at(publisher, 0)->waiting, 1 << 1);
    cr_expect_eq(publisher_at(publisher, 1)->waiting, 1 << 1);
    publisher_scored(publisher, 1, 1);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

Test(publish, without_evaluators_nothing_is_held) {
    struct publisher *publisher = publisher_create(1, &journal);
    struct saved saved = make_file(1);
    saved.epoch_end = true;
    cr_assert_not_null(publisher_add(publisher, &saved, 0, &error));
    add(publisher, 2, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

Test(publish, the_final_one_stays_until_it_is_scored) {
    struct publisher *publisher = publisher_create(1, &journal);
    cr_expect_not(publisher_final_pending(publisher));
    publisher_join(publisher, 0);
    struct saved saved = make_file(9);
    add(publisher, 8, 1);
    cr_expect_not(publisher_final_pending(publisher));
    saved.final = saved.epoch_end = true;
    cr_assert_not_null(publisher_add(publisher, &saved, 1, &error));
    cr_expect(publisher_final_pending(publisher));
    publisher_leave(publisher, 0);
    cr_expect(publisher_final_pending(publisher), "it may come back");
    publisher_join(publisher, 0);
    publisher_scored(publisher, 0, 9);
    cr_expect_not(publisher_final_pending(publisher));
    add(publisher, 10, 0);
    publisher_scored(publisher, 0, 8);
    publisher_tidy(publisher);
    KEPT(publisher, 9, 10); /* what a run ended with is never removed */
    publisher_destroy(&publisher);

    publisher = publisher_create(1, &journal);
    cr_assert_not_null(publisher_add(publisher, &saved, 0, &error));
    cr_expect_not(publisher_final_pending(publisher), "nobody was ever there");
    publisher_expect(publisher);
    cr_expect(publisher_final_pending(publisher), "one is to come");
    publisher_join(publisher, 0);
    publisher_scored(publisher, 0, 9);
    cr_expect_not(publisher_final_pending(publisher));
    publisher_destroy(&publisher);
}

/* An evaluator that lives but is too slow: the oldest are given up, never an epoch's end. */
Test(publish, who_falls_behind_gets_a_gap) {
    struct publisher *publisher = publisher_create(1, &journal);
    char text[8192];
    publisher_join(publisher, 5);
    for (uint64_t step = 1; step <= PUBLISH_PENDING; step++) {
        struct saved saved = make_file(step);
        saved.epoch_end = step == 1;
        cr_assert_not_null(publisher_add(publisher, &saved, 1 << 5, &error));
    }
    cr_expect_eq(read(lines[0], text, sizeof text), -1, "nothing is logged");
    add(publisher, 100, 1 << 5);
    cr_expect_eq(publisher_at(publisher, 0)->waiting, 1 << 5);
    cr_expect_eq(publisher_at(publisher, 1)->waiting, 0);
    cr_expect_eq(publisher_at(publisher, 2)->waiting, 1 << 5);
    ssize_t size = read(lines[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    cr_expect(strstr(text, "an evaluator is 64 checkpoints behind: step 2 goes unscored by it"),
              "%s", text);
    add(publisher, 101, 1 << 5);
    publisher_tidy(publisher); /* another may still come for what is not older than the bound */
    cr_expect(on_disk(1));
    cr_expect_not(on_disk(2));
    cr_expect(on_disk(3));
    cr_expect_eq(publisher_count(publisher), PUBLISH_PENDING + 1);
    cr_expect_eq(publisher_at(publisher, 1)->sequence, 3, "the hole in the numbers stays");
    publisher_destroy(&publisher);
}

Test(publish, what_is_held_for_nobody_is_bounded) {
    struct publisher *publisher = publisher_create(1, &journal);
    publisher_join(publisher, 0);
    publisher_leave(publisher, 0);
    for (uint64_t step = 1; step <= PUBLISH_PENDING + 10; step++)
        add(publisher, step, 0);
    publisher_tidy(publisher);
    cr_expect_eq(publisher_count(publisher), PUBLISH_PENDING);
    cr_expect_eq(publisher_at(publisher, 0)->saved.step, 11);
    cr_expect_eq(scratch_count(folder), PUBLISH_PENDING);
    publisher_destroy(&publisher);
}

Test(publish, reads_ranges_of_kept_files_alone) {
    struct publisher *publisher = publisher_create(1, &journal);
    char bytes[16] = "";
    char path[SCRATCH_PATH];
    add(publisher, 1, 0);
    cr_expect_eq(publisher_read(publisher, 1, 0, 10, bytes, &error), 0, "%s", error.text);
    cr_expect_str_eq(bytes, "0123456789");
    cr_expect_eq(publisher_read(publisher, 1, 7, 3, bytes, &error), 0, "%s", error.text);
    cr_expect_arr_eq(bytes, "7893456789", 10);
    cr_expect_eq(publisher_read(publisher, 1, 10, 0, bytes, &error), 0, "%s", error.text);

    cr_expect_eq(publisher_read(publisher, 1, 7, 4, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, "bytes 7 to 11 of step 1's checkpoint, which has 10");
    cr_expect_eq(publisher_read(publisher, 1, UINT64_MAX, 2, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_eq(publisher_read(publisher, 2, 0, 1, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, "there is no checkpoint of step 2");

    /* Readable after its name is gone; not beyond where somebody cut it. */
    snprintf(path, sizeof path, "%s/step-1", folder);
    cr_assert_eq(truncate(path, 5), 0);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(publisher_read(publisher, 1, 0, 5, bytes, &error), 0, "%s", error.text);
    cr_expect_eq(publisher_read(publisher, 1, 0, 10, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "/step-1 is shorter than it was"), "%s", error.text);
    publisher_destroy(&publisher);
}

Test(publish, a_file_that_is_not_there_is_refused) {
    struct publisher *publisher = publisher_create(1, &journal);
    struct saved saved = {.step = 1, .path = "/nonexistent/step-1"};
    cr_expect_null(publisher_add(publisher, &saved, 0, &error));
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_str_eq(error.text, "opening /nonexistent/step-1: No such file or directory");
    cr_expect_eq(publisher_count(publisher), 0);
    cr_expect_eq(add(publisher, 2, 0)->sequence, 1);
    publisher_destroy(&publisher);
}

/* A run that goes on from its last step writes that step's file once more: one entry, one file. */
Test(publish, the_same_step_again_takes_its_place) {
    struct publisher *publisher = publisher_create(1, &journal);
    add(publisher, 1, 0);
    add(publisher, 2, 0);
    struct saved saved = make_file(2);
    saved.final = true;
    const struct published *entry = publisher_add(publisher, &saved, 1, &error);
    cr_assert_not_null(entry, "%s", error.text);
    cr_expect_eq(entry->sequence, 2);
    cr_expect_eq(entry->waiting, 1);
    cr_expect(entry->saved.final);
    KEPT(publisher, 1, 2);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

Test(publish, best_is_the_same_file) {
    struct publisher *publisher = publisher_create(1, &journal);
    char best[SCRATCH_PATH], path[SCRATCH_PATH];
    struct stat one, other;
    snprintf(best, sizeof best, "%s/best.safetensors", folder);
    for (uint64_t step = 1; step <= 2; step++) {
        add(publisher, step, 0);
        for (int twice = 0; twice < 2; twice++)
            cr_assert_eq(publisher_best(publisher, step, folder, &error), 0, "%s", error.text);
        snprintf(path, sizeof path, "%s/step-%d", folder, (int)step);
        cr_assert_eq(stat(path, &one), 0);
        cr_assert_eq(stat(best, &other), 0);
        cr_expect_eq(one.st_ino, other.st_ino);
        cr_expect_eq(scratch_count(folder), (int)step + 1, "nothing else is left");
    }
    publisher_tidy(publisher); /* step 1 goes */
    cr_expect_eq(publisher_best(publisher, 1, folder, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, "the checkpoint of step 1 is gone");
    cr_expect_eq(publisher_best(publisher, 2, "/nonexistent", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_str_eq(error.text, "making /nonexistent/best.safetensors: No such file or directory");
    cr_assert_eq(stat(best, &other), 0);
    cr_expect_eq(one.st_ino, other.st_ino, "the best before is as it was");
    publisher_destroy(&publisher);
}
