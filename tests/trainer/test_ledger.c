/* The ledger as what it is, a pure state machine: late, lost, duplicated and disordered batches,
 * and loaders that come and go, under a clock of the test's own. */
#include "trainer/ledger.h"

#include "common/philox.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS INT64_C(1000000)

static const struct ledger_settings usual = {.first = 0,
                                             .end = 1000,
                                             .window = 8,
                                             .group = 1,
                                             .hedge = true,
                                             .patience_least = 100 * MS,
                                             .patience_most = 5000 * MS};

static struct lease must_lease(struct ledger *ledger, int64_t now) {
    struct lease lease;
    cr_assert(ledger_lease(ledger, now, &lease), "nothing to lease at %lld ms",
              (long long)(now / MS));
    return lease;
}

static void no_lease(struct ledger *ledger, int64_t now) {
    struct lease lease;
    cr_expect_not(ledger_lease(ledger, now, &lease), "step %llu was leased",
                  (unsigned long long)lease.first);
}

Test(ledger, nobody_to_lease_to) {
    struct ledger *ledger = ledger_create(&usual);
    no_lease(ledger, 0);
    ledger_destroy(&ledger);
    cr_expect_null(ledger);
    ledger_destroy(&ledger);
}

Test(ledger, leases_in_order_within_the_window) {
    struct ledger *ledger = ledger_create(&usual);
    int loader = ledger_join(ledger);
    for (uint64_t step = 0; step < 8; step++) {
        struct lease lease = must_lease(ledger, 0);
        cr_expect_eq(lease.first, step);
        cr_expect_eq(lease.count, 1);
        cr_expect_eq(lease.loader, loader);
        cr_expect_not(lease.again);
    }
    no_lease(ledger, 0);
    cr_expect_not(ledger_ready(ledger));
    cr_expect_eq(ledger_arrive(ledger, 0, MS), ARRIVAL_NEW);
    cr_expect(ledger_ready(ledger));
    ledger_consume(ledger);
    cr_expect_eq(ledger_base(ledger), 1);
    cr_expect_eq(must_lease(ledger, MS).first, 8);
    no_lease(ledger, MS);
    ledger_destroy(&ledger);
}

Test(ledger, groups_and_the_last_steps) {
    struct ledger_settings settings = usual;
    settings.group = 3;
    settings.end = 10;
    struct ledger *ledger = ledger_create(&settings);
    ledger_join(ledger);
    cr_expect_eq(must_lease(ledger, 0).count, 3);
    cr_expect_eq(must_lease(ledger, 0).count, 3);
    no_lease(ledger, 0); /* two would fit: not a group's worth, and plenty is out */
    for (uint64_t step = 0; step < 2; step++) {
        ledger_arrive(ledger, step, MS);
        ledger_consume(ledger);
    }
    struct lease lease = must_lease(ledger, MS); /* 6 … 9: all that is left */
    cr_expect_eq(lease.first, 6);
    cr_expect_eq(lease.count, 3);
    lease = must_lease(ledger, MS);
    cr_expect_eq(lease.first, 9);
    cr_expect_eq(lease.count, 1);
    no_lease(ledger, MS);
    ledger_destroy(&ledger);
}

Test(ledger, out_of_order_duplicates_and_strays) {
    struct ledger *ledger = ledger_create(&usual);
    ledger_join(ledger);
    for (int i = 0; i < 4; i++)
        must_lease(ledger, 0);
    cr_expect_eq(ledger_arrive(ledger, 2, MS), ARRIVAL_NEW);
    cr_expect_eq(ledger_arrive(ledger, 2, MS), ARRIVAL_DUPLICATE);
    cr_expect_not(ledger_ready(ledger));
    cr_expect_eq(ledger_arrive(ledger, 4, MS), ARRIVAL_STRAY); /* nobody was asked for it */
    cr_expect_eq(ledger_arrive(ledger, UINT64_MAX, MS), ARRIVAL_STRAY);
    cr_expect_eq(ledger_arrive(ledger, 0, MS), ARRIVAL_NEW);
    ledger_consume(ledger);
    cr_expect_eq(ledger_arrive(ledger, 0, MS), ARRIVAL_DUPLICATE); /* consumed already */
    cr_expect_not(ledger_ready(ledger));
    cr_expect_eq(ledger_arrive(ledger, 1, MS), ARRIVAL_NEW);
    ledger_consume(ledger);
    cr_expect(ledger_ready(ledger)); /* 2 waited in the window */
    struct ledger_counts counts = ledger_counts(ledger);
    cr_expect_eq(counts.duplicates, 2);
    cr_expect_eq(counts.strays, 2);
    cr_expect_eq(counts.leased, 4);
    cr_expect_eq(counts.re_leased, 0);
    ledger_destroy(&ledger);
}

