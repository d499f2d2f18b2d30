/* Following checkpoints, as a state machine without sockets: pieces in any order, lost, doubled,
 * corrupt; offers in order, doubled, with gaps, too many. */
#include "common/clock.h"
#include "common/wire.h"
#include "evaluator/follow.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 5 * WIRE_CHUNK_MAX / 2 }; /* two pieces and a half */

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
    struct evaluation taken;
    struct error error;
    must_offer(follow, 10, 1);
    int count = 0;
    while (follow_request(follow, 0, &step, &offset[count], &size[count])) {
        cr_assert_eq(step, 10);
        count++;
    }
    cr_assert_eq(count, 3);
    cr_expect_eq(size[2], SIZE - 2 * WIRE_CHUNK_MAX);
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
    struct evaluation taken;
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
    uint32_t size;
    struct error error;
    uint8_t byte = 0;
    cr_expect_eq(follow_piece(follow, 10, 0, &byte, 1, &error), -1);
    must_offer(follow, 10, 1);
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(follow_piece(follow, 11, 0, &byte, 1, &error), -1);
    cr_expect_eq(follow_piece(follow, 10, 0, &byte, 1, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    follow_destroy(&follow);
}

static void expect_refused(uint64_t step, const Digitsum__CheckpointInfo *info, const char *words) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    struct error error = {0};
    header.step = step;
    header.checkpoint = (Digitsum__CheckpointInfo *)(uintptr_t)info;
    cr_expect_eq(follow_check(&header, &error), *words ? -1 : 0, "'%s' expected", words);
    cr_expect_eq(error.code, *words ? ERROR_CORRUPT : ERROR_NONE);
    cr_expect(strstr(error.text, words), "'%s' expected in '%s'", words, error.text);
}

/* What no evaluation may say would end the evaluator when it is to be written down. */
Test(follow, offers_that_cannot_be_reported_are_refused) {
    Digitsum__CheckpointInfo good = DIGITSUM__CHECKPOINT_INFO__INIT, bad;
    good.size = 4096;
    expect_refused(10, &good, "");
    expect_refused(UINT64_C(1) << 63, &good, "9223372036854775808 steps cannot be");
    bad = good;
    bad.size = FOLLOW_BYTES + 1;
    expect_refused(10, &bad, "4294967297 bytes was offered");
    bad.size = 7;
    expect_refused(10, &bad, "7 bytes was offered");
    bad = good;
    bad.samples = UINT64_MAX;
    expect_refused(10, &bad, "18446744073709551615 samples");
    bad = good;
    bad.epoch = NAN;
    expect_refused(10, &bad, "nan cannot be");
    bad.epoch = -0.5;
    expect_refused(10, &bad, "epoch -0.5 cannot be");
    bad = good;
    bad.seconds = -1e300;
    expect_refused(10, &bad, "-1e+300 s after the run began cannot be");
    bad.seconds = INFINITY;
    expect_refused(10, &bad, "inf s after");
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

/* The file was deleted, or cannot be read: the ones after it must not wait for ever. */
Test(follow, what_is_gone_gives_way) {
    struct follow *follow = follow_create();
    struct evaluation gone;
    uint64_t step, offset;
    uint32_t size;
    for (uint32_t i = 1; i <= 4; i++)
        must_offer(follow, 10 * i, i);
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(step, 10);
    cr_expect_not(follow_gone(follow, 50, &gone), "it was never offered");
    cr_expect(follow_gone(follow, 30, &gone));
    cr_expect_eq(gone.step, 30);
    cr_expect(follow_gone(follow, 10, &gone));
    cr_expect_eq(gone.step, 10);
    cr_expect_not(follow_gone(follow, 10, &gone), "another piece of it");
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(step, 20);
    cr_expect_eq(offset, 0);
    cr_expect(follow_gone(follow, 20, &gone));
    cr_assert(follow_request(follow, 0, &step, &offset, &size));
    cr_expect_eq(step, 40);
    follow_destroy(&follow);
}

Test(follow, what_is_whole_does_not_go) {
    struct follow *follow = follow_create();
    uint8_t *bytes = make_bytes();
    const uint8_t *whole;
    struct evaluation offer;
    struct error error;
    uint64_t step, offset;
    uint32_t size;
    size_t got;
    must_offer(follow, 10, 1);
    while (follow_request(follow, 0, &step, &offset, &size))
        cr_assert_eq(follow_piece(follow, step, offset, bytes + offset, size, &error), 0);
    cr_expect_not(follow_gone(follow, 10, &offer));
    cr_expect_eq(follow_take(follow, &offer, &whole, &got, &error), 1);
    follow_destroy(&follow);
    free(bytes);
}

/* The last checkpoint of a run that goes on from its end is offered as any other first. */
Test(follow, a_second_offer_makes_it_final) {
    struct follow *follow = follow_create();
    uint8_t digest[SHA256_SIZE] = {1}, weights[SHA256_SIZE] = {0xab};
    struct evaluation taken;
    uint32_t gap;
    uint64_t given_up;
    struct error error;
    Digitsum__CheckpointInfo info = DIGITSUM__CHECKPOINT_INFO__INIT;
    info.size = 100;
    info.sequence = 1;
    info.sha256 = (ProtobufCBinaryData){SHA256_SIZE, digest};
    info.weights = (ProtobufCBinaryData){SHA256_SIZE, weights};
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    header.step = 10;
    header.checkpoint = &info;
    cr_assert_eq(follow_offer(follow, &header, &gap, &given_up, &error), 1);
    info.final = info.epoch_end = true;
    cr_assert_eq(follow_offer(follow, &header, &gap, &given_up, &error), 0);
    cr_assert(follow_gone(follow, 10, &taken));
    cr_expect(taken.final);
    cr_expect(taken.epoch_end);
    cr_expect_eq(memcmp(taken.weights_sha256, "ab0000", 6), 0);
    follow_destroy(&follow);
}
