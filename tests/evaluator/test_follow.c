/* Following checkpoints, as a state machine without sockets: pieces in any order, lost, doubled,
 * corrupt; offers in order, doubled, with gaps, too many. */
#include "common/clock.h"
#include "common/wire.h"
#include "evaluator/follow.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 5 * WIRE_CHUNK_MAXIMUM / 2 }; /* two pieces and a half */

static uint8_t *make_bytes(void) {
    uint8_t *bytes = malloc(SIZE);
    cr_assert_not_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    return bytes;
}

static int offer(struct follow *follow, uint64_t step, uint32_t sequence, bool epoch_end,
                 uint32_t *gap, uint64_t *given_up) {
    static uint8_t digest[SHA256_SIZE];
    struct error error;
    uint8_t *bytes = make_bytes();
    sha256_bytes(bytes, SIZE, digest);
    free(bytes);
    Digitsum__CheckpointInfo info = DIGITSUM__CHECKPOINT_INFO__INIT;
    info.size = SIZE;
    info.sha256 = (ProtobufCBinaryData){SHA256_SIZE, digest};
    info.sequence = sequence;
    info.epoch_end = epoch_end;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.step = step;
    header.checkpoint = &info;
    return follow_offer(follow, &header, gap, given_up, &error);
}

static void must_offer(struct follow *follow, uint64_t step, uint32_t sequence) {
    uint32_t gap;
    uint64_t given_up;
    cr_assert_eq(offer(follow, step, sequence, false, &gap, &given_up), 1);
    cr_expect_eq(gap, 0);
    cr_expect_eq(given_up, UINT64_MAX);
}

Test(follow, pieces_in_any_order) {
    struct follow *follow = follow_create();
    uint8_t *bytes = make_bytes();
    uint64_t step, offset[4];
    uint32_t size[4];
    const uint8_t *whole;
    size_t got;
    struct offer taken;
    struct error error;
    must_offer(follow, 10, 1);
    int count = 0;
    while (follow_request(follow, 0, &step, &offset[count], &size[count])) {
        cr_assert_eq(step, 10);
        count++;
    }
    cr_assert_eq(count, 3);
    cr_expect_eq(size[2], SIZE - 2 * WIRE_CHUNK_MAXIMUM);
    for (int i = 2; i >= 0; i--) {
        cr_expect_eq(follow_take(follow, &taken, &whole, &got, &error), 0);
        cr_assert_eq(follow_piece(follow, 10, offset[i], bytes + offset[i], size[i], &error), 0);
        cr_expect_eq(follow_piece(follow, 10, offset[i], bytes + offset[i], size[i], &error), -1,
                     "the same piece twice");
    }
    cr_assert_eq(follow_take(follow, &taken, &whole, &got, &error), 1);
    cr_expect_eq(got, SIZE);
    cr_expect_eq(taken.step, 10);
    cr_expect_eq(memcmp(whole, bytes, SIZE), 0);
    follow_done(follow);
    cr_expect_not(follow_request(follow, 0, &step, offset, size));
    follow_destroy(&follow);
    free(bytes);
}

Test(follow, lost_piece_is_asked_for_again_at_its_offset) {
    struct follow *follow = follow_create();
    uint8_t *bytes = make_bytes();
    uint64_t step, offset, lost = 0;
    uint32_t size;
    struct error error;
    must_offer(follow, 10, 1);
    for (int i = 0; i < 3; i++) {
        cr_assert(follow_request(follow, 0, &step, &offset, &size));
        if (i == 1)
            lost = offset;
        else
            cr_assert_eq(follow_piece(follow, 10, offset, bytes + offset, size, &error), 0);
    }
    cr_expect_not(follow_request(follow, CLOCK_SECOND, &step, &offset, &size));
    cr_assert(follow_request(follow, 3 * CLOCK_SECOND, &step, &offset, &size));
    cr_expect_eq(offset, lost);
    follow_destroy(&follow);
    free(bytes);
}

Test(follow, wrong_digest_is_fetched_again_then_given_up) {
    struct follow *follow = follow_create();
    uint8_t *bytes = make_bytes();
    const uint8_t *whole;
    size_t got;
    struct offer taken;
    struct error error = {0};
    bytes[12345] ^= 1;
    must_offer(follow, 10, 1);
    must_offer(follow, 20, 2);
    for (int try = 1; try <= FOLLOW_TRIES; try++) {
        uint64_t step, offset;
        uint32_t size;
        while (follow_request(follow, 0, &step, &offset, &size))
            cr_assert_eq(follow_piece(follow, step, offset, bytes + offset, size, &error), 0);
        cr_expect_eq(follow_take(follow, &taken, &whole, &got, &error),
                     try < FOLLOW_TRIES ? 0 : -1);
    }
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect_str_eq(error.text, "its SHA-256 was wrong 3 times");
    cr_expect_eq(taken.step, 10);
    follow_done(follow);
    uint64_t step, offset;
    uint32_t size;
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(step, 20, "the next one must not suffer");
    follow_destroy(&follow);
    free(bytes);
}

Test(follow, strange_pieces_and_sizes) {
    struct follow *follow = follow_create();
    uint64_t step, offset;
    uint32_t size, gap;
    struct error error;
    uint8_t byte = 0;
    cr_expect_eq(follow_piece(follow, 10, 0, &byte, 1, &error), -1);
    must_offer(follow, 10, 1);
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(follow_piece(follow, 11, 0, &byte, 1, &error), -1);
    cr_expect_eq(follow_piece(follow, 10, 0, &byte, 1, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    Digitsum__CheckpointInfo info = DIGITSUM__CHECKPOINT_INFO__INIT;
    info.size = FOLLOW_BYTES + 1;
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.checkpoint = &info;
    cr_expect_eq(follow_offer(follow, &header, &gap, &offset, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    follow_destroy(&follow);
}

Test(follow, gaps_doubles_and_a_full_queue) {
    struct follow *follow = follow_create();
    uint32_t gap;
    uint64_t given_up;
    must_offer(follow, 10, 1);
    cr_expect_eq(offer(follow, 10, 1, false, &gap, &given_up), 0);
    cr_expect_eq(offer(follow, 50, 5, false, &gap, &given_up), 1);
    cr_expect_eq(gap, 3);
    for (uint32_t i = 2; i < FOLLOW_QUEUE; i++)
        cr_assert_eq(offer(follow, 100 + i, 4 + i, true, &gap, &given_up), 1);
    cr_expect_eq(follow_waiting(follow), FOLLOW_QUEUE);
    cr_expect_eq(offer(follow, 9000, 9000, true, &gap, &given_up), 1);
    cr_expect_eq(given_up, 10, "the oldest that is no epoch's end");
    cr_expect_eq(offer(follow, 9001, 9001, true, &gap, &given_up), 1);
    cr_expect_eq(given_up, 50);
    cr_expect_eq(offer(follow, 9002, 9002, true, &gap, &given_up), -1, "only epoch ends wait");
    follow_reset(follow);
    cr_expect_eq(follow_waiting(follow), 0);
    follow_destroy(&follow);
}