Test(ledger, step_before_the_first_is_a_stray) {
    struct ledger_settings settings = usual;
    settings.first = 100;
    struct ledger *ledger = ledger_create(&settings);
    ledger_join(ledger);
    cr_expect_eq(must_lease(ledger, 0).first, 100);
    cr_expect_eq(ledger_arrive(ledger, 99, MS), ARRIVAL_STRAY);
    ledger_destroy(&ledger);
}

Test(ledger, overtaken_step_goes_to_another_loader_soon) {
    struct ledger *ledger = ledger_create(&usual);
    int one = ledger_join(ledger), two = ledger_join(ledger);
    cr_expect_neq(one, two);
    struct lease first = must_lease(ledger, 0);
    struct lease second = must_lease(ledger, 1 * MS);
    cr_expect_neq(first.loader, second.loader, "work goes to whoever has least");
    ledger_arrive(ledger, second.first, 11 * MS); /* later leased, here already */
    while (ledger_lease(ledger, 20 * MS, &second))
        cr_expect_not(second.again);
    no_lease(ledger, 99 * MS);
    struct lease again = must_lease(ledger, 100 * MS); /* patience_least: 4 × 10 ms is less */
    cr_expect(again.again);
    cr_expect_eq(again.first, first.first);
    cr_expect_neq(again.loader, first.loader);
    cr_expect_eq(ledger_counts(ledger).re_leased, 1);
    no_lease(ledger, 250 * MS); /* the second try has twice the patience */
    cr_expect(must_lease(ledger, 301 * MS).again);
    /* Whichever copy comes first wins. */
    cr_expect_eq(ledger_arrive(ledger, first.first, 302 * MS), ARRIVAL_NEW);
    cr_expect_eq(ledger_arrive(ledger, first.first, 303 * MS), ARRIVAL_DUPLICATE);
    ledger_destroy(&ledger);
}

Test(ledger, what_was_leased_at_one_moment_is_overtaken_by_its_order) {
    struct ledger *ledger = ledger_create(&usual);
    ledger_join(ledger);
    for (int i = 0; i < 8; i++)
        must_lease(ledger, 0); /* a whole window, as after a restart */
    for (uint64_t step = 1; step < 8; step += 2)
        ledger_arrive(ledger, step, 5 * MS);
    no_lease(ledger, 99 * MS);
    for (uint64_t step = 0; step < 8; step += 2) {
        struct lease again = must_lease(ledger, 100 * MS);
        cr_expect(again.again);
        cr_expect_eq(again.first, step);
    }
    no_lease(ledger, 100 * MS);
    ledger_destroy(&ledger);
}

Test(ledger, without_hedging_only_the_long_patience_counts) {
    struct ledger_settings settings = usual;
    settings.hedge = false;
    struct ledger *ledger = ledger_create(&settings);
    ledger_join(ledger);
    ledger_join(ledger);
    for (int i = 0; i < 8; i++)
        must_lease(ledger, i * MS);
    for (uint64_t step = 1; step < 8; step++)
        ledger_arrive(ledger, step, 20 * MS);
    no_lease(ledger, 4999 * MS);
    struct lease again = must_lease(ledger, 5000 * MS);
    cr_expect(again.again);
    cr_expect_eq(again.first, 0);
    ledger_destroy(&ledger);
}

/* A loader that was killed and is not missed yet: the less is left with it, the more it seems to
 * have time. */
