/* The record of consumed batches: goes on where a checkpoint does, and never claims more than it
 * knows. */
#include "common/chain.h"
#include "common/record.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char path[512];
static struct error error;

/* Digests of a made-up run, and the head after `steps` of them. */
static const uint8_t *digest_of(uint64_t step) {
    static uint8_t digest[SHA256_SIZE];
    sha256_bytes(&step, sizeof step, digest);
    return digest;
}
static void head_of(uint64_t steps, uint8_t head[static SHA256_SIZE]) {
    memset(head, 0, SHA256_SIZE);
    for (uint64_t t = 0; t < steps; t++)
        chain_add(head, t, digest_of(t));
}

/* Opens at `step` and adds the digests up to `end`. */
static void write_from(uint64_t step, uint64_t end, bool expect_lost) {
    uint8_t head[SHA256_SIZE];
    bool lost;
    head_of(step, head);
    struct record *record = record_open(path, step, head, &lost, &error);
    cr_assert_not_null(record, "%s", error.text);
    cr_expect_eq(lost, expect_lost);
    for (uint64_t t = step; t < end; t++)
        cr_assert_eq(record_add(record, digest_of(t), &error), 0);
    cr_assert_eq(record_sync(record, &error), 0);
    record_close(&record);
    cr_expect_null(record);
}

/* Steps of the file; those from `known_from` on are known and right. */
static void expect_steps(uint64_t expected, uint64_t known_from) {
    uint8_t(*digests)[SHA256_SIZE];
    bool *known;
    uint64_t steps;
    cr_assert_eq(record_read(path, &digests, &known, &steps, &error), 0, "%s", error.text);
    cr_assert_eq(steps, expected);
    for (uint64_t t = 0; t < steps; t++) {
        cr_expect_eq(known[t], t >= known_from, "step %d", (int)t);
        cr_expect(!known[t] || memcmp(digests[t], digest_of(t), SHA256_SIZE) == 0, "step %d",
                  (int)t);
    }
    free(digests);
    free(known);
}

static void change(long offset, char byte) {
    FILE *file = fopen(path, "r+e");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, offset, SEEK_SET), 0);
    cr_assert_neq(fputc(byte, file), EOF);
    fclose(file);
}

static char folder[64];

static void setup(void) {
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/batches.txt", folder);
}
static void teardown(void) {
    scratch_end(folder);
}
TestSuite(record, .init = setup, .fini = teardown);

Test(record, goes_on_where_a_checkpoint_does) {
    write_from(0, 20, false);
    expect_steps(20, 0);
    write_from(12, 15, false); /* cut off after step 20, resumed from the checkpoint of step 12 */
    expect_steps(15, 0);
    write_from(0, 3, false); /* begun anew */
    expect_steps(3, 0);
}

Test(record, what_does_not_lead_to_the_checkpoint_is_unknown) {
    write_from(0, 20, false);
    change(5 * RECORD_LINE, digest_of(5)[0] >> 4 == 15 ? 'e' : 'f');
    write_from(10, 14, true);
    expect_steps(14, 10);
    write_from(12, 16, true); /* unknown it stays */
    expect_steps(16, 12);
}

Test(record, a_lost_or_short_file_is_unknown) {
    write_from(7, 9, true);
    expect_steps(9, 7);
    cr_assert_eq(remove(path), 0);
    write_from(0, 4, false);
    write_from(8, 9, true);
    expect_steps(9, 8);
}

Test(record, reads_whole_lines_alone) {
    write_from(0, 5, false);
    FILE *file = fopen(path, "ae");
    fputs("12ab", file);
    fclose(file);
    expect_steps(5, 0);
    change(2 * RECORD_LINE + 3, 'X');
    uint8_t(*digests)[SHA256_SIZE];
    bool *known;
    uint64_t steps;
    cr_assert_eq(record_read(path, &digests, &known, &steps, &error), -1);
    cr_expect_eq(error.code, ERROR_CORRUPT);
    cr_expect(strstr(error.text, "batches.txt: line 3 is not a SHA-256"), "%s", error.text);
    cr_assert_eq(record_read("/nonexistent/x", &digests, &known, &steps, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
}

Test(record, full_disk_is_an_error) {
    uint8_t head[SHA256_SIZE] = {0};
    bool lost;
    struct record *record = record_open("/dev/full", 0, head, &lost, &error);
    if (!record) /* a device cannot be cut to a length everywhere */
        return;
    int status = record_add(record, head, &error);
    cr_expect(status != 0 || record_sync(record, &error) != 0);
    record_close(&record);
}
