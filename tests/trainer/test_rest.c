/* When a socket rests from garbage. */
#include "trainer/coordinator_private.h"

#include <criterion/criterion.h>

Test(rest, comes_after_a_handful_of_bad_messages_and_passes) {
    struct rest rest = {0};
    cr_expect(rest_over(&rest, clock_now()));
    int noted = 1;
    while (!rest_note(&rest, false) && noted < 1000)
        noted++;
    cr_expect_gt(noted, 8, "a few may be bad luck");
    cr_expect_lt(noted, 256);
    cr_expect_not(rest_over(&rest, rest.until - 1));
    cr_expect(rest_over(&rest, rest.until));
    cr_expect_lt(rest.until - clock_now(), 20 * CLOCK_MILLISECOND, "batches wait behind it");
    /* As long again for the next. */
    for (int i = 1; i < noted; i++)
        cr_assert_not(rest_note(&rest, false));
    cr_expect(rest_note(&rest, false));
}

Test(rest, a_good_message_between_keeps_the_socket_awake) {
    struct rest rest = {0};
    for (int i = 0; i < 10000; i++)
        cr_assert_not(rest_note(&rest, i % 2));
}