Test(ledger, who_lets_steps_be_late_gets_nothing_for_a_while) {
    struct ledger_settings settings = usual;
    settings.end = 1000000;
    struct ledger *ledger = ledger_create(&settings);
    int dead = ledger_join(ledger), alive = ledger_join(ledger);
    int64_t now = 8 * MS;
    uint64_t base = 0;
    for (int i = 0; i < 8; i++)
        must_lease(ledger, i * MS);
    int given = 0;
    /* Whatever is the living one's arrives at once, each millisecond of two seconds. */
    for (; now < 2000 * MS; now += MS) {
        struct lease lease;
        for (uint64_t step = 1; now == 8 * MS && step < 8; step += 2)
            ledger_arrive(ledger, step, now); /* of the eight above, these are with it */
        while (ledger_lease(ledger, now, &lease)) {
            if (lease.loader == alive)
                ledger_arrive(ledger, lease.first, now);
            else
                given++;
        }
        while (ledger_ready(ledger)) {
            ledger_consume(ledger);
            base++;
        }
    }
    cr_expect_gt(base, 500, "the run stood still: %d steps", (int)base);
    cr_expect_leq(given, 16, "the dead one was given %d steps", given);
    cr_expect_gt(given, 0, "it is tried again now and then");
    /* One that only was slow is as good as before as soon as something of it comes. */
    struct lease lease;
    bool back = false;
    for (uint64_t step = ledger_base(ledger); step < base + 8; step++)
        ledger_arrive(ledger, step, now);
    while (ledger_ready(ledger))
        ledger_consume(ledger);
    now += 1001 * MS;
    for (int i = 0; i < 8 && !back && ledger_lease(ledger, now, &lease); i++)
        if (lease.loader == dead) {
            ledger_arrive(ledger, lease.first, now);
            back = true;
        }
    cr_expect(back);
    ledger_destroy(&ledger);
}

Test(ledger, slow_stage_is_not_asked_twice) {
    struct ledger *ledger = ledger_create(&usual);
    ledger_join(ledger);
    for (int i = 0; i < 8; i++)
        must_lease(ledger, 0);
    no_lease(ledger, 4999 * MS); /* nothing overtook anything: all wait behind something slow */
    cr_expect_eq(ledger_deadline(ledger), 5000 * MS);
    cr_expect(must_lease(ledger, 5000 * MS).again);
    ledger_destroy(&ledger);
}

Test(ledger, what_a_loader_held_is_due_when_it_leaves) {
    struct ledger *ledger = ledger_create(&usual);
    int one = ledger_join(ledger);
    for (int i = 0; i < 3; i++)
        must_lease(ledger, 0);
    ledger_arrive(ledger, 1, MS);
    ledger_leave(ledger, one);
    no_lease(ledger, MS);
    cr_expect_eq(ledger_deadline(ledger), 0);
    int two = ledger_join(ledger);
    struct lease lease = must_lease(ledger, MS);
    cr_expect_eq(lease.first, 0);
    cr_expect_eq(lease.loader, two);
    cr_expect(lease.again);
    cr_expect_eq(must_lease(ledger, MS).first, 2); /* 1 is here */
    cr_expect_eq(must_lease(ledger, MS).first, 3);
    ledger_destroy(&ledger);
}

Test(ledger, rejected_step_is_due_again) {
    struct ledger *ledger = ledger_create(&usual);
    ledger_join(ledger);
    must_lease(ledger, 0);
    ledger_arrive(ledger, 0, MS);
    cr_expect(ledger_ready(ledger));
    ledger_reject(ledger, 0);
    cr_expect_not(ledger_ready(ledger));
    cr_expect_eq(must_lease(ledger, MS).first, 0);
    ledger_reject(ledger, 500); /* not there: nothing happens */
    ledger_destroy(&ledger);
}

Test(ledger, loaders_are_bounded) {
    struct ledger *ledger = ledger_create(&usual);
    for (int i = 0; i < LEDGER_LOADERS; i++)
        cr_expect_geq(ledger_join(ledger), 0);
    cr_expect_eq(ledger_join(ledger), -1);
    ledger_leave(ledger, 5);
    cr_expect_eq(ledger_join(ledger), 5);
    ledger_destroy(&ledger);
}

Test(ledger, second_try_does_not_overtake_what_was_leased_before_it) {
    struct ledger *ledger = ledger_create(&usual);
    ledger_join(ledger);
    must_lease(ledger, 0);
    must_lease(ledger, 4000 * MS);
    cr_expect(must_lease(ledger, 5000 * MS).again);                 /* everything is slow */
    cr_expect_eq(ledger_arrive(ledger, 0, 5100 * MS), ARRIVAL_NEW); /* the first try's */
    cr_expect_eq(ledger_deadline(ledger), 9000 * MS); /* step 1 keeps the long patience */
    ledger_destroy(&ledger);
}

