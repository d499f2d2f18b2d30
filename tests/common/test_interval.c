/* Wilson's interval against values from its formula, worked out apart, and at its ends. */
#include "common/interval.h"

#include <criterion/criterion.h>
#include <math.h>

static void expect(uint32_t hits, uint32_t count, double low, double high) {
    struct interval got = interval_wilson(hits, count);
    cr_expect(fabs(got.low - low) < 1e-9, "%u of %u: low %.12f", hits, count, got.low);
    cr_expect(fabs(got.high - high) < 1e-9, "%u of %u: high %.12f", hits, count, got.high);
}

Test(interval, is_that_of_wilson) {
    expect(9900, 10000, 0.987853017745, 0.991770663852);
    expect(5, 10, 0.236593090513, 0.763406909487);
    expect(1, 10, 0.017876213095, 0.404150026795);
    expect(0, 10, 0.000000000000, 0.277532799863);
    expect(10, 10, 0.722467200137, 1.000000000000);
    expect(9940, 10000, 0.992285132503, 0.995335477107);
}

Test(interval, keeps_to_its_ends) {
    cr_assert_eq(interval_wilson(0, 10).low, 0.0);
    cr_assert_eq(interval_wilson(10, 10).high, 1.0);
}

Test(interval, knows_nothing_from_nothing_and_no_more_than_all) {
    expect(0, 0, 0, 1);
    struct interval more = interval_wilson(11, 10), all = interval_wilson(10, 10);
    cr_assert(more.low == all.low && more.high == all.high);
}
