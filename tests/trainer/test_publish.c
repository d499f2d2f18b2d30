/* Which checkpoints stay for whom, and which files may go. */
#include "tests/support/scratch.h"
#include "trainer/publish.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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
    struct saved saved = {.step = step, .size = 10, .sha256 = {(uint8_t)step}};
    char name[64];
    snprintf(name, sizeof name, "step-%llu", (unsigned long long)step);
    scratch_write(folder, name, "0123456789", saved.path);
    return saved;
}

static struct published *add(struct publisher *publisher, uint64_t step, uint32_t waiting) {
    struct saved saved = make_file(step);
    struct published *entry = publisher_add(publisher, &saved, waiting, &error);
    cr_assert_not_null(entry, "%s", error.text);
    return entry;
}

enum { LIMIT = 64 };

/* What was logged since the last call. */
static const char *logged(void) {
    static char text[65536];
    ssize_t size = read(lines[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

/* Scored by the evaluator that records. */
static bool score(struct publisher *publisher, int bit, uint64_t step) {
    return publisher_report(publisher, bit, step, true, false);
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
    struct publisher *publisher = publisher_create(2, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    for (uint64_t step = 1; step <= 3; step++) {
        const struct published *entry = add(publisher, step, 1);
        cr_expect_eq(entry->sequence, step);
        cr_expect_eq(entry->waiting, 1);
        cr_expect_not(entry->scored);
        cr_expect(score(publisher, 0, step));
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
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    publisher_join(publisher, 3, false);
    for (uint64_t step = 1; step <= 3; step++)
        add(publisher, step, 1 << 0 | 1 << 3);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect(score(publisher, 0, 1));
    cr_expect_not(score(publisher, 0, 1), "it said so before");
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect_eq(publisher_at(publisher, 0)->waiting, 1 << 3);
    cr_expect(publisher_report(publisher, 3, 1, false, false));
    cr_expect_not(publisher_report(publisher, 3, 77, false, false), "there is no such step");
    publisher_tidy(publisher);
    KEPT(publisher, 2, 3);
    score(publisher, 0, 2);
    publisher_leave(publisher, 3); /* one has recorded step 2: nobody else is waited for */
    publisher_tidy(publisher);
    KEPT(publisher, 3);
    cr_expect(score(publisher, 0, 3));
    publisher_leave(publisher, 0);
    publisher_join(publisher, 0, true);
    cr_expect(score(publisher, 0, 3), "who joins again tells again");
    publisher_destroy(&publisher);
}

/* The evaluator that writes evaluations.jsonl is away while another scores on. */
Test(publish, holds_for_the_evaluator_that_records) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    publisher_join(publisher, 1, false);
    publisher_leave(publisher, 0);
    for (uint64_t step = 1; step <= 3; step++) {
        add(publisher, step, 1 << 1);
        cr_expect(publisher_report(publisher, 1, step, false, false));
    }
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect_eq(publisher_counts(publisher).owed, 3);
    cr_expect_eq(publisher_counts(publisher).owed_step, 1);
    publisher_join(publisher, 2, true);
    for (uint64_t step = 1; step <= 3; step++)
        score(publisher, 2, step);
    cr_expect_eq(publisher_counts(publisher).owed, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 3);
    publisher_destroy(&publisher);
}

Test(publish, any_evaluator_will_do_where_none_records) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    cr_expect(publisher_hears_all(publisher));
    publisher_join(publisher, 1, false);
    add(publisher, 1, 1 << 1);
    add(publisher, 2, 1 << 1);
    cr_expect_eq(publisher_counts(publisher).owed, 2);
    publisher_report(publisher, 1, 1, false, false);
    publisher_report(publisher, 1, 2, false, false);
    cr_expect_eq(publisher_counts(publisher).owed, 0);
    cr_expect(publisher_hears_all(publisher));
    publisher_expect(publisher, true);
    cr_expect_not(publisher_hears_all(publisher));
    cr_expect_eq(publisher_counts(publisher).owed, 2);
    publisher_destroy(&publisher);
}

Test(publish, holds_for_an_evaluator_that_may_come_back) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    add(publisher, 1, 1);
    add(publisher, 2, 1);
    publisher_leave(publisher, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2);
    publisher_join(publisher, 1, true); /* a new bit: it is offered all that is kept */
    cr_expect_eq(publisher_at(publisher, 0)->waiting, 1 << 1);
    cr_expect_eq(publisher_at(publisher, 1)->waiting, 1 << 1);
    score(publisher, 1, 1);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

/* However many there are: training waits instead. */
Test(publish, nothing_that_is_owed_goes) {
    struct publisher *publisher = publisher_create(1, 5, &journal);
    publisher_join(publisher, 0, true);
    publisher_leave(publisher, 0);
    for (uint64_t step = 1; step <= 20; step++) {
        cr_expect_eq(publisher_full(publisher), step > 5);
        add(publisher, step, 0);
        publisher_tidy(publisher);
    }
    cr_expect_eq(publisher_count(publisher), 20);
    cr_expect_eq(scratch_count(folder), 20);
    publisher_join(publisher, 0, true);
    for (uint64_t step = 1; step <= 16; step++) {
        cr_expect(publisher_full(publisher));
        score(publisher, 0, step);
    }
    cr_expect_not(publisher_full(publisher));
    publisher_tidy(publisher);
    KEPT(publisher, 17, 18, 19, 20);
    cr_expect_eq(publisher_counts(publisher).dropped, 0);
    publisher_destroy(&publisher);
}

Test(publish, with_no_evaluator_ever_the_limit_is_kept_and_what_went_is_counted) {
    struct publisher *publisher = publisher_create(1, 3, &journal);
    for (uint64_t step = 1; step <= 3; step++)
        add(publisher, step, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2, 3);
    cr_expect_not(publisher_full(publisher), "nobody is waited for");
    cr_expect_not(publisher_expecting(publisher));
    cr_expect_eq(publisher_counts(publisher).owed, 0);
    cr_expect_eq(publisher_unscored(publisher), 3);
    cr_expect_str_eq(logged(), "");
    add(publisher, 4, 0);
    add(publisher, 5, 0);
    publisher_tidy(publisher);
    KEPT(publisher, 3, 4, 5);
    cr_expect_eq(publisher_counts(publisher).dropped, 2);
    cr_expect_eq(publisher_counts(publisher).dropped_step, 1);
    const char *text = logged();
    cr_expect(strstr(text, "checkpoint of step 1 is removed unscored: 3 wait already, and no "
                           "evaluator ever joined"));
    cr_expect_null(strstr(text, "step 2"), "once is enough: %s", text);
    publisher_join(publisher, 0, true); /* late, and yet in time for these */
    cr_expect_eq(publisher_counts(publisher).owed, 3);
    publisher_destroy(&publisher);
}

Test(publish, the_final_one_stays_until_it_is_scored) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    publisher_join(publisher, 1, false);
    struct saved saved = make_file(9);
    add(publisher, 8, 1);
    cr_expect_not(publisher_final_waits(publisher));
    saved.final = saved.epoch_end = true;
    cr_assert_not_null(publisher_add(publisher, &saved, 3, &error));
    cr_expect(publisher_final_waits(publisher));
    publisher_leave(publisher, 0);
    cr_expect_eq(publisher_counts(publisher).owed, 2, "it may come back");
    publisher_join(publisher, 0, true);
    score(publisher, 0, 9);
    cr_expect(publisher_final_waits(publisher), "the other one is there");
    publisher_report(publisher, 1, 9, false, false);
    cr_expect_not(publisher_final_waits(publisher));
    cr_expect_eq(publisher_counts(publisher).owed, 1);
    add(publisher, 10, 0);
    score(publisher, 0, 8);
    publisher_leave(publisher, 1);
    publisher_tidy(publisher);
    KEPT(publisher, 9, 10); /* what a run ended with is never removed */
    publisher_destroy(&publisher);

    publisher = publisher_create(1, LIMIT, &journal);
    cr_assert_not_null(publisher_add(publisher, &saved, 0, &error));
    cr_expect_eq(publisher_counts(publisher).owed, 0, "nobody was ever there");
    publisher_expect(publisher, false);
    cr_expect_eq(publisher_counts(publisher).owed, 1, "one is to come");
    publisher_join(publisher, 0, true);
    score(publisher, 0, 9);
    cr_expect_eq(publisher_counts(publisher).owed, 0);
    publisher_destroy(&publisher);
}

/* An evaluator beside the one that records is too slow: the oldest of what is recorded are given up
 * for it, never an epoch's end. */
Test(publish, who_falls_behind_gets_a_gap) {
    struct publisher *publisher = publisher_create(1, 1000, &journal);
    publisher_join(publisher, 5, false);
    publisher_join(publisher, 0, true);
    for (uint64_t step = 1; step <= PUBLISH_PENDING; step++) {
        struct saved saved = make_file(step);
        saved.epoch_end = step == 1;
        cr_assert_not_null(publisher_add(publisher, &saved, 1 << 5 | 1, &error));
        score(publisher, 0, step);
    }
    publisher_tidy(publisher);
    cr_expect_str_eq(logged(), "");
    add(publisher, 100, 1 << 5 | 1);
    publisher_tidy(publisher);
    cr_expect_str_eq(logged(), "", "what is not recorded stays for everyone");
    score(publisher, 0, 100);
    publisher_tidy(publisher);
    cr_expect(on_disk(1));
    cr_expect_not(on_disk(2));
    cr_expect(on_disk(3));
    cr_expect(
        strstr(logged(), "an evaluator is 64 checkpoints behind: step 2 goes unscored by it"));
    cr_expect_eq(publisher_at(publisher, 1)->sequence, 3, "the hole in the numbers stays");
    publisher_destroy(&publisher);
}

Test(publish, what_could_not_be_scored_is_counted_and_kept_within_the_limit) {
    struct publisher *publisher = publisher_create(1, 2, &journal);
    publisher_join(publisher, 0, true);
    publisher_join(publisher, 1, false);
    for (uint64_t step = 1; step <= 5; step++)
        add(publisher, step, 3);
    cr_expect(publisher_report(publisher, 1, 1, false, true));
    cr_expect_eq(publisher_counts(publisher).owed, 5, "the one that records may yet read it");
    for (uint64_t step = 1; step <= 4; step++)
        cr_expect(publisher_report(publisher, 0, step, true, true));
    cr_expect_eq(publisher_counts(publisher).owed, 1);
    cr_expect_eq(publisher_counts(publisher).failed, 4);
    cr_expect_eq(publisher_counts(publisher).failed_step, 1);
    publisher_tidy(publisher);
    KEPT(publisher, 3, 4, 5);
    cr_expect_eq(publisher_counts(publisher).failed, 2);
    cr_expect_eq(publisher_counts(publisher).dropped, 2);
    publisher_leave(publisher, 0);
    publisher_join(publisher, 2, true); /* another can */
    score(publisher, 2, 3);
    cr_expect_eq(publisher_counts(publisher).failed, 1);
    publisher_destroy(&publisher);
}

/* 300 kept files are more than an evaluator's queue and a socket's high-water mark may take. */
Test(publish, offers_come_in_order_and_not_too_many_at_a_time) {
    struct publisher *publisher = publisher_create(300, LIMIT, &journal);
    for (uint64_t step = 1; step <= 300; step++)
        add(publisher, step, 0);
    publisher_join(publisher, 2, true);
    const struct published *entry;
    uint64_t offered = 0;
    for (uint64_t done = 0; done < 300;) {
        while ((entry = publisher_to_offer(publisher, 2))) {
            cr_assert_eq(entry->saved.step, ++offered);
            publisher_offered(publisher, 2, entry->saved.step);
        }
        cr_assert_eq(offered, done + PUBLISH_OFFERS < 300 ? done + PUBLISH_OFFERS : 300);
        done++;
        score(publisher, 2, done);
    }
    cr_expect_null(publisher_to_offer(publisher, 2));
    add(publisher, 301, 1 << 2);
    publisher_offered(publisher, 2, 301);
    cr_expect_null(publisher_to_offer(publisher, 2));
    publisher_offer_again(publisher, 2); /* it may not have come through */
    entry = publisher_to_offer(publisher, 2);
    cr_assert_not_null(entry);
    cr_expect_eq(entry->saved.step, 301);
    publisher_offered(publisher, 2, 301);
    score(publisher, 2, 301);
    publisher_offer_again(publisher, 2);
    cr_expect_null(publisher_to_offer(publisher, 2), "it answered");
    publisher_leave(publisher, 2);
    publisher_join(publisher, 2, true);
    cr_expect_eq(publisher_to_offer(publisher, 2)->saved.step, 1, "who joins hears all anew");
    publisher_destroy(&publisher);
}

Test(publish, what_was_recorded_before_a_restart_is_not_owed) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    add(publisher, 1, 0);
    add(publisher, 2, 0);
    publisher_recorded(publisher, 1);
    publisher_recorded(publisher, 7);
    publisher_expect(publisher, true);
    cr_expect_eq(publisher_counts(publisher).owed, 1);
    cr_expect_eq(publisher_counts(publisher).owed_step, 2);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

Test(publish, what_is_held_stays) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    publisher_join(publisher, 0, true);
    for (uint64_t step = 1; step <= 2; step++) {
        add(publisher, step, 1);
        score(publisher, 0, step);
    }
    publisher_hold(publisher, 1, true);
    publisher_tidy(publisher);
    KEPT(publisher, 1, 2);
    publisher_hold(publisher, 1, false);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    publisher_destroy(&publisher);
}

Test(publish, reads_ranges_of_kept_files_alone) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    char bytes[16] = "";
    char path[SCRATCH_PATH];
    add(publisher, 1, 0);
    cr_expect_eq(publisher_read(publisher, 1, 0, 10, bytes, &error), 0, "%s", error.text);
    cr_expect_str_eq(bytes, "0123456789");
    cr_expect_eq(publisher_read(publisher, 1, 7, 3, bytes, &error), 0, "%s", error.text);
    cr_expect_arr_eq(bytes, "7893456789", 10);
    cr_expect_eq(publisher_read(publisher, 1, 10, 0, bytes, &error), 0, "%s", error.text);

    cr_expect_eq(publisher_read(publisher, 1, 7, 4, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID, "the file is not to blame");
    cr_expect_str_eq(error.text, "bytes 7 to 11 of step 1's checkpoint, which has 10");
    cr_expect_eq(publisher_read(publisher, 1, UINT64_MAX, 2, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_eq(publisher_read(publisher, 2, 0, 1, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, "there is no checkpoint of step 2");

    snprintf(path, sizeof path, "%s/step-1", folder);
    cr_assert_eq(truncate(path, 5), 0);
    cr_expect_eq(publisher_read(publisher, 1, 0, 5, bytes, &error), 0, "%s", error.text);
    cr_expect_eq(publisher_read(publisher, 1, 0, 10, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "/step-1 is shorter than it was"), "%s", error.text);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(publisher_read(publisher, 1, 0, 5, bytes, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "/step-1: No such file or directory"), "%s", error.text);
    publisher_destroy(&publisher);
}

/* A thousand kept files must not take a thousand descriptors; and to be short of them for a while
 * is no fault of a file. */
Test(publish, descriptors_are_taken_only_while_reading) {
    struct publisher *publisher = publisher_create(1000, LIMIT, &journal);
    struct rlimit before, limit;
    char bytes[10];
    int next = dup(lines[0]);
    close(next);
    for (uint64_t step = 1; step <= 100; step++)
        add(publisher, step, 0);
    cr_expect_eq(publisher_read(publisher, 50, 0, 10, bytes, &error), 0, "%s", error.text);
    int again = dup(lines[0]);
    cr_expect_eq(again, next, "descriptors are held");
    close(again);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < 2 * PUBLISH_TRIES; i++) {
        cr_expect_eq(publisher_read(publisher, 50, 0, 10, bytes, &error), -1);
        cr_expect_eq(error.code, ERROR_IO, "it may pass");
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(publisher_read(publisher, 50, 0, 10, bytes, &error), 0, "%s", error.text);
    publisher_destroy(&publisher);
}

/* A run that goes on from its last step comes to it once more: one entry, one file. */
Test(publish, the_same_step_again_is_the_same_entry) {
    struct publisher *publisher = publisher_create(1, LIMIT, &journal);
    add(publisher, 1, 0);
    add(publisher, 2, 0);
    publisher_recorded(publisher, 1);
    publisher_join(publisher, 0, true);
    publisher_offered(publisher, 0, 1);
    score(publisher, 0, 1);
    publisher_offered(publisher, 0, 2);
    cr_expect_null(publisher_to_offer(publisher, 0));
    struct saved saved = make_file(2);
    saved.final = true;
    const struct published *entry = publisher_add(publisher, &saved, 1, &error);
    cr_assert_not_null(entry, "%s", error.text);
    cr_expect_eq(entry->sequence, 2);
    cr_expect_eq(entry->waiting, 1);
    cr_expect(entry->saved.final);
    cr_expect_eq(publisher_to_offer(publisher, 0), entry, "now as the final one");
    KEPT(publisher, 1, 2);
    publisher_tidy(publisher);
    KEPT(publisher, 2);
    score(publisher, 0, 2);
    cr_assert_not_null(publisher_add(publisher, &saved, 1, &error));
    cr_expect(publisher_at(publisher, 0)->recorded, "it is scored, whoever says it again");

    saved.sha256[5] = 1; /* another state, from another schedule */
    entry = publisher_add(publisher, &saved, 1, &error);
    cr_assert_not_null(entry, "%s", error.text);
    cr_expect_eq(entry->sequence, 2);
    cr_expect_eq(publisher_count(publisher), 1);
    cr_expect_not(entry->recorded);
    publisher_destroy(&publisher);
}