Test(ledger, each_try_doubles_the_patience_up_to_a_bound) {
    struct ledger_settings settings = usual;
    settings.end = 1;
    struct ledger *ledger = ledger_create(&settings);
    ledger_join(ledger);
    must_lease(ledger, 0);
    int64_t now = 0, patience = 5000 * MS;
    for (int tries = 1; tries < 10; tries++) {
        cr_expect_eq(ledger_deadline(ledger), now + patience);
        no_lease(ledger, now + patience - 1);
        now += patience;
        cr_expect(must_lease(ledger, now).again); /* to the same: there is no other */
        patience = patience < 4 * 5000 * MS ? 2 * patience : patience;
    }
    ledger_destroy(&ledger);
}

Test(ledger, newcomer_does_not_inherit_its_handles_past) {
    struct ledger *ledger = ledger_create(&usual);
    int one = ledger_join(ledger), two = ledger_join(ledger);
    for (int i = 0; i < 4; i++)
        must_lease(ledger, 0);
    ledger_leave(ledger, one);
    cr_expect_eq(ledger_join(ledger), one);
    struct lease lease = must_lease(ledger, MS); /* nothing is with it, and two with the other */
    cr_expect_eq(lease.loader, one);
    cr_expect_eq(lease.first, 0);
    cr_expect_neq(two, one);
    ledger_destroy(&ledger);
}

/* --- thousands of steps over a bad network --- */

enum { FLIGHT = 512, LOADERS = 4 };

struct flight { /* batches under way */
    uint64_t step;
    int64_t lands;
    bool used;
};

static uint32_t draw(uint32_t *counter, uint32_t bound) {
    uint32_t words[4];
    philox_draw(42, PHILOX_DRAW, (*counter)++, 0, 0, words);
    return philox_below(words[0], bound);
}

static void launch(struct flight *flights, uint64_t step, int64_t lands) {
    for (int i = 0; i < FLIGHT; i++)
        if (!flights[i].used) {
            flights[i] = (struct flight){step, lands, true};
            return;
        } /* no room: one more that is lost */
}

Test(ledger, every_step_once_and_in_order_whatever_happens) {
    struct ledger_settings settings = usual;
    settings.end = 5000;
    settings.window = 32;
    settings.group = 4;
    struct ledger *ledger = ledger_create(&settings);
    static struct flight flights[FLIGHT];
    int handles[LOADERS] = {-1, -1, -1, -1};
    uint32_t random = 0;
    uint64_t expected = 0;
    int64_t now = 0;
    for (; ledger_base(ledger) < settings.end; now += MS) {
        cr_assert_lt(now, 4000000 * MS, "no progress at step %llu", (unsigned long long)expected);
        int who = (int)draw(&random, LOADERS);
        if (draw(&random, 50) == 0 && handles[who] < 0) {
            handles[who] = ledger_join(ledger);
        } else if (draw(&random, 200) == 0 && handles[who] >= 0) {
            ledger_leave(ledger, handles[who]);
            handles[who] = -1;
        }
        struct lease lease;
        while (ledger_lease(ledger, now, &lease))
            for (uint32_t i = 0; i < lease.count; i++) {
                cr_assert_lt(lease.first + i, ledger_base(ledger) + settings.window);
                if (draw(&random, 10) > 0) /* a tenth is lost */
                    launch(flights, lease.first + i, now + MS * draw(&random, 40));
                if (draw(&random, 10) == 0) /* a tenth is doubled */
                    launch(flights, lease.first + i, now + MS * draw(&random, 400));
            }
        for (int i = 0; i < FLIGHT; i++)
            if (flights[i].used && flights[i].lands <= now) {
                ledger_arrive(ledger, flights[i].step, now);
                flights[i].used = false;
            }
        while (ledger_ready(ledger)) {
            cr_assert_eq(ledger_base(ledger), expected);
            ledger_consume(ledger);
            expected++;
        }
    }
    struct ledger_counts counts = ledger_counts(ledger);
    cr_expect_eq(expected, settings.end);
    cr_expect_eq(counts.leased, settings.end);
    cr_expect_gt(counts.re_leased, 300);
    cr_expect_gt(counts.duplicates, 100);
    ledger_destroy(&ledger);
}

