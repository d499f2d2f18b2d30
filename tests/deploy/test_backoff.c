/* When a worker that died may start again. */
#include "common/clock.h"
#include "deploy/backoff.h"

#include <criterion/criterion.h>

Test(backoff, doubles_and_gives_up_at_the_fifth_death_in_a_minute) {
    struct backoff backoff = {0};
    int64_t now = 1000 * CLOCK_SECOND;
    for (int i = 0; i < 4; i++)
        cr_expect_eq(backoff_note(&backoff, now + i * CLOCK_SECOND),
                     (100 << i) * CLOCK_MILLISECOND);
    cr_expect_eq(backoff_note(&backoff, now + 59 * CLOCK_SECOND), -1);
}

Test(backoff, deaths_spread_over_more_than_a_minute_go_on_up_to_five_seconds) {
    struct backoff backoff = {0};
    int64_t now = 0, last = 0;
    for (int i = 0; i < 50; i++, now += 16 * CLOCK_SECOND) {
        last = backoff_note(&backoff, now);
        cr_assert_gt(last, 0, "death %d", i);
        cr_assert_leq(last, 5 * CLOCK_SECOND);
    }
    cr_expect_eq(last, 5 * CLOCK_SECOND);
}

Test(backoff, starts_afresh_after_a_quiet_minute) {
    struct backoff backoff = {0};
    for (int i = 0; i < 4; i++)
        backoff_note(&backoff, i);
    cr_expect_eq(backoff_note(&backoff, 61 * CLOCK_SECOND), 100 * CLOCK_MILLISECOND);
    cr_expect_eq(backoff_note(&backoff, 62 * CLOCK_SECOND), 200 * CLOCK_MILLISECOND);
}
