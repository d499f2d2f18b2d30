/* Whose fault it is that a checkpoint cannot be scored: its own, or this process's. */
#include "evaluator/judge.h"

#include <criterion/criterion.h>

static struct error judge_bytes(const uint8_t *bytes, size_t size) {
    struct error error = {0};
    struct run_settings settings = {.device = "cpu", .precision = "f32", .batch = 10, .threads = 1};
    struct judge *judge = judge_create(&settings, NULL);
    cr_assert_eq(judge_begin(judge, bytes, size, 1, NULL, 1, &error), -1);
    judge_destroy(&judge);
    return error;
}

Test(judge, a_broken_checkpoint_is_to_blame_itself) {
    struct error error = judge_bytes((const uint8_t *)"nonsense", 8);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_not(judge_is_short(&error), "%s", error.text);
}

/* On each of these the evaluator ends with a status that has it started again. */
Test(judge, who_is_short_of_something_does_not_blame_the_checkpoint) {
    static const enum error_code shortages[] = {ERROR_MEMORY, ERROR_IO, ERROR_DEVICE};
    for (size_t i = 0; i < sizeof shortages / sizeof *shortages; i++)
        cr_expect(judge_is_short(&(struct error){.code = shortages[i]}));
    cr_expect_not(judge_is_short(&(struct error){.code = ERROR_UNSUPPORTED}));
    cr_expect_not(judge_is_short(&(struct error){.code = ERROR_INVALID}));
}
