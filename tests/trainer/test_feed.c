/* The queue between the socket thread and the training thread. */
#include "tests/trainer/tiny.h"
#include "trainer/feed.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

TestSuite(feed, .timeout = 60); /* against hanging */

static bool put(struct feed *feed, uint64_t step) {
    struct wire_message message;
    tiny_message(&message, step, 2);
    bool taken = feed_put(feed, &message);
    cr_expect_eq(message.header == NULL, taken, "a message is moved or left alone");
    wire_release(&message);
    return taken;
}

Test(feed, hands_over_whole_batches_in_order_until_full) {
    struct feed *feed = feed_create(3);
    struct feed_item item;
    cr_assert_not_null(feed);
    uint64_t next = 0, expected = 0;
    for (int round = 0; round < 4; round++) { /* round the ring */
        while (put(feed, next))
            next++;
        cr_expect_eq(next - expected, 3);
        for (int i = 0; i < 2; i++, expected++) {
            cr_assert(feed_take(feed, &item));
            cr_expect_eq(item.batch.step, expected);
            cr_expect_eq(item.batch.count, 2);
            cr_expect_eq(item.batch.crc, tiny_crc(expected));
            cr_expect_eq(item.batch.images[2 * IMAGE_PIXELS - 1], expected);
            cr_expect_eq(item.batch.images, wire_frame(&item.message, 0), "no copy");
            cr_expect_eq(item.batch.digits, item.batch.labels + 2);
            cr_expect_eq(item.batch.sums, item.batch.labels + 4);
            wire_release(&item.message);
        }
    }
    feed_destroy(&feed); /* releases what is still inside */
    cr_expect_null(feed);
    feed_destroy(&feed);
}

Test(feed, closed_means_neither_in_nor_out) {
    struct feed *feed = feed_create(3);
    struct feed_item item;
    cr_expect(put(feed, 0));
    feed_close(feed);
    cr_expect_not(put(feed, 1));
    cr_expect_not(feed_take(feed, &item));
    feed_close(feed);
    feed_destroy(&feed);
}

static void *take_all(void *argument) {
    struct feed *feed = argument;
    struct feed_item item;
    static uint64_t taken;
    for (taken = 0; feed_take(feed, &item); taken++) {
        bool right = item.batch.step == taken && item.batch.crc == tiny_crc(taken);
        wire_release(&item.message);
        if (!right)
            break;
    }
    return &taken;
}

static uint64_t join(pthread_t thread) {
    void *taken;
    cr_assert_eq(pthread_join(thread, &taken), 0);
    return *(uint64_t *)taken;
}

Test(feed, two_threads) {
    enum { MESSAGES = 3000 };
    struct feed *feed = feed_create(2);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, take_all, feed), 0);
    /* Two more than can be inside: those are taken for sure once all have gone in. */
    for (uint64_t step = 0; step < MESSAGES + 2;) {
        struct wire_message message;
        tiny_message(&message, step, 1);
        while (!feed_put(feed, &message))
            sched_yield();
        step++;
    }
    feed_close(feed);
    uint64_t taken = join(thread);
    cr_expect(taken >= MESSAGES && taken <= MESSAGES + 2, "%llu", (unsigned long long)taken);
    feed_destroy(&feed);
}

Test(feed, closing_wakes_who_waits) {
    for (int i = 0; i < 20; i++) {
        struct feed *feed = feed_create(1);
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, take_all, feed), 0);
        feed_close(feed);
        cr_expect_eq(join(thread), 0);
        feed_destroy(&feed);
    }
}