Test(ledger, a_loader_of_which_nothing_comes_is_named_and_others_are_asked) {
    struct ledger_settings settings = usual;
    settings.hedge = false;
    struct ledger *ledger = ledger_create(&settings);
    int64_t silent = 0, now = MS;
    int dead = ledger_join(ledger), alive = ledger_join(ledger);
    for (int i = 0; i < 8; i++)
        must_lease(ledger, now);
    cr_expect_eq(ledger_stalled(ledger, now + 2999 * MS, 3000 * MS, &silent), -1);
    for (uint64_t step = 1; step < 8; step += 2) /* the other's, as they were given in turn */
        cr_expect_eq(ledger_arrive(ledger, step, now + 10 * MS), ARRIVAL_NEW);
    now += 3000 * MS;
    cr_expect_eq(ledger_stalled(ledger, now, 3000 * MS, &silent), dead);
    cr_expect_eq(silent, 3000 * MS);
    cr_expect_eq(ledger_stalled(ledger, now, 3000 * MS, &silent), -1, "once is enough");
    for (int i = 0; i < 4; i++) {
        struct lease lease = must_lease(ledger, now);
        cr_expect_eq(lease.first, 2 * (uint64_t)i);
        cr_expect_eq(lease.loader, alive);
        cr_expect(lease.again);
        ledger_arrive(ledger, lease.first, now);
    }
    ledger_destroy(&ledger);
}

Test(ledger, the_step_that_all_wait_for_is_asked_for_each_second) {
    struct ledger *ledger = ledger_create(&usual);
    int64_t now = MS;
    ledger_join(ledger);
    must_lease(ledger, now); /* 0 */
    ledger_arrive(ledger, 0, now + 10 * MS);
    ledger_consume(ledger);
    for (int i = 0; i < 8; i++)
        cr_expect_eq(must_lease(ledger, now).first, i + 1); /* which nothing overtakes */
    for (int i = 0; i < 10; i++) {
        no_lease(ledger, now + 999 * MS);
        now += 1000 * MS;
        cr_expect_eq(must_lease(ledger, now).first, 1);
        struct lease lease;
        while (ledger_lease(ledger, now, &lease)) /* the others in their time */
            cr_expect_neq(lease.first, 1);
    }
    ledger_destroy(&ledger);
}

Test(ledger, the_patience_with_a_loader_that_is_slow_grows) {
    struct ledger_settings settings = usual;
    settings.window = 1;
    settings.patience_most = 1000000 * MS;
    struct ledger *ledger = ledger_create(&settings);
    int64_t silent = 0, now = MS;
    int only = ledger_join(ledger);
    for (int64_t patience = 3000 * MS; patience <= 48000 * MS; patience *= 2) {
        must_lease(ledger, now);
        cr_expect_eq(ledger_stalled(ledger, now + patience - 1, 3000 * MS, &silent), -1);
        now += patience;
        cr_expect_eq(ledger_stalled(ledger, now, 3000 * MS, &silent), only, "after %lld ms",
                     (long long)(patience / MS));
        no_lease(ledger, now + 299 * MS); /* not over the connection that is being made anew */
        now += 300 * MS;
        cr_expect_eq(ledger_stalled(ledger, now, 3000 * MS, &silent), -1);
    }
    must_lease(ledger, now); /* what comes at last, but late, leaves it as it is */
    ledger_arrive(ledger, 0, now + 20000 * MS);
    ledger_consume(ledger);
    now += 20000 * MS;
    must_lease(ledger, now);
    cr_expect_eq(ledger_stalled(ledger, now + 47000 * MS, 3000 * MS, &silent), -1);
    ledger_arrive(ledger, 1, now + 100 * MS); /* at once: it is as good as any again */
    ledger_consume(ledger);
    must_lease(ledger, now + 200 * MS);
    cr_expect_eq(ledger_stalled(ledger, now + 3200 * MS, 3000 * MS, &silent), only);
    ledger_destroy(&ledger);
}

Test(ledger, a_loader_whose_steps_others_were_asked_for_is_named_too) {
    struct ledger *ledger = ledger_create(&usual);
    int64_t silent = 0, now = MS;
    int dead = ledger_join(ledger), alive = ledger_join(ledger), found = -1;
    for (; now < 6000 * MS && found < 0; now += 50 * MS) {
        struct lease lease;
        while (ledger_lease(ledger, now, &lease))
            if (lease.loader == alive)
                ledger_arrive(ledger, lease.first, now);
        while (ledger_ready(ledger))
            ledger_consume(ledger);
        found = ledger_stalled(ledger, now, 3000 * MS, &silent);
    }
    cr_expect_eq(found, dead);
    cr_expect_lt(now, 5000 * MS);
    ledger_destroy(&ledger);
}
